"""The real CrewAI whose models' schemas are built at their first use: nobody can tell.

Each program is run plain and with the feature, and must print the same.
"""

import importlib.util
import re
from pathlib import Path

import pytest
from helpers import code, environment, start
from test_lazy import ON, QUIET, needs_fork

pytestmark = pytest.mark.skipif(importlib.util.find_spec("crewai") is None, reason="needs CrewAI")

REASON = """
import crewai
from fast_crewai.imports import pending
from fast_crewai.imports.schemas import SCHEMAS
print(pending.number(), SCHEMAS.state, SCHEMAS.reason)
"""
PUT_OFF = """
import crewai
from fast_crewai.imports import pending
from fast_crewai.imports.schemas import SCHEMAS
assert SCHEMAS.state == "active" and pending.number() > 250, (vars(SCHEMAS), pending.number())
"""
USUAL = """
import copy, inspect, pickle, sys, threading, typing, warnings
import pydantic
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import SchemaSerializer, SchemaValidator
from crewai.tasks.task_output import TaskOutput
from crewai.crews.crew_output import CrewOutput
from crewai.events.types.task_events import TaskFailedEvent, TaskStartedEvent
warnings.simplefilter("always")

def of(model):
    "What pydantic has made for a model."
    return (model.__pydantic_complete__, type(model.__pydantic_core_schema__),
            type(model.__pydantic_validator__), type(model.__pydantic_serializer__),
            [*model.model_fields], str(inspect.signature(model)))

def output(**more):
    return TaskOutput(**{"description": "d", "agent": "a", **more})

def tried(function):
    try:
        return function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder in which a first run has noted which classes can wait."""
    folder = tmp_path_factory.mktemp("cache")
    answer = start("-c", ON + REASON, env=environment(**QUIET, XDG_CACHE_HOME=folder))
    assert answer.stdout.startswith("0 off first run here"), answer.stdout + answer.stderr
    assert len(list((folder / "fast-crewai" / "schemas").iterdir())) == 1
    return folder


def same(program: str, cache: Path, tmp_path: Path, after: str = "") -> str:
    """What the program prints, with all schemas built by the import and with none.

    ``after`` is for the latter only.
    """
    answers = []
    for side, first, last in (("plain", "import crewai\n", ""), ("ours", ON + PUT_OFF, after)):
        folder = tmp_path / side
        folder.mkdir()
        file = folder / "program.py"
        file.write_text(first + USUAL + code(program) + code(last))
        env = environment(**QUIET, XDG_CACHE_HOME=cache, CREWAI_STORAGE_DIR="same")
        answers.append(start(file, cwd=folder, env=env))
    plain, ours = (
        re.sub("0x[0-9a-f]+|line [0-9]+|:[0-9]{9,}|[0-9a-f-]{36}", "#", answer.stdout)
        for answer in answers
    )
    assert plain != "", answers[0].stderr
    assert ours == plain, answers[1].stderr
    codes = [answer.returncode for answer in answers]
    assert codes == [0, 0], answers[codes.index(1) if 1 in codes else 0].stderr
    return ours


