"""``AcceleratedToolExecutor``: runs Python callables as tools."""

from __future__ import annotations

import contextvars
import copy
import itertools
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from fast_crewai import native
from fast_crewai.errors import (
    NativeError,
    ToolError,
    ToolRecursionError,
    ToolTimeoutError,
    ToolValidationError,
)
from fast_crewai.tools.cache import ResultCache
from fast_crewai.tools.python import PythonToolExecutor
from fast_crewai.tools.violations import Violation, described

_log = logging.getLogger("fast_crewai")
_depth: contextvars.ContextVar[int] = contextvars.ContextVar("fast_crewai_tool_depth", default=0)
_ANONYMOUS = "\0"


@dataclass(frozen=True)
class _Tool:
    name: str
    function: Callable[..., Any]
    schema: Any


class AcceleratedToolExecutor:
    """Runs tools (Python callables, or CrewAI's tools) with checked arguments and limits.

    ``max_recursion_depth``: how many tools may be running inside each other (a tool whose
    function calls ``execute_tool``). ``timeout_seconds``: None for no limit; a tool with a limit
    runs in a thread of its own (with the caller's context variables), which goes on if the limit
    passes: Python can't stop it. ``cache_ttl_seconds``: how long a result is kept, 0 (the
    default) for not at all; ``cache_max_size``: how many, the least recently used go first.
    ``use_rust``: None (Rust if there is a native module), True or False; it concerns the
    validation.

    JSON Schema: draft 2020-12 (and 7's ``items`` lists) without ``unevaluated*``,
    ``$dynamicRef``, references to other documents, and ``format``; ``pattern`` is Python's ``re``.

    All methods may be called by any number of threads. Raises NativeUnavailableError for
    ``use_rust=True`` without a native module, ValueError for limits that are none.
    """

    def __init__(
        self,
        max_recursion_depth: int = 100,
        timeout_seconds: float | None = None,
        cache_ttl_seconds: float = 0,
        cache_max_size: int = 1000,
        use_rust: bool | None = None,
    ) -> None:
        if max_recursion_depth < 1 or cache_ttl_seconds < 0 or cache_max_size < 0:
            raise ValueError("limits are positive numbers")
        if timeout_seconds is not None and not timeout_seconds > 0:
            raise ValueError("timeout_seconds is a positive number or None")
        self.max_recursion_depth = max_recursion_depth
        self.timeout_seconds = timeout_seconds
        self.cache_ttl_seconds = cache_ttl_seconds
        self.cache_max_size = cache_max_size
        rust = native.choose(use_rust, "RustToolExecutor", "tools")
        self._checker: Any = (rust or PythonToolExecutor)()
        self._twin = PythonToolExecutor()  # for what Rust declines
        self._python_only: set[str] = set()  # schemas that Rust declined
        self._tools: dict[str, _Tool] = {}
        self._kept = cache_ttl_seconds > 0 and cache_max_size > 0
        self._cache = ResultCache(cache_ttl_seconds, cache_max_size)
        self._lock = threading.Lock()
        self._stats: Counter[str] = Counter()
        self._numbers = itertools.count()

    @property
    def implementation(self) -> str:
        """ "rust" or "python"."""
        name: str = self._checker.implementation
        return name

    def register_tool(self, name: str, function: Callable[..., Any], schema: Any = None) -> None:
        """Keep a tool under a name.

        ``function``: called with the arguments by name. ``schema``: a JSON schema (dict or bool),
        a pydantic model class, or None.
        """
        schema = copy.deepcopy(_schema_of(schema))  # changed afterwards, it would mean two things
        with self._lock:
            if schema is not None:
                self._keep_schema(name, schema)
            self._tools[name] = _Tool(name, function, schema)

    def validate_args(self, arguments: Any, schema: Any = None) -> bool:
        """True if the arguments fit the schema, and are JSON if they are text.

        ``arguments``: JSON text, or what JSON can hold. ``schema``: the name of a registered
        tool, a JSON schema, a pydantic model class, or None (any JSON text, any value).

        Raises ToolValidationError with all ``violations``; ToolError for an unknown tool.
        """
        violations = self.violations(arguments, schema)
        if violations:
            raise self._invalid("Invalid arguments", violations)
        return True

    def batch_validate(self, arguments: list[Any], schema: Any = None) -> list[bool]:
        """For each of many arguments, whether they are valid (as ``validate_args`` says)."""
        name, compiled = self._named_schema(schema)
        parsed: list[Any] = []
        bad: set[int] = set()
        for index, one in enumerate(arguments):
            try:
                parsed.append(_parsed(one))
            except ToolValidationError:
                parsed.append(None)
                bad.add(index)
        if compiled is None:
            return [index not in bad for index in range(len(parsed))]
        try:
            batch = self._twin if name in self._python_only else self._checker
            places = batch.batch_validate(name, parsed)
        except Exception:  # one of them isn't for Rust
            places = [self._places(name, one) for one in parsed]
        return [index not in bad and not found for index, found in enumerate(places)]

    def violations(self, arguments: Any, schema: Any = None) -> tuple[Violation, ...]:
        """Everything that is wrong with the arguments, in the schema's order."""
        name, compiled = self._named_schema(schema)
        try:
            parsed = _parsed(arguments)
        except ToolValidationError as error:
            return error.violations
        if compiled is None:
            return ()
        return tuple(described(place, compiled) for place in self._places(name, parsed))

    def execute_tool(
        self,
        tool: Any,
        arguments: Any = None,
        timeout: float | None = None,
        use_cache: bool = True,
        schema: Any = None,
    ) -> Any:
        """Run a tool and return its result.

        ``tool``: the name of a registered one, a callable, or a CrewAI tool (its ``run``, and its
        ``args_schema``). ``arguments``: a dict, or the JSON text of one. ``timeout``: seconds,
        instead of the executor's (over 0). ``use_cache``: False neither looks up nor keeps the
        result; results are kept (the object itself, not a copy) for arguments that are exactly
        what JSON reads (the order of names doesn't count). ``schema``: instead of the tool's.

        Raises what the tool raises, unchanged; ToolValidationError, ToolRecursionError,
        ToolTimeoutError; ToolError for an unknown tool.
        """
        if timeout is not None and not timeout > 0:
            raise ValueError("timeout is a positive number or None")
        found = self._found(tool, schema)
        values = _parsed({} if arguments is None else arguments)
        if not isinstance(values, dict):
            raise self._invalid(f"{found.name}: arguments are a JSON object", ())
        if found.schema is not None:
            known = self._tools.get(found.name) is found
            violations = self.violations(values, found.name if known else found.schema)
            if violations:
                raise self._invalid(found.name, violations)
        key = self._key(found, values) if self._kept and use_cache else None
        if key is not None:
            hit, result = self._cache.get(key)
            self._count("cache_hits" if hit else "cache_misses")
            if hit:
                return result
        result = self._run(found, values, self.timeout_seconds if timeout is None else timeout)
        if key is not None:
            self._cache.put(key, result)
        return result

    def get_stats(self) -> dict[str, int]:
        """Counts since the start: executions, failures, timeouts, validation_failures,
        cache_hits, cache_misses, and cache_size now."""
        names = ("executions", "failures", "timeouts", "validation_failures")
        with self._lock:
            counts = {n: self._stats[n] for n in (*names, "cache_hits", "cache_misses")}
        return {**counts, "cache_size": len(self._cache)}

    def clear_cache(self) -> None:
        """Forget all kept results."""
        self._cache.clear()

    def _count(self, name: str) -> None:
        with self._lock:
            self._stats[name] += 1

    def _invalid(self, what: str, violations: tuple[Violation, ...]) -> ToolValidationError:
        self._count("validation_failures")
        parts = "; ".join(violation.message for violation in violations[:10])
        return ToolValidationError(f"{what}: {parts}" if parts else what, violations)

    def _found(self, tool: Any, schema: Any) -> _Tool:
        if isinstance(tool, str):
            found = self._tools.get(tool)
            if found is None:
                raise ToolError(f"unknown tool {tool!r}")
            return found if schema is None else _Tool(tool, found.function, _schema_of(schema))
        run = getattr(tool, "run", None) or getattr(tool, "invoke_function", None)
        function = run if callable(run) else tool
        if not callable(function):
            raise ToolError(f"not a tool: {type(tool).__name__}")
        own = schema if schema is not None else getattr(tool, "args_schema", None)
        name = getattr(tool, "name", None) or getattr(tool, "__name__", type(tool).__name__)
        return _Tool(str(name), function, _schema_of(own))

    def _named_schema(self, schema: Any) -> tuple[str, Any]:
        if isinstance(schema, str):
            tool = self._tools.get(schema)
            if tool is None:
                raise ToolError(f"unknown tool {schema!r}")
            return schema, tool.schema
        compiled = _schema_of(schema)
        if compiled is None:
            return "", None
        name = f"{_ANONYMOUS}{threading.get_ident()}"  # nobody else uses this thread's
        self._keep_schema(name, compiled)
        return name, compiled

    def _keep_schema(self, name: str, schema: Any) -> None:
        self._twin.register_tool(name, schema)
        try:
            self._checker.register_tool(name, schema)
            self._python_only.discard(name)
        except Exception as error:
            _log.debug("tool executor: Python keeps a schema: %s", error)
            self._python_only.add(name)

    def _places(self, name: str, parsed: Any) -> list[Any]:
        if name in self._python_only:
            return self._twin.validate_args(name, parsed)
        try:
            found: list[Any] = self._checker.validate_args(name, parsed)
            return found
        except NativeError as error:
            _log.debug("tool executor: Python takes over: %s", error)
            self._checker = self._twin
        except Exception as error:
            _log.debug("tool executor: Python validates: %s", error)
        return self._twin.validate_args(name, parsed)

    @staticmethod
    def _key(tool: _Tool, values: dict[str, Any]) -> Hashable:
        try:
            hash(tool.function)
            if _is_read_from_json(values):
                return tool.function, json.dumps(values, sort_keys=True, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError):
            pass
        return None

    def _run(self, tool: _Tool, values: dict[str, Any], timeout: float | None) -> Any:
        depth = _depth.get() + 1
        if depth > self.max_recursion_depth:
            raise ToolRecursionError(
                f"{tool.name}: {self.max_recursion_depth} tools are running inside each other"
            )
        self._count("executions")
        token = _depth.set(depth)
        try:
            if timeout is None:
                return tool.function(**values)
            return self._run_for(tool, values, timeout)
        except ToolTimeoutError:
            self._count("timeouts")
            raise
        except BaseException:
            self._count("failures")
            raise
        finally:
            _depth.reset(token)

    def _run_for(self, tool: _Tool, values: Mapping[str, Any], seconds: float) -> Any:
        done: Future[Any] = Future()
        context = contextvars.copy_context()

        def work() -> None:
            try:
                done.set_result(context.run(tool.function, **values))
            except BaseException as error:
                done.set_exception(error)

        name = f"fast_crewai-tool-{next(self._numbers)}"
        threading.Thread(target=work, name=name, daemon=True).start()
        try:
            return done.result(seconds)
        except FutureTimeoutError:
            if done.done():  # the tool's own, or just in time
                return done.result()
            raise ToolTimeoutError(f"{tool.name}: no result after {seconds} s") from None


def _schema_of(schema: Any) -> Any:
    """The JSON schema (dict or bool) of what users give as one, or None."""
    if schema is None or isinstance(schema, dict | bool):
        return schema
    make = getattr(schema, "model_json_schema", None)
    if isinstance(schema, type) and callable(make):
        return make()
    raise TypeError(f"not a JSON schema: {type(schema).__name__}")


def _is_read_from_json(value: Any) -> bool:
    """Whether ``json.loads`` can have made it: no tuple, no subclass, no other keys than str."""
    kind = type(value)
    if kind is dict:
        return all(type(k) is str and _is_read_from_json(v) for k, v in value.items())
    if kind is list:
        return all(map(_is_read_from_json, value))
    return value is None or kind in (str, int, float, bool)


def _parsed(arguments: Any) -> Any:
    """Arguments as values; JSON text is read."""
    if not isinstance(arguments, str | bytes):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError) as error:
        message = f"not JSON: {error}"
        raise ToolValidationError(message, (Violation((), (), message),)) from error
