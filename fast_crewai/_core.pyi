"""Native core (Rust). Each function mirrors one function of CrewAI or pydantic exactly, for the
inputs it accepts; for all others it raises `Declined` before any side effect, and the caller runs
the original. Exceptions raised by Python code that is called back (a `__repr__`, the `original`)
pass through unchanged. A caught panic or an impossible state raises `CoreError`."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Final, Literal, final

from fast_crewai.errors import NativeError as CoreError

__all__ = [
    "AgentMessage",
    "CoreError",
    "Declined",
    "Guard",
    "MemoryMirror",
    "MemoryRecords",
    "PrivateAttributes",
    "RustMemoryStorage",
    "RustSQLiteWrapper",
    "RustTaskExecutor",
    "RustToolExecutor",
    "__version__",
    "answer_of",
    "are_plain_hits",
    "are_plain_texts",
    "cosine_similarity",
    "deserialize_messages",
    "find_triggered_in",
    "find_triggered_methods",
    "gather_schemas",
    "interpolate",
    "json_text",
    "jsonb_of",
    "kind_of_json",
    "python_literal",
    "repaired_elements",
    "repaired_members",
    "rows_to_decode",
    "sanitize_tool_name",
    "score_findings",
    "serialize_messages",
    "shut_down_tasks",
    "start_method_names",
    "text_of_jsonb",
    "to_serializable",
    "track_again",
    "track_records",
]
__version__: Final[str]
"""Version of the crate."""

class Declined(Exception):  # noqa: N818 - an answer, not an error
    """This input is not ours. `args[0]`: a short stable reason (under 60 characters, no user
    data). Nothing has been changed."""

@final
class Guard:
    """The methods that a replaced method relies on."""

    def __new__(cls, methods: list[tuple[str, object]]) -> Guard:
        """`methods`: (name, expected function). Raises TypeError if an entry has another shape."""

    def intact(self, obj: object) -> None:
        """Each `obj.NAME` must be a bound method of `obj` whose `__func__` is the expected
        function. Reads attributes as Python does: the instance, its class, `__getattr__`.

        Raises Declined("overridden: NAME") if one isn't, or reading it raises."""

def json_text(value: Any) -> str:
    """What `json.dumps(value)` returns.

    Raises Declined unless all of it is of the exact types None, bool, int (64 bits), float, str
    without lone surrogates, list, and dict with such keys, nested up to 100 levels."""

def kind_of_json(text: str) -> str:
    """What `json.loads(text)` does: "plain" for JSON without NaN, numbers of more than 600 digits
    or more than 50 levels; "broken", "cut" for what surely raises JSONDecodeError, and "cut" if it
    is JSON of up to 20 levels up to its end; else "unsure"."""

def python_literal(text: str) -> list[Any] | dict[str, Any] | None:
    """What `ast.literal_eval(text)` surely returns. None for all but lists and dicts of strings
    without escapes, numbers of up to 18 digits, None, True, False, up to 16 levels."""

def repaired_elements(text: str, made: list[Any], quoteless: bool) -> tuple[int, int]:
    """Adds to `made` the elements of a list that `text` begins with, as json_repair reads them, as
    far as that is certain. Returns where the text behind them begins, and how far was looked.
    `quoteless`: all of what `text` is a part of has no double quote from its beginning on."""

def repaired_members(text: str, made: dict[str, Any], quoteless: bool) -> tuple[int, int]:
    """The same with members of an object, up to a key that `made` has or gets twice. Another key
    begins behind them."""

def are_plain_texts(joined: bytes, count: int) -> bool:
    """Whether `joined` is `count` texts in UTF-8, a byte 1 between them, which `json.loads` surely
    reads (as in `rows_to_decode`), and none of them is a mere number."""

def rows_to_decode(rows: list[Any], columns: list[int]) -> list[Any]:
    """Those of the `rows` (tuples) in which not every one of the `columns` holds a str that
    `json.loads` surely reads: JSON without NaN, numbers of more than 600 digits, or more than 50
    levels. A str with lone surrogates isn't surely read."""

def jsonb_of(text: str) -> bytes:
    """What SQLite's `jsonb(text)` stores; DatabaseError if that isn't JSON (as SQLite sees it)."""

