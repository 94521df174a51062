"""What can be seen of an imported CrewAI, as JSON: plain and accelerated must be the same.

python description.py [on|off] SEED
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import types
from typing import Any

PACKAGES = ("crewai", "crewai_core", "crewai_files")


def kickoff() -> str:
    """A crew of one agent with a model that is a function."""
    from crewai import Agent, BaseLLM, Crew, Task

    class Fake(BaseLLM):
        def call(self, *arguments: Any, **options: Any) -> str:
            return "Thought: I now can give a great answer\nFinal Answer: forty two"

        def supports_function_calling(self) -> bool:
            return False

    agent = Agent(role="r", goal="g", backstory="b", llm=Fake(model="fake"))
    task = Task(description="d {x}", expected_output="e", agent=agent)
    return str(Crew(agents=[agent], tasks=[task]).kickoff(inputs={"x": "1"}))


def describe(models: Any, seed: int) -> dict[str, Any]:
    """Import CrewAI, use it, then look at all of it; ``models`` is the module of that name."""
    import crewai
    from crewai.events import crewai_event_bus

    models.touch(seed, 0.3)
    answer = kickoff()
    models.touch(seed)
    handlers = {
        kind.__name__: len(found) for kind, found in crewai_event_bus._sync_handlers.items()
    }
    modules: dict[str, str] = {}
    number = 0
    # The first look makes what was left out be imported, the second one sees it.
    for _ in range(2):
        modules.clear()
        number = 0
        for name, module in sorted(sys.modules.items()):
            if name.partition(".")[0] in PACKAGES:
                names = _names(module)
                number += len(names)
                modules[name] = hashlib.sha256(repr(names).encode()).hexdigest()[:16]
    return {
        "version": crewai.__version__,
        "answer": answer,
        "handlers": handlers,
        "names": number,
        "modules": modules,
        "models": models.describe(),
    }


def _names(module: Any) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name in sorted(n for n in dir(module) if not n.startswith("__")):
        value = getattr(module, name, None)
        what = getattr(value, "__qualname__", "") if isinstance(value, type) else ""
        kind = type(value)
        ours = kind.__module__.startswith("fast_crewai.imports.")
        if ours and isinstance(value, types.ModuleType):  # as long as it is watched, or lacks names
            kind = types.ModuleType
        found.append((name, kind.__name__, str(what)))
    return found


if __name__ == "__main__":
    our_models = importlib.import_module("models")
    del sys.path[0]  # this file's folder
    if sys.argv[1] == "on":
        from fast_crewai import finder

        finder.start()
    print(json.dumps(describe(our_models, int(sys.argv[2]))))
