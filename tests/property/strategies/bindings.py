"""Functions of all shapes, decorated as flow methods, changed afterwards, and bound."""

import functools
import inspect
from types import SimpleNamespace
from typing import Any

from crewai.flow import flow_wrappers
from hypothesis import strategies as st

VALUES = [1, "text", None, [1], {"a": 1}, int]
NAMES = ["value", "result", "extra"]


class Own(flow_wrappers.ListenMethod):
    def __init__(self, meth, instance=None):
        super().__init__(meth, instance)
        self.own = 1


class Slow(flow_wrappers.StartMethod):
    def __setattr__(self, name, value):
        super().__setattr__(name.lower(), value)


KINDS = [
    flow_wrappers.StartMethod,
    flow_wrappers.ListenMethod,
    flow_wrappers.RouterMethod,
    flow_wrappers.FlowMethod,
]
parameter = st.fixed_dictionaries(
    {
        "default": st.none() | st.sampled_from(VALUES),
        "annotated": st.none() | st.sampled_from(VALUES),
    }
)
shapes = st.fixed_dictionaries(
    {
        "positional_only": st.lists(parameter, max_size=2),
        "plain": st.lists(parameter, max_size=3),
        "star": st.booleans(),
        "keyword_only": st.lists(parameter, max_size=2),
        "stars": st.booleans(),
        "returns": st.none() | st.sampled_from(VALUES),
        "asynchronous": st.sampled_from(["", "", "async "]),
        "locals": st.booleans(),
    }
)


def function(shape: Any) -> Any:
    values: dict[str, Any] = {}
    after_default = [False]

    def declare(prefix: str, all_of_them: list[Any], keyword: bool = False) -> list[str]:
        declared = []
        for number, one in enumerate(all_of_them):
            name = text = f"{prefix}{number}"
            if one["annotated"] is not None:
                values[f"{name}_a"] = one["annotated"]
                text += f": {name}_a"
            if one["default"] is not None or (after_default[0] and not keyword):
                values[f"{name}_d"] = one["default"]
                text += f" = {name}_d"
                after_default[0] = after_default[0] or not keyword
            declared.append(text)
        return declared

    positional_only = declare("p", shape["positional_only"])
    parts = [*positional_only, *(["/"] if positional_only else []), *declare("a", shape["plain"])]
    keyword_only = declare("k", shape["keyword_only"], keyword=True)
    if shape["star"]:
        parts.append("*star")
    elif keyword_only:
        parts.append("*")
    parts += keyword_only
    if shape["stars"]:
        parts.append("**stars")
    returns = ""
    if shape["returns"] is not None:
        values["r"] = shape["returns"]
        returns = " -> r"
    body = "    local = other = 1\n    return local\n" if shape["locals"] else "    return 1\n"
    head = f"{shape['asynchronous']}def method({', '.join(parts)}){returns}:\n"
    exec(head + '    "A docstring."\n' + body, values)
    return values["method"]


def wrapped(inner: Any) -> Any:
    @functools.wraps(inner)
    def method(*arguments: Any, **options: Any) -> Any:
        return inner(*arguments, **options)

    return method


def told(inner: Any) -> Any:
    inner.__signature__ = inspect.Signature([inspect.Parameter("x", 1)])
    return inner


DECORATED = {
    "plain": lambda inner: inner,
    "wrapped": wrapped,
    "twice": lambda inner: wrapped(wrapped(inner)),
    "told": told,
    "told, wrapped": lambda inner: wrapped(told(inner)),
    "a flow method": flow_wrappers.ListenMethod,
    "partial": lambda inner: functools.partial(inner, 1),
}