def text_of_jsonb(blob: bytes) -> str:
    """What SQLite's `json(blob)` makes of such bytes; DatabaseError for others."""

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
    shapes: tuple[dict[Any, Any], Callable[[Any], Any], tuple[type, ...]] | None = None,
) -> Any:
    """Mirrors crewai.utilities.serialization.to_serializable.

    Values that aren't plain data, and everything at depth 100 or more, are handed to `original`,
    called as `original(value, exclude, max_depth, depth, ancestor_ids)`.

    `shapes` says what else is known: a dict by class, what to ask for a class that it hasn't, and
    the metaclasses of those that may be asked for. In the dict is "text", "time", "zone", "value"
    or, of a pydantic model whose dump is made of its fields' values alone, (serializer,
    model_dump, names of its fields).

    Raises Declined if `obj` isn't an exact None, str, int, float, bool, dict, list, tuple or set,
    nor known;
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

@final
class PrivateAttributes:
    """Mirrors pydantic.main.BaseModel.__getattr__ (2.11, 2.12) as `super(owner, obj)` finds it."""

    def __new__(cls, owner: object, base_getattr: object) -> PrivateAttributes:
        """`base_getattr` is `BaseModel.__getattr__`; `owner` the class that gets our own."""

    def read(self, obj: object, name: object) -> Any:
        """The value of a private attribute that is set; for anything else (no private attribute,
        not set, a default that might be a descriptor) what `base_getattr(obj, name)` returns or
        raises. No side effects of its own.

        Raises Declined if `super(owner, obj).__getattr__` isn't `base_getattr`."""

def gather_schemas(schema: Any, definitions: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What `pydantic._internal._schema_gather.gather_schemas_for_cleaning` returns by name:
    reference → the one schema with it, or None; and schemas with a discriminator to be applied.

    Raises Declined for schemas of more than 150 levels and those that pydantic would refuse."""

def score_findings(
    findings: list[Any],
    seen: set[str],
    matches: list[Any],
    kind: type,
    now: Callable[[], Any],
    weights: tuple[Any, ...],
    /,
) -> list[Any]:
    """Mirrors the loop of crewai.memory.recall_flow.RecallFlow.synthesize_results up to the first
    hit that isn't a tuple of a `kind` (a record of memory) and a float: appends (record, score,
    reasons) to `matches`; returns the findings that are left, the first one without what was
    scored. `weights`: of similarity, recency, importance (floats), and half-life (an int, days).

    Raises Declined, before anything is done, for other weights; and what `now` raises."""

def track_records(records: list[Any], /) -> None:
    """Python's collector looks at the vectors of these records of memory, which
    `MemoryMirror.recall` has left `apart`, as it does at all others."""

def track_again(objects: list[object], /) -> None:
    """Objects that the garbage collector keeps apart (`gc.freeze`) become young again."""

@final
class AgentMessage:
    """A message between two agents; immutable. See fast_crewai.serialization.AgentMessage."""

    def __new__(
        cls, id: str, sender: str, recipient: str, content: str, timestamp: int
    ) -> AgentMessage:
        """Raises fast_crewai.errors.SerializationError (kind "type" or "range")."""

    @staticmethod
    def from_json(text: str | bytes) -> AgentMessage:
        """Raises SerializationError (kind "syntax", "missing", "type" or "range"), TypeError."""

    def to_json(self) -> str: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    @property
    def id(self) -> str: ...
    @property
    def sender(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def implementation(self) -> Literal["rust"]: ...

def serialize_messages(messages: list[Any]) -> list[str]:
    """`to_json` of each AgentMessage, or dict with its fields. Raises SerializationError with
    `index`, TypeError."""

def deserialize_messages(texts: list[Any]) -> list[dict[str, Any]]:
    """The fields of each JSON text. Raises SerializationError with `index`, TypeError."""

@final
class RustMemoryStorage:
    """Texts with what belongs to them, found by TF-IDF and cosine similarity."""

    def __new__(cls, path: str | PathLike[str] | None = None) -> RustMemoryStorage:
        """`path`: a file of lines of JSON. Raises StorageError."""

    def save(self, value: str, record: str | None = None) -> int:
        """Saves a text and returns its number. `record` is what `search` and `get_all` return for
        it (one line: a JSON object with "value"); the text itself if None. Raises StorageError."""

    def search(
        self, query: str, limit: int = 3, threshold: float = 0.0
    ) -> list[tuple[int, str, float]]:
        """(number, record, similarity up to 1), best first, older ones first among equals."""

    def get_all(self) -> list[str]: ...
    def reset(self) -> None: ...
    def __len__(self) -> int: ...
    @property
    def implementation(self) -> Literal["rust"]: ...

@final
class RustToolExecutor:
    """JSON schemas of tools by name, and what arguments break of them."""

    def __new__(cls) -> RustToolExecutor: ...
    def register_tool(self, name: str, schema: Any) -> None:
        """Raises Declined for schemas nested over 64 levels, integers over 127 bits, lone
        surrogates."""

    def validate_args(
        self, name: str, arguments: Any
    ) -> list[tuple[list[str | int], list[str | int]]]:
        """(path in the arguments, path in the schema) of everything that they break; ([],
        ["depth"]) for arguments nested over 64 levels. Raises Declined as `register_tool` does,
        for names without a schema, and for containers that change meanwhile."""

    def batch_validate(
        self, name: str, batch: list[Any]
    ) -> list[list[tuple[list[str | int], list[str | int]]]]: ...
    @property
    def implementation(self) -> Literal["rust"]: ...

@final
class RustTaskExecutor:
    """A graph of tasks, and runs of Python callables on the process's one Tokio runtime."""

    def __new__(cls, max_concurrent_tasks: int = 10) -> RustTaskExecutor: ...
    def register_task(self, task_id: str, dependencies: Sequence[str] = ...) -> None:
        """Raises TaskStateError for a running task."""

    def get_ready_tasks(self) -> list[str]: ...
    def get_execution_order(self) -> list[str]:
        """Raises CycleError, UnknownTaskError."""

    def mark_started(self, task_id: str) -> None:
        """Raises TaskStateError, UnknownTaskError; so do the next two."""

    def mark_completed(self, task_id: str) -> None: ...
    def mark_failed(self, task_id: str) -> None: ...
    def get_state(self, task_id: str) -> str: ...
    def get_counts(self) -> list[int]:
        """How many tasks are pending, running, completed, failed."""

    def clear(self) -> None: ...
    def execute_concurrent_tasks(
        self,
        functions: Sequence[Callable[[], Any]],
        dependencies: Sequence[Sequence[int]] | None = None,
        timeout_seconds: float | None = None,
        stop_on_error: bool = False,
    ) -> list[tuple[str, Any]]:
        """For each function a pair: ("completed", result), ("failed", exception), ("timed_out",
        None), ("cancelled", None) or ("skipped", number of the dependency)."""

    def cancel(self) -> None:
        """Cancels what hasn't started of all runs that are under way."""

    @property
    def implementation(self) -> Literal["rust"]: ...

