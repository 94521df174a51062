"""Native core (Rust). Each function mirrors one function of CrewAI or pydantic exactly, for the
inputs it accepts; for all others it raises `Declined` before any side effect, and the caller runs
the original. Exceptions raised by Python code that is called back (a `__repr__`, the `original`)
pass through unchanged. A caught panic or an impossible state raises `CoreError`."""

from collections.abc import Callable
from typing import Any, Final, final

__all__ = [
    "CoreError",
    "Declined",
    "Guard",
    "PrivateAttributes",
    "__version__",
    "find_triggered_in",
    "find_triggered_methods",
    "interpolate",
    "sanitize_tool_name",
    "start_method_names",
    "to_serializable",
    "track_again",
]
__version__: Final[str]
"""Version of the crate."""

class Declined(Exception):  # noqa: N818 - an answer, not an error
    """This input is not ours. `args[0]`: a short stable reason (under 60 characters, no user
    data). Nothing has been changed."""

class CoreError(Exception):
    """The core failed internally: a caught panic, or a state that cannot occur."""

@final
class Guard:
    """The methods that a replaced method relies on."""

    def __new__(cls, methods: list[tuple[str, object]]) -> Guard:
        """`methods`: (name, expected function). Raises TypeError if an entry has another shape."""

    def intact(self, obj: object) -> None:
        """Each `obj.NAME` must be a bound method of `obj` whose `__func__` is the expected
        function. Reads attributes as Python does: the instance, its class, `__getattr__`.

        Raises Declined("overridden: NAME") if one isn't, or reading it raises."""

def sanitize_tool_name(name: str, max_length: int) -> str:
    """Mirrors crewai.utilities.string_utils.sanitize_tool_name.

    Raises Declined unless `name` is an exact ASCII str, `max_length` an exact int (64 bits) and
    the result not longer than it."""

def interpolate(input_string: str | None, inputs: dict[str, Any]) -> str:
    """Mirrors crewai.utilities.string_utils.interpolate_only, including replacements inside
    values that were just filled in, and the same object where the original returns its argument.

    Raises Declined for every case in which the original raises (missing variable, unsupported
    type, empty inputs), for subclasses of the builtin types, nesting over 100, lone surrogates,
    and results over 16 MB."""

def to_serializable(
    obj: Any,
    exclude: set[str] | frozenset[str] | None,
    max_depth: int,
    current_depth: int,
    ancestors: set[int] | None,
    original: Callable[[Any, Any, int, int, set[int]], Any],
) -> Any:
    """Mirrors crewai.utilities.serialization.to_serializable.

    Values that aren't plain data, and everything at depth 100 or more, are handed to `original`,
    called as `original(value, exclude, max_depth, depth, ancestor_ids)`.

    Raises Declined if `obj` isn't an exact None, str, int, float, bool, dict, list, tuple or set;
    if the other arguments aren't of exact types, or `current_depth` is outside 0..99; and if a
    container changes while it is read (code called back may have run by then)."""

def find_triggered_methods(flow: Any, trigger_method: str, router_only: bool) -> list[str]:
    """Mirrors crewai.flow.runtime.Flow._find_triggered_methods with its helpers
    `_listener_methods`, `_condition_met`, `_condition_satisfied`, `_condition_branches` and
    `_is_multi_event_or`: the same list, the same changes to `_pending_events` and
    `_fired_or_listeners`, in the same order. Reads `flow.__pydantic_private__`; keeps nothing.

    Raises Declined, before any change, if the private state is missing, shadowed by another
    attribute or of other types than exact dict/set/str/bool, or a condition isn't an exact str or
    an exact dict of "and"/"or" with an exact list (nesting up to 64). Doesn't see a user's own
    `__getattr__`: guard it."""

def find_triggered_in(private: dict[str, Any], trigger_method: str, router_only: bool) -> list[str]:
    """`find_triggered_methods` of the flow whose `__pydantic_private__` this is, for callers who
    know that nothing shadows it."""

def start_method_names(flow: Any) -> list[str]:
    """Mirrors crewai.flow.runtime.Flow._start_method_names (`is_start` is `bool(start)`).

    Raises Declined as `find_triggered_methods` does, or if a `start` isn't an exact bool, str,
    dict or None."""

class PrivateAttributes:
    """Mirrors pydantic.main.BaseModel.__getattr__ (2.11, 2.12) as `super(owner, obj)` finds it."""

    def __new__(cls, owner: object, base_getattr: object) -> PrivateAttributes:
        """`base_getattr` is `BaseModel.__getattr__`; `owner` the class that gets our own."""

    def read(self, obj: object, name: object) -> Any:
        """The value of a private attribute that is set; for anything else (no private attribute,
        not set, a default that might be a descriptor) what `base_getattr(obj, name)` returns or
        raises. No side effects of its own.

        Raises Declined if `super(owner, obj).__getattr__` isn't `base_getattr`."""

def track_again(objects: list[object], /) -> None:
    """Objects that the garbage collector keeps apart (`gc.freeze`) become young again."""