CASES = {
    "time that stands still": """
        import datetime
        class Fixed(datetime.datetime):
            @classmethod
            def now(cls, tz=None):
                return cls(2026, 1, 1, tzinfo=tz)
        datetime.datetime = Fixed
        from crewai import LLM, Task
        from crewai.memory.types import MemoryRecord
        print(tried(lambda: MemoryRecord(content="x").content), type(datetime).__name__)
        print(tried(lambda: Task(description="d", expected_output="e").start_time))
        print(tried(lambda: type(LLM("gpt-4o", api_key="none")).__name__))
        print(tried(lambda: of(__import__("openai").types.Batch)))
    """,
    "fields of all models": """
        import importlib
        from fast_crewai.imports.schema_manifest import MODULES
        def slots(field):
            return [(n, str(getattr(field, n))) for n in type(field).__slots__ if hasattr(field, n)]
        for name in MODULES:
            module = importlib.import_module(name)
            for held in vars(module).copy().values():
                made = isinstance(held, type) and held.__module__ == name
                if made and issubclass(held, BaseModel) and "[" not in held.__name__:
                    print(held, sorted(held.__class_vars__), [*held.__private_attributes__])
                    print([(n, slots(f)) for n, f in held.__pydantic_fields__.items()])
    """,
    "methods of flows": """
        from crewai.agents.agent_executor import AgentExecutor
        from crewai.flow.conversational_mixin import _ConversationalMixin
        from crewai.flow.flow_definition import FlowCodeActionDefinition, FlowMethodDefinition
        def slots(made):
            values = [getattr(made, n) for n in BaseModel.__slots__]
            return [sorted(value) if type(value) is set else value for value in values]
        def told(made):
            fields = [type(v) for v in vars(made).values()]
            return slots(made), slots(made.do), fields, repr(made)

        for flow in (AgentExecutor, _ConversationalMixin):
            for name, method in vars(flow).items():
                made = getattr(method, "__flow_method_definition__", None)
                if made is not None:
                    print(name, told(made))
        do = FlowCodeActionDefinition(ref="a:b")
        for more in ({}, {"start": True}, {"start": 1}, {"listen": "x", "router": True}, {"no": 1},
                     {"emit": ["y"]}, {"emit": "y"}, {"emit": ["y", 1]}, {"listen": {1: 2}},
                     {"listen": {"or": ["x"]}}, {"router": "yes"}, {"description": "d"}):
            print(tried(lambda: told(FlowMethodDefinition(do=do, **more))))
        given = {"or": ["x"]}, ["y"]
        made = FlowMethodDefinition(do=do, listen=given[0], emit=given[1])
        print(made.do is do, [made.listen is given[0], made.emit is given[1]])
        print(made.listen["or"] is given[0]["or"], made == FlowMethodDefinition(do=do, emit=["y"]))
        print(pickle.loads(pickle.dumps(made)) == made, copy.deepcopy(made), made.model_dump_json())
        print(made.model_copy(update={"router": True}), of(FlowMethodDefinition))
        class Mine(FlowMethodDefinition):
            mine: int = 1
        print(told(Mine(do=do, start=True)), tried(lambda: Mine(do=do, mine="x")))
        print(tried(lambda: told(FlowMethodDefinition(do={"call": "code", "ref": "a:b"}))))
    """,
    "methods of a user's flow": """
        from crewai.flow import Flow, and_, listen, or_, router, start
        class Mine(Flow):
            @start()
            def first(self): return 1
            @router(first)
            def way(self): return "left"
            @listen(or_("left", "right"))
            def second(self): return 2
            @listen(and_(first, second))
            def third(self): return 3
        for name, method in vars(Mine).items():
            print(name, getattr(method, "__flow_method_definition__", None))
        print(Mine(suppress_flow_events=True).kickoff(), of(Mine))
    """,
    "a method's class that is changed": """
        from crewai.flow import flow_definition as module
        do = module.FlowCodeActionDefinition(ref="a:b")
        module.FlowMethodDefinition.model_fields["router"].default = 5
        print(module.FlowMethodDefinition(do=do).router)
        module.FlowMethodDefinition.model_rebuild(force=True)
        print(module.FlowMethodDefinition(do=do).router)
    """,
    "generic flows": """
        from crewai.agents.agent_executor import AgentExecutor
        from crewai.flow import Flow
        for flow in AgentExecutor.__mro__:
            if issubclass(flow, Flow):
                print(flow, flow.__name__, of(flow), tried(lambda: flow(memory=3)))
                print(flow.__pydantic_core_schema__.get("schema_ref"))
                print(flow is AgentExecutor or sorted(vars(flow)))
                print(tried(lambda: flow.model_json_schema()))
    """,
    "attributes": "print(of(TaskOutput), of(CrewOutput), of(TaskFailedEvent), of(crewai.Crew))",
    "attributes of instances": """
        made = output()
        print(type(made.__pydantic_validator__), type(made.__pydantic_serializer__))
        print(made.model_config, made.__pydantic_complete__, made)
    """,
    "a subclass's": """
        class Mine(TaskOutput):
            mine: int = 3
        print(of(Mine), type(vars(Mine)["__pydantic_validator__"]), Mine.mine_too
              if hasattr(Mine, "mine_too") else None)
        print(tried(lambda: Mine(description="d", agent="a", mine="x")))
        print(Mine(description="d", agent="a", mine="4"))
    """,
    "a subclass that can't be built yet": """
        class Mine(TaskOutput):
            other: "Other"
        print(Mine.__pydantic_complete__, tried(lambda: Mine(description="d", agent="a")))
        class Other(BaseModel):
            output: TaskOutput
        print(Mine.model_rebuild(), of(Mine))
    """,
    "a subclass that is wrong": """
        def make():
            class Mine(TaskOutput):
                wrong: lambda: 3
        print(tried(make))
        def make():
            class Mine(TaskOutput):
                raw = 3
        print(tried(make))
        def make():
            class Mine(crewai.Agent):
                model_config = ConfigDict(arbitrary_types_allowed=False)
                wrong: threading.Thread
        print(tried(make))
    """,
    "a subclass's validators": """
        class Mine(TaskOutput):
            @pydantic.field_validator("raw")
            @classmethod
            def upper(cls, value):
                return value.upper()
            @pydantic.computed_field
            def twice(self) -> str:
                return self.raw * 2
        print(Mine(description="d", agent="a", raw="x").model_dump())
    """,
    "bases are complete when a subclass is made": """
        seen = []
        class Mine(TaskStartedEvent):
            def __init_subclass__(cls, **options):
                seen.append(of(cls.__mro__[1]))
        class More(Mine):
            pass
        print(seen, of(More))
    """,
    "nested": """
        class Outer(BaseModel):
            model_config = ConfigDict(title="outer")
            one: TaskOutput
            more: list[CrewOutput] = []
        print(Outer(one=output()), Outer.model_json_schema())
        inner = Outer.__pydantic_core_schema__
        print(inner["type"], [d["cls"] for d in inner.get("definitions", []) if "cls" in d])
        print(tried(lambda: Outer(one=1)), of(TaskOutput))
    """,
    "adapters": """
        for model in (TaskOutput, TaskStartedEvent, crewai.Crew, CrewOutput):
            adapter = TypeAdapter(model)
            print(adapter.validator is model.__pydantic_validator__,
                  adapter.serializer is model.__pydantic_serializer__,
                  adapter.core_schema is model.__pydantic_core_schema__)
        print(TypeAdapter(list[TaskFailedEvent]).json_schema())
    """,
    "unions, dataclasses, generics, create_model, root models": """
        from crewai.events.types.crew_events import CrewKickoffStartedEvent, CrewKickoffFailedEvent
        Both = typing.Annotated[CrewKickoffStartedEvent | CrewKickoffFailedEvent,
                                Field(discriminator="type")]
        value = {"type": "crew_kickoff_failed", "error": "e", "crew_name": "c"}
        print(type(TypeAdapter(Both).validate_python(value)))
        @pydantic.dataclasses.dataclass
        class Data:
            event: TaskOutput
        print(Data(output()))
        T = typing.TypeVar("T")
        class Box(BaseModel, typing.Generic[T]):
            held: T
        print(Box[TaskOutput](held=output()), of(Box[CrewOutput]))
        made = pydantic.create_model("Made", __base__=TaskOutput, x=(int, 3))
        print(of(made), made(description="d", agent="a"))
        class Root(pydantic.RootModel[list[TaskOutput]]):
            pass
        print(Root([output()]))
        @pydantic.validate_call
        def call(given: TaskOutput) -> None:
            print(given)
        call({"description": "d", "agent": "a"})
    """,
    "fields that are changed before": """
        TaskOutput.model_fields["raw"].default = "changed"
        TaskOutput.__pydantic_fields__["name"].annotation = int
        print(output(), tried(lambda: output(name=3)), inspect.signature(TaskOutput))
        print(TaskOutput.model_rebuild(force=True), output())
    """,
    "fields that are replaced before": """
        TaskOutput.__pydantic_fields__ = {}
        print(tried(lambda: output().raw), TaskOutput.__pydantic_fields__)
        del TaskOutput.__pydantic_fields__
        print(TaskOutput.model_fields)
    """,
    "a configuration that is changed before": """
        TaskOutput.model_config["extra"] = "forbid"
        print(output(more=1), TaskOutput.model_config)
        print(TaskOutput.model_rebuild(force=True), tried(lambda: output(more=1)))
    """,
    "a configuration that is replaced before": """
        TaskOutput.model_config = {"extra": "forbid"}
        print(output(more=1), TaskOutput.model_config)
        print(TaskOutput.model_rebuild(force=True), tried(lambda: output(more=1)))
    """,
    "methods that are set before": """
        from pydantic_core import core_schema
        TaskOutput.__get_pydantic_core_schema__ = classmethod(
            lambda cls, source, handler: core_schema.int_schema())
        TaskOutput.__init__ = lambda self, **more: print("init")
        print(TaskOutput.model_validate({"description": "d", "agent": "a"}))
        print(tried(lambda: TypeAdapter(list[TaskOutput]).validate_python([3])))
        print(TaskOutput.model_rebuild(force=True), tried(lambda: TaskOutput.model_validate(3)))
    """,
    "methods of a nested model that are set before": """
        from pydantic_core import core_schema
        TaskOutput.__get_pydantic_core_schema__ = classmethod(
            lambda cls, source, handler: core_schema.int_schema())
        print(tried(lambda: CrewOutput(raw="x", tasks_output=[3], token_usage={})))
        print("__get_pydantic_core_schema__" in vars(TaskOutput))
    """,
    "names that are changed before": """
        TaskOutput.__name__, CrewOutput.__name__ = "First", "Second"
        print(tried(lambda: TaskOutput.model_validate({})), TaskOutput.__name__)
        print(tried(lambda: CrewOutput(raw=3, tasks_output=[{}])), CrewOutput.model_json_schema())
    """,
    "decorators that are replaced before": """
        found = TaskOutput.__pydantic_decorators__
        TaskOutput.__pydantic_decorators__ = type(found)()
        print(tried(lambda: output(description="one two three")))
        print(TaskOutput.__pydantic_decorators__.model_validators)
    """,
    "patches": """
        from unittest import mock
        for name in ("validator", "serializer", "core_schema", "complete"):
            with mock.patch.object(TaskOutput, f"__pydantic_{name}__") as mocked:
                print(type(getattr(TaskOutput, f"__pydantic_{name}__")))
                if name == "validator":
                    TaskOutput.model_validate(3)
                    print(mocked.validate_python.call_count)
                if name == "serializer":
                    print(TaskOutput.__pydantic_validator__.title, of(CrewOutput))
            print(of(TaskOutput), output())
        with mock.patch.object(CrewOutput, "model_config", {}):
            with mock.patch.object(CrewOutput, "__pydantic_validator__") as mocked:
                print(CrewOutput.model_config, type(CrewOutput.__pydantic_serializer__))
                print(type(CrewOutput.model_validate(3)), mocked.validate_python.call_count)
        print(CrewOutput.model_config, of(CrewOutput), tried(lambda: CrewOutput(raw=3)))
    """,
    "attributes that are set or deleted": """
        from crewai.events.types.crew_events import CrewKickoffFailedEvent, CrewKickoffStartedEvent
        CrewKickoffFailedEvent.__pydantic_validator__ = TaskOutput.__pydantic_validator__
        print(type(CrewKickoffFailedEvent.__pydantic_serializer__))
        print(CrewKickoffFailedEvent.__pydantic_validator__.title)
        del CrewKickoffStartedEvent.__pydantic_serializer__
        print(type(CrewKickoffStartedEvent.__pydantic_core_schema__))
        print("__pydantic_serializer__" in vars(CrewKickoffStartedEvent))
        TaskStartedEvent.__pydantic_complete__ = 7
        del TaskFailedEvent.__pydantic_complete__
        for model in (TaskStartedEvent, TaskFailedEvent):
            print(model.__pydantic_complete__, type(model.__pydantic_validator__))
    """,
    "rebuilds": """
        for model in (TaskOutput, crewai.Crew, CrewOutput, crewai.Agent):
            print(model.model_rebuild(), model.__pydantic_complete__)
        before = TaskFailedEvent.__pydantic_validator__
        print(TaskFailedEvent.model_rebuild(force=True), of(TaskFailedEvent))
        print(before is TaskFailedEvent.__pydantic_validator__)
        print(TaskStartedEvent.model_rebuild(force=True, _types_namespace={}))
        print(of(TaskStartedEvent))
    """,
    "copies and pickles": """
        made = CrewOutput.model_construct(raw="x")
        print(made, copy.copy(made), copy.deepcopy(made))
        print(made == CrewOutput.model_construct(raw="x"))
        held = pickle.loads(pickle.dumps(TaskOutput.model_construct(raw="x", description="d")))
        print(held, held.model_copy(update={"raw": "y"}), pickle.loads(pickle.dumps(TaskOutput)))
        print(copy.copy(TaskOutput) is copy.deepcopy(TaskOutput) is TaskOutput)
        print(isinstance(held, TaskOutput), issubclass(TaskOutput, BaseModel))
    """,
    "looking at it": """
        print([(n, type(v)) for n, v in inspect.getmembers(TaskOutput) if "subclasshook" not in n])
        print(dir(CrewOutput), [*vars(CrewOutput)], str(inspect.signature(CrewOutput)))
        print([a[:3] for a in inspect.classify_class_attrs(TaskFailedEvent)])
        import pydoc
        print(len(pydoc.render_doc(TaskStartedEvent)), typing.get_type_hints(TaskOutput))
        from unittest import mock
        spec = mock.create_autospec(crewai.crews.crew_output.CrewOutput)
        print(dir(spec), type(spec.model_dump))
    """,
    "hasattr": """
        print(hasattr(TaskOutput, "__pydantic_validator__"), hasattr(TaskOutput, "nothing"))
        print(getattr(TaskOutput, "_private", 3), tried(lambda: TaskOutput.nothing))
        print(hasattr(BaseModel, "model_fields"), of(TaskOutput))
    """,
    "schemas, dumps, JSON": """
        print(TaskOutput.model_json_schema(mode="serialization"))
        print(output().model_dump_json())
        print(TaskOutput.model_validate_json('{"description": "d", "agent": "a"}'))
        print(tried(lambda: TaskOutput.model_validate_strings({"description": 1})))
        print(pydantic.TypeAdapter(typing.Any).dump_python(CrewOutput.model_construct(raw="x")))
        class Any(BaseModel):
            held: typing.Any
        held = TaskFailedEvent.model_construct(error="x", timestamp=None)
        print(Any(held=held).model_dump()["held"]["error"])
    """,
    "a name that an annotation means is replaced before": """
        import crewai.utilities.types as types
        from crewai.events.types.agent_events import LiteAgentExecutionStartedEvent as Event
        types.Literal = types.NotRequired = None
        print(of(Event), len(str(Event.__pydantic_core_schema__)) > 100)
    """,
    "a patched name that an annotation means": """
        from unittest import mock
        import crewai.utilities.types, crewai.state.runtime
        from crewai.events.types.agent_events import LiteAgentExecutionStartedEvent as Event
        with mock.patch("crewai.utilities.types.Literal", None):
            with mock.patch("crewai.agent.core.Agent", None):
                print(of(Event), tried(lambda: of(crewai.state.runtime.RuntimeState)[:3]))
        print(of(Event), of(crewai.state.runtime.RuntimeState))
    """,
    "incomplete models of CrewAI's own": """
        from crewai.events.types.agent_events import AgentExecutionStartedEvent as Event
        print(Event.__pydantic_complete__, type(vars(Event)["__pydantic_validator__"]))
        print(tried(lambda: Event(agent=1)), of(Event))
    """,
    "deep in a recursion": """
        def down(depth):
            if depth:
                return down(depth - 1)
            return output(), type(crewai.Agent.__pydantic_validator__), of(CrewOutput)[0]
        print(down(sys.getrecursionlimit() - 60))
    """,
    "no warnings": """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for model in (TaskOutput, crewai.Agent, crewai.Crew, crewai.Flow, crewai.Task):
                of(model)
        print([str(warning.message) for warning in caught if "model_fields" not in str(warning)])
    """,
    "a flow": """
        class State(BaseModel):
            held: TaskOutput | None = None
        class Mine(crewai.Flow[State]):
            @crewai.flow.flow.start()
            def begin(self):
                self.state.held = output()
                return self.state.held.raw
        print(of(Mine)[:4], Mine().kickoff())
    """,
    "threads": """
        ready = threading.Barrier(8)
        found = []
        def use():
            ready.wait()
            agent = crewai.Agent.__pydantic_validator__
            found.append((agent, TaskOutput.__pydantic_serializer__, output().raw))
        threads = [threading.Thread(target=use) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(len(found), len({*map(id, (f[0] for f in found))}), len({id(f[1]) for f in found}))
        print(crewai.Agent.__pydantic_validator__ is found[0][0], threading.active_count())
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_nobody_can_tell(name: str, cache: Path, tmp_path: Path) -> None:
    same(CASES[name], cache, tmp_path)


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_the_order_all_is_as_plain(seed: int, cache: Path, tmp_path: Path) -> None:
    program = f"""
        import hashlib
        from fast_crewai.cli import models
        import crewai.llms.providers.openai.completion
        crewai.knowledge.storage.knowledge_storage.ChromaDBConfig  # and what else was left out
        models.touch({seed})
        for name, text in sorted(models.describe({seed} == 1).items()):
            for line in text.splitlines():
                print(name, line[:40], hashlib.sha256(line.encode()).hexdigest()[:12])
        for model in sorted(models.all_models(), key=str):  # those that CrewAI leaves incomplete
            print(model, tried(lambda: model.model_rebuild()))
        for name, text in sorted(models.describe().items()):
            print(name, text)
    """
    assert same(program, cache, tmp_path).count("\n") > 1000


def test_annotations_are_looked_up_in_modules_that_are_watched(cache: Path, tmp_path: Path) -> None:
    program = """
        from fast_crewai.imports import schema_manifest
        places = {id(vars(module)): name for name, module in [*sys.modules.items()]
                  if hasattr(module, "__dict__")}
        seen = set()
        evaluate = typing.ForwardRef._evaluate
        def watching(self, globalns, *more, **options):
            if pending._active() and not self.__forward_evaluated__:
                seen.add(places.get(id(globalns)))
            return evaluate(self, globalns, *more, **options)
        typing.ForwardRef._evaluate = watching
        pending.build_all()
        assert len(seen) > 3 and seen <= {*schema_manifest.EVALUATED}, seen
        print("fine")
    """
    env = environment(**QUIET, XDG_CACHE_HOME=cache)
    answer = start("-c", ON + PUT_OFF + USUAL + code(program), env=env)
    assert answer.stdout == "fine\n", answer.stderr


def ours(program: str, cache: Path, **more: str) -> str:
    env = environment(**QUIET, XDG_CACHE_HOME=cache, **more)
    answer = start("-c", ON + PUT_OFF + USUAL + code(program), env=env)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_what_is_seen_in_the_namespace_works(cache: Path) -> None:
    """The one place where a class that waits can be told from one that doesn't."""
    program = """
        from pydantic._internal._mock_val_ser import MockCoreSchema, MockValSer
        held = {**vars(TaskOutput)}
        assert isinstance(held["__pydantic_validator__"], MockValSer)
        assert isinstance(held["__pydantic_core_schema__"], MockCoreSchema)
        kind = TaskOutput.__pydantic_core_schema__["type"]
        assert held["__pydantic_core_schema__"]["type"] == kind
        made = held["__pydantic_validator__"].validate_python({"description": "d", "agent": "a"})
        print(repr(made))
        assert vars(TaskOutput)["__pydantic_validator__"] is TaskOutput.__pydantic_validator__
        assert type(vars(TaskOutput)["__pydantic_validator__"]) is SchemaValidator
        assert type(vars(TaskOutput)["model_config"]) is dict
    """
    assert "description='d'" in ours(program, cache)


def test_uninstall_builds_all_and_leaves_pydantic_as_it_was(cache: Path) -> None:
    program = """
        import fast_crewai
        from pydantic import type_adapter
        from pydantic._internal import _model_construction as construction
        assert construction.complete_model_class.__module__ == construction.__name__
        assert not hasattr(construction.complete_model_class, "__wrapped__")
        assert hasattr(construction.GenerateSchema._model_schema, "__wrapped__")
        fast_crewai.uninstall()
        assert not pending.number(), pending.number()
        for held in (construction.GenerateSchema._model_schema, type_adapter._getattr_no_parents):
            assert not hasattr(held, "__wrapped__"), held
        from fast_crewai.cli import models
        for model in models.all_models():
            kinds = [type(vars(model).get(f"__pydantic_{n}__")) for n in ("validator", "fields")]
            assert all(not kind.__module__.startswith("fast_crewai") for kind in kinds), kinds
        assert not [n for n, m in sys.modules.items() if n.startswith("crewai")
                    and type(m).__module__.startswith("fast_crewai")]
        print(SCHEMAS.state, SCHEMAS.reason)
    """
    assert ours(program, cache) == "off uninstalled\n"


def test_it_can_be_switched_off(cache: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=cache, FAST_CREWAI_DISABLE="imports.schemas")
    answer = start("-c", ON + REASON, env=env)
    assert answer.stdout == "0 off disabled by the user (imports.schemas)\n", answer.stderr


BEFORE = [
    (
        "from pydantic._internal import _model_construction as c\n"
        "kept = c.complete_model_class\n"
        "c.complete_model_class = lambda *a, **k: kept(*a, **k)\n",
        "complete_model_class of pydantic was replaced",
    ),
    (
        "import pydantic, pydantic_core\npydantic_core.__version__ = '9'\n",
        "not proven with pydantic_core 9",
    ),
    (
        "import pydantic.plugin._loader as loader\n"
        "class Plugin:\n"
        "    def new_schema_validator(self, *more):\n"
        "        return None, None, None\n"
        "loader._plugins = {'x': Plugin()}\n",
        "CrewAI's models were not defined as usual",
    ),
]


@pytest.mark.parametrize(("before", "reason"), BEFORE)
def test_a_strange_pydantic_is_left_alone(before: str, reason: str, cache: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=cache)
    answer = start("-c", ON + before + REASON, env=env)
    assert answer.stdout == f"0 off {reason}\n", answer.stderr


@pytest.mark.parametrize("what", ["VERSIONS", "PYDANTIC"])
def test_unknown_files_are_left_alone(what: str, tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    before = f"from fast_crewai.imports import schema_manifest\nschema_manifest.{what} = {{}}\n"
    for _ in "12":
        answer = start("-c", ON + before + REASON, env=env)
        assert answer.stdout.startswith("0 off ") and "differs from every" in answer.stdout
    assert not (tmp_path / "fast-crewai" / "schemas").exists()


def test_files_that_changed_make_a_first_run(cache: Path, tmp_path: Path) -> None:
    """The note is of these very files; a damaged one is none."""
    program = """
        from pathlib import Path
        from fast_crewai.imports import schema_proof, store
        found = schema_proof.look(Path(crewai.__path__[0]))
        assert not found.first and len(found.allowed) > 300
        stored = store.read(found.mark)
        stored["state"][3][0] += 1
        store.write(found.mark, stored)
        assert schema_proof.look(Path(crewai.__path__[0])).first
        found.mark.write_bytes(found.mark.read_bytes()[:-1])
        assert schema_proof.look(Path(crewai.__path__[0])).first
        stored["state"][3][0] -= 1
        store.write(found.mark, stored)
        assert not schema_proof.look(Path(crewai.__path__[0])).first
        print("fine")
    """
    assert ours(program, cache) == "fine\n"


def test_classes_of_others_are_built_at_once(cache: Path, tmp_path: Path) -> None:
    """While CrewAI is imported, too: by a hook of the user's, or by another thread."""
    program = """
import wrapt
from pydantic import BaseModel
made = []
def define(module):
    class Mine(module.TaskOutput):
        x: int = 1
    made.append(Mine)
    made.append(type(vars(Mine)["__pydantic_validator__"]).__name__)
    made.append(type(vars(module.TaskOutput)["__pydantic_validator__"]).__name__)
wrapt.register_post_import_hook(define, "crewai.tasks.task_output")
import crewai
print(made[1:], made[0](description="d", agent="a").x)
"""
    env = environment(**QUIET, XDG_CACHE_HOME=cache)
    answer = start("-c", ON + program, env=env)
    assert answer.stdout == "['SchemaValidator', 'PendingValSer'] 1\n", answer.stderr


def test_a_failed_import_leaves_pydantic_as_it_was(cache: Path) -> None:
    program = """
import sys
sys.modules["crewai.tasks.conditional_task"] = None
try:
    import crewai
except ImportError as error:
    print("failed", error)
from pydantic._internal import _model_construction as construction
print(hasattr(construction.complete_model_class, "__wrapped__"))
from fast_crewai.imports import pending
print(pending._importing)
"""
    env = environment(**QUIET, XDG_CACHE_HOME=cache)
    answer = start("-c", ON + program, env=env)
    assert answer.stdout.splitlines()[-2:] == ["False", "0"], answer.stdout + answer.stderr


def test_threads_that_import_and_use_do_not_wait_for_ever(cache: Path, tmp_path: Path) -> None:
    """One builds a class, for which it imports a module that another imports, that uses one."""
    (tmp_path / "slow.py").write_text(
        "import time\n"
        "import meeting\n"
        "meeting.begun.set()\n"
        "meeting.building.wait(20)\n"
        "from crewai.crews.crew_output import CrewOutput\n"
        "print(CrewOutput.__pydantic_validator__.title)\n"
    )
    (tmp_path / "meeting.py").write_text(
        "import threading\nbegun, building = threading.Event(), threading.Event()\n"
    )
    program = f"""
        sys.path.insert(0, {str(tmp_path)!r})
        import meeting
        from pydantic._internal import _model_construction as construction
        real = construction.SchemaSerializer
        def importing(*more):
            construction.SchemaSerializer = real
            meeting.begun.wait(20)
            meeting.building.set()
            import slow
            return real(*more)
        construction.SchemaSerializer = importing
        threads = [threading.Thread(target=lambda: TaskOutput.__pydantic_validator__),
                   threading.Thread(target=lambda: __import__("slow"))]
        for thread in threads:
            thread.daemon = True
            thread.start()
        for thread in threads:
            thread.join(30)
        print([thread.is_alive() for thread in threads], TaskOutput.__pydantic_validator__.title)
    """
    assert ours(program, cache) == "CrewOutput\n[False, False] TaskOutput\n"


def test_threads_that_finish_classes_do_not_disturb_one_that_looks_at_all(cache: Path) -> None:
    program = """
        sys.setswitchinterval(1e-6)
        from fast_crewai.cli import models
        classes = sorted(models.all_models(), key=str)
        found = []
        def use(order):
            for model in order:
                try:
                    type(model.__pydantic_validator__)
                    pending.number()
                except RuntimeError as error:
                    found.append(error)
        threads = [threading.Thread(target=use, args=(classes[i:] + classes[:i],))
                   for i in (0, 90, 180)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(found, pending.number())
    """
    assert ours(program, cache) == "[] 0\n"


def test_an_interrupted_build_is_made_again(cache: Path) -> None:
    program = """
        from pydantic._internal import _model_construction as construction
        real = construction.SchemaSerializer
        def interrupted(*more):
            construction.SchemaSerializer = real
            raise KeyboardInterrupt
        construction.SchemaSerializer = interrupted
        try:
            TaskOutput.__pydantic_validator__
        except KeyboardInterrupt:
            print("interrupted", pending.of(TaskOutput) is not None, pending._active())
        print(output(raw="x"), of(TaskOutput)[0])
    """
    assert ours(program, cache) == "interrupted True set()\nx True\n"


@needs_fork
def test_a_fork_while_a_class_is_built(cache: Path) -> None:
    program = """
        import os
        from pydantic._internal import _model_construction as construction
        real = construction.SchemaSerializer
        inside, go_on = threading.Event(), threading.Event()
        def waiting(*more):
            construction.SchemaSerializer = real
            inside.set()
            go_on.wait(20)
            return real(*more)
        construction.SchemaSerializer = waiting
        thread = threading.Thread(target=lambda: TaskOutput.__pydantic_validator__)
        thread.start()
        inside.wait(20)
        child = os.fork()
        if not child:
            turn = pending._turn.acquire(timeout=0)  # else each class would wait for it
            os._exit(0 if turn and output(raw="x").raw == "x" and of(crewai.Agent)[0] else 1)
        print(os.waitpid(child, 0)[1])
        go_on.set()
        thread.join()
        print(output(raw="x"), type(TaskOutput.__pydantic_validator__))
    """
    expected = "0\nx <class 'pydantic_core._pydantic_core.SchemaValidator'>\n"
    assert ours(program, cache) == expected


def test_the_check_finds_a_schema_that_differs(cache: Path) -> None:
    program = """
        from fast_crewai.cli import models, warming
        plain = {"models": models.describe()}
        changed = pydantic.create_model("TaskOutput", __base__=BaseModel, x=(int, 3))
        TaskOutput.__pydantic_core_schema__ = changed.__pydantic_core_schema__
        CrewOutput.model_config["extra"] = "forbid"
        print(warming.compare_models(plain, {"models": models.describe()}))
    """
    names = ("crewai.crews.crew_output:CrewOutput", "crewai.tasks.task_output:TaskOutput")
    assert ours(program, cache) == f"{[f'schema of {name}' for name in names]}\n"


def test_a_difference_switches_it_off(cache: Path, tmp_path: Path) -> None:
    env = environment(**QUIET, XDG_CACHE_HOME=tmp_path)
    assert start("-c", ON + REASON, env=env).stdout.startswith("0 off first run here")
    program = "from fast_crewai.imports import schema_proof\nschema_proof.distrust('why')\n"
    assert start("-c", program, env=env).returncode == 0
    assert start("-c", ON + REASON, env=env).stdout == "0 off why\n"