def shut_down_tasks(seconds: float) -> None:
    """Waits for callables that still run, at most so long."""

@final
class RustSQLiteWrapper:
    """A SQLite file through a few connections of SQLite's own version, not Python's. Every method
    raises DatabaseError for what SQLite refuses."""

    def __new__(cls, db_path: str | PathLike[str], pool_size: int = 5) -> RustSQLiteWrapper: ...
    def execute_query(self, query: str, params: Any = None) -> list[dict[str, Any]]: ...
    def execute_update(self, query: str, params: Any = None) -> int: ...
    def execute_insert(self, query: str, params: Any = None) -> int:
        """The new row's id."""

    def execute_batch(self, queries: Sequence[tuple[str, Any]]) -> list[int]:
        """One transaction, all or none."""

    def search_fts(self, query: str, limit: int = 10) -> list[dict[str, Any]]:
        """Long-term memories whose descriptions fit best, with "rank" (bm25)."""

    @property
    def implementation(self) -> Literal["rust"]: ...

def answer_of(
    ask: Callable[[], Any],
    loops: tuple[Callable[[], Any], Callable[[Any], None], type],
    seconds: float,
) -> Any:
    """The result of the future that `ask()` makes for the running event loop, for which an object
    that waits for nothing else stands meanwhile; its exception is raised. `ask` is native code
    that works in another thread, and is called in an empty context. `loops`: asyncio's
    `_get_running_loop` and `_set_running_loop`, and `contextvars.Context`.

    Raises Declined if `ask` takes another loop, or there is no result after so many seconds."""

def are_plain_hits(hits: list[Any], kind: type, atoms: frozenset[Any]) -> bool:
    """Whether all are tuples of a `kind` (a record of memory) and a float, or dicts of lists of
    these and of atoms; and the records hold values of the types in `atoms`, and flat lists and
    dicts of these; what is in their vectors doesn't matter."""

def cosine_similarity(a: list[float], b: list[float], compensated: bool) -> float:
    """Mirrors crewai.memory.encoding_flow.EncodingFlow._cosine_similarity to the bit.
    `compensated`: whether `sum` adds floats as Python 3.12 and later do.

    Raises Declined unless all values are exact floats, zero or of sizes from 1e-100 to 1e100;
    TypeError if `a` or `b` isn't a list."""

