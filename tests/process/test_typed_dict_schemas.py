"""CrewAI's models have the same schemas if those of typed dictionaries are made once."""

from pathlib import Path

import pytest
from helpers import code, environment, start
from test_lazy import ON, QUIET
from test_schemas import cache, pytestmark, same

__all__ = ["cache", "pytestmark"]

SCHEMAS = """
import hashlib, random, re, sys
import crewai
from fast_crewai.imports import typed_dicts
from pydantic import BaseModel
copies, copied, is_one = [], typed_dicts._copied, typed_dicts._is_one
typed_dicts._copied = lambda schema: copies.append(1) or copied(schema)
typed_dicts._is_one = lambda generator: bool(int(sys.argv[1])) and is_one(generator)
def below(cls, found):
    for one in type.__subclasses__(cls):
        if one not in found:
            found.append(one)
            below(one, found)
    return found
def shown(value):
    if isinstance(value, dict):
        return [(key, shown(part)) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return [type(value), *map(shown, value)]
    return re.sub("0x[0-9a-f]+|:[0-9]{9,}", "#", repr(value))
classes = [c for c in below(BaseModel, []) if c.__module__.startswith("crewai")]
classes.sort(key=lambda c: (c.__module__, c.__qualname__))
random.Random(int(sys.argv[2])).shuffle(classes)
found = {}
for cls in classes:
    found[f"{cls.__module__}:{cls.__qualname__}"] = shown(cls.__pydantic_core_schema__)
assert len(found) > 300, len(found)
print(bool(copies), len(copies) > 300, file=sys.stderr)
for name, schema in sorted(found.items()):
    print(name, hashlib.sha256(repr(schema).encode()).hexdigest(), len(repr(schema)))
"""
CONFIGURATIONS = """
    from crewai import Agent, Crew
    from crewai.knowledge.knowledge import Knowledge
    import re
    def told(answer):
        print(re.sub("[0-9a-f]{8}-[0-9a-f.-]*", "#", str(answer)))
    values = (
        None, 1, "openai", {}, {"provider": "openai"}, {"provider": "other"}, {"config": {}},
        {"provider": "openai", "config": {"api_key": "k", "model_name": "m", "other": 1}},
        {"provider": "openai", "config": {"api_key": 1, "dimensions": "5"}},
        {"provider": "openai", "config": {"dimensions": "x", "default_headers": [1]}},
        {"provider": "ollama", "config": {"url": "u", "model_name": None}},
        {"provider": "onnx", "config": {"preferred_providers": "x"}},
        {"provider": "custom", "config": {"embedding_callable": int}},
        {"provider": "watsonx", "config": {"batch_size": "7", "input": [1]}},
        {"provider": "google-vertex", "config": {"project_id": 1, "location": "l"}},
        {"provider": "voyageai", "config": {"truncation": "yes", "timeout": "1.5"}},
    )
    for value in values:
        for model in (Agent, Crew, Knowledge):
            field = model.model_fields["embedder"]
            validator = model.__pydantic_validator__
            made = model.model_construct()
            print(model.__name__, field.annotation)
            told(tried(lambda: vars(validator.validate_assignment(
                made, "embedder", value)).get("embedder")))
        told(tried(lambda: Agent(role="r", goal="g", backstory="b", embedder=value).embedder))
    told(tried(Agent.model_json_schema))
"""


@pytest.mark.parametrize("order", range(3))
def test_complete_schemas(order: int, cache: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=cache, CREWAI_STORAGE_DIR="same")
    once, anew = (start("-c", ON + SCHEMAS, which, str(order), env=env) for which in "10")
    assert (once.returncode, anew.returncode) == (0, 0), once.stderr + anew.stderr
    assert once.stderr.splitlines()[-1] == "True True", once.stderr
    assert anew.stderr.splitlines()[-1] == "False False", anew.stderr
    assert once.stdout == anew.stdout
    assert once.stdout.count("\n") > 300


def test_validators(cache: Path, tmp_path: Path) -> None:
    same(code(CONFIGURATIONS), cache, tmp_path)