CHANGES = {
    "defaults": lambda wrapper, f: setattr(f, "__defaults__", (1, 2)[: f.__code__.co_argcount]),
    "keyword defaults": lambda wrapper, f: setattr(f, "__kwdefaults__", {"k0": object}),
    "annotations": lambda wrapper, f: setattr(f, "__annotations__", {"a0": str, "return": int}),
    "an annotation": lambda wrapper, f: f.__annotations__.__setitem__("a0", "other"),
    "code": lambda wrapper, f: setattr(f, "__code__", (lambda one, two=2, *, three: 1).__code__),
    "own signature": lambda wrapper, f: told(f),
    "no signature": lambda wrapper, f: wrapper.__dict__.pop("__signature__", None),
    "other signature": lambda wrapper, f: wrapper.__dict__.__setitem__("__signature__", 1),
    "name": lambda wrapper, f: setattr(f, "__name__", "other"),
    "qualname": lambda wrapper, f: setattr(f, "__qualname__", "outer.other"),
    "module": lambda wrapper, f: setattr(f, "__module__", None),
    "document": lambda wrapper, f: setattr(f, "__doc__", "other"),
    "feedback": lambda wrapper, f: setattr(f, "__human_feedback_config__", VALUES),
    "conversational": lambda wrapper, f: setattr(f, "__conversational_only__", True),
    "persistence": lambda wrapper, f: setattr(f, "__flow_persistence_config__", None),
    "definition": lambda wrapper, f: setattr(f, "__flow_method_definition__", KINDS),
    "definition of the wrapper": lambda wrapper, f: setattr(
        wrapper, "__flow_method_definition__", VALUES
    ),
    "attribute": lambda wrapper, f: setattr(wrapper, "own", VALUES),
    "attribute of the function": lambda wrapper, f: setattr(f, "own", 2),
    "mark": lambda wrapper, f: setattr(f, "_is_coroutine_marker", object()),
    "name of the wrapper": lambda wrapper, f: setattr(wrapper, "__name__", "mine"),
}
changes = st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=2, unique=True)
examples = st.tuples(
    st.sampled_from([*KINDS, *KINDS, *KINDS, Own, Slow]),
    shapes,
    st.sampled_from(["plain"] * 9 + sorted(DECORATED)),
    st.just([]) | changes | changes,
    st.sampled_from([*["instance"] * 9, None]),
)


def parameters(signature: Any) -> Any:
    if not isinstance(signature, inspect.Signature):
        return signature
    return [
        type(signature),
        id(signature.return_annotation),
        *((p.name, p.kind, id(p.default), id(p.annotation)) for p in signature.parameters.values()),
    ]


def observe(get: Any, example: Any) -> Any:
    """What binding gives: type and all attributes, in order, by identity."""
    kind, shape, decorated, changed, instance = example
    inner = function(shape)
    try:
        wrapper = kind(DECORATED[decorated](inner))
    except Exception as error:
        return type(error), str(error)
    for change in changed:
        CHANGES[change](wrapper, inner)
    before = dict(wrapper.__dict__)
    owner = SimpleNamespace(name=instance) if instance else None
    try:
        bound = get(wrapper, owner, SimpleNamespace)
    except Exception as error:
        return type(error), str(error), before == wrapper.__dict__
    names = {id(wrapper): "wrapper", id(owner): "owner", id(inner): "inner", id(bound): "bound"}
    names |= {id(value): ("wrapper", name) for name, value in before.items()}
    names |= {id(value): ("inner", name) for name, value in inner.__dict__.items()}

    def same(name: str, value: Any) -> Any:
        if name == "__signature__":
            return stable(parameters(value))
        return names.get(id(value)) or (type(value), repr(value).partition(" at ")[0])

    def stable(found: Any) -> Any:
        return repr([one if not isinstance(one, int) else numbers(one) for one in flat(found)])

    def flat(found: Any) -> Any:
        for one in found if isinstance(found, (list, tuple)) else [found]:
            yield from flat(one) if isinstance(one, (list, tuple)) else [one]

    known = [inspect.Parameter.empty, *VALUES, *inner.__globals__.values(), object, str]
    known += [*(inner.__defaults__ or ()), *inner.__annotations__.values()]
    order = {id(value): number for number, value in reversed(list(enumerate(known)))}

    def numbers(one: int) -> Any:
        return order.get(one, "other")

    return (
        type(bound),
        bound is wrapper,
        [(name, same(name, value)) for name, value in bound.__dict__.items()],
        before == wrapper.__dict__,
        list(before) == list(wrapper.__dict__),
        inspect.iscoroutinefunction(bound),
    )