@final
class MemoryRecords:
    """How rows become records of memory."""

    def __new__(
        cls,
        new: Callable[[type], Any],
        kind: type,
        values: dict[str, None],
        fields: frozenset[str],
        labels: dict[str, list[str]],
        details: dict[str, dict[str, Any]],
        parse_labels: Callable[[str], Any],
        parse_details: Callable[[str], Any],
        read_time: Callable[[str], Any],
    ) -> MemoryRecords:
        """A record is `new(kind)`, which is `object.__new__`; its `__dict__` is a copy of
        `values`, filled, and the set of its fields one of `fields`. What the texts of categories
        and metadata say is looked up in `labels` and `details`, else parsed, and copied."""

@final
class MemoryMirror:
    """A Lance table of memories in RAM. Safe to share among threads; searches run without the
    GIL, and each of them sees all of a change or nothing."""

    def __new__(cls, dim: int) -> MemoryMirror:
        """For vectors of `dim` numbers. Raises Declined outside 1..65536."""

    def __len__(self) -> int:
        """Rows."""

    def add(
        self,
        row_ids: bytes,
        vectors: bytes,
        importances: bytes,
        private: list[bool],
        texts: list[tuple[bytes, bytes]],
    ) -> None:
        """Rows as Arrow's buffers, little-endian: u64 ids, f32 vectors, f64 importances, and for
        each text its i32 offsets and its UTF-8: id, content, scope, categories, metadata,
        created_at, last_accessed, source.

        Raises Declined if lengths don't fit, a vector's value isn't finite (or over 1e15), or an
        importance is outside 0..1; rows before that one have been added: throw the mirror away."""

    def row_id_of(self, ids: list[str]) -> list[int | None]:
        """The row id for each id. Raises Declined if two rows have one id."""

    def touch(self, rows: list[tuple[str, int, str]]) -> None:
        """Give the rows of these ids another row id and time of access.

        Raises Declined, unchanged, for an id that isn't here."""

    def remove(self, ids: list[str]) -> None:
        """Forget the rows of these ids."""

    def max_row_id(self) -> int | None:
        """The highest row id; None if there are no rows."""

    def scanned(self) -> None:
        """Say that what was added is all that a scan finds, in its order, and that rows added
        from now on are found after these, in the order of their row ids."""

    def summary(
        self, prefix: str | None, most: int
    ) -> tuple[int, list[str], list[str], list[str], str | None, str | None]:
        """How many rows have a scope that starts with `prefix`, of those the `most` that a scan
        finds first; their scopes, labels, and those categories that are more than a JSON list of
        strings (each text once, in no order); the oldest and the newest `created_at`.

        Raises Declined if a time is not in Python's own form, or if there are more than `most` and
        which ones come first isn't known."""

    def scopes(self, prefix: str | None, most: int) -> list[str]:
        """The scopes that start with `prefix` of the `most` rows under it that a scan finds first;
        each once, in no order.

        Raises Declined if there are more, and which ones come first isn't known."""

    def labelled(self, prefix: str | None, labels: list[str]) -> list[str]:
        """The ids of the rows whose scope starts with `prefix` and that have one of the labels, in
        no order.

        Raises Declined unless all rows whose scope starts with it are known to make records."""

    def newest(
        self,
        prefix: str | None,
        offset: int,
        size: int,
        records: MemoryRecords | None = None,
    ) -> list[Any]:
        """`size` rows, as `search` gives them, or `records` of them, after the `offset` newest by
        `created_at`, of those whose scope starts with `prefix`; newest first.

        Raises Declined if two that decide about the answer have equal times."""

    def search(
        self, queries: list[list[float]], prefixes: list[str | None], size: int
    ) -> tuple[list[list[tuple[int, float]]], list[tuple[Any, ...]]]:
        """The `size` nearest rows for each query and, within it, each scope prefix: their places
        in the second list and squared distances, nearest first, then by row id. Distances are
        those of Lance's flat search to the bit.

        A row is (id, content, scope, categories, metadata, importance, created_at, last_accessed,
        source, private, vector as a list of floats, row id).

        Raises Declined for a query that isn't a list of exact finite floats (up to 1e15) of the
        right length."""

    def recall(
        self,
        queries: list[list[float]],
        prefixes: list[str | None],
        size: int,
        records: MemoryRecords,
        everything: bool,
        source: str | None,
        naive: bool,
        apart: bool = False,
    ) -> list[list[tuple[Any, float]]]:
        """For each query and prefix, as `search`, records of their own and scores: those that
        aren't private, `everything`, or those of this source, too. The vectors of `apart` ones
        aren't tracked by Python's collector until `track_records` is given the records.

        Raises Declined as `search`, if two of the `size` nearest, or the next one, are equally
        near, if a row is no record, or if `naive` and a row was made at a time with a zone."""
