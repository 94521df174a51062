"""CrewAI's bugs that users should know of, and what corrects those whose correction is clear.

A correction changes what CrewAI does, so it is only applied when ``FAST_CREWAI_FIX`` names it.
Each bug is known by the digests of the functions that have it: where they differ, it may be gone.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from fast_crewai._core import Declined
from fast_crewai.hooks.areas import jsonb, kept_outputs
from fast_crewai.hooks.areas.memory_storage import MODULE
from fast_crewai.hooks.areas.memory_touch import touch_records
from fast_crewai.hooks.areas.recompile import recompiled
from fast_crewai.hooks.route import Route, Site, locate

_STORAGE = f"{MODULE}:LanceDBStorage"
_TOOLS = "crewai.tools.base_tool"


class Bug(NamedTuple):
    """What happens, who is affected, and how to avoid it.

    ``routes`` are where it is; they correct it. They are ``always`` applied if CrewAI just fails
    there. ``here`` says whether this environment is affected at all.
    """

    name: str
    what: str
    who: str
    avoid: str
    routes: tuple[Route, ...]
    always: bool = False
    here: Callable[[], bool] = lambda: True


# ------------------------------------------------------------------------------- memory


_ROOT_TOO = " OR scope = '/'"


def _where(conditions: Any) -> str:
    return " AND ".join(condition.removesuffix(_ROOT_TOO) for condition in conditions)


def _delete(site: Site) -> Callable[..., Any]:
    return recompiled(
        site.original, {"' AND '.join(conditions)": "_fc_where(conditions)"}, {"_fc_where": _where}
    )


def _scan_rows(site: Site) -> Callable[..., Any]:
    names = vars(site.module)

    def limit_for(storage: Any, limit: Any) -> Any:
        """What is asked for with no limit of one's own has no limit."""
        if limit != names["_SCAN_ROWS_LIMIT"]:
            return limit
        return max(limit, storage._table.count_rows())

    return recompiled(
        site.original,
        {"q.limit(limit)": "q.limit(_fc_limit(self, limit))"},
        {"_fc_limit": limit_for},
    )


# ---------------------------------------------------------------------------- checkpoints


def _model_dump(site: Site) -> Callable[..., Any]:
    tool, code = site.namespace, site.original.__code__
    names = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]
    path_of = locate("crewai.types.callback:callable_to_string").original

    def fast(self: Any, *given: Any) -> Any:
        options = dict(zip(names, given, strict=True))
        if options["mode"] != "json":
            raise Declined("not for JSON")
        if type(self) is not tool or options["include"] is not None or options["exclude"]:
            raise Declined("another tool, or only a part of it")
        path = path_of(self.__dict__["func"])
        dumped = super(tool, self).model_dump(**{**options, "exclude": {"func"}})
        dumped["func"] = path
        order = [name for name in tool.model_fields if name in dumped]
        return {name: dumped[name] for name in order} | dumped

    return fast


def _resolve_tool(site: Site) -> Callable[..., Any]:
    tool = vars(site.module)["Tool"]
    trusted = locate("crewai.types.callback:_trusted_deserialize").original

    def with_function(kind: Any, data: Any) -> Any:
        """A name becomes the function, which may be known by the tool that was made of it."""
        if kind is tool and type(data.get("func")) is str:
            if not trusted():  # a name in a checkpoint may lead to any code
                raise ValueError(
                    f"Refusing to look for the function of a tool, {data['func']!r}: set "
                    "CREWAI_DESERIALIZE_CALLBACKS=1 to allow. Only for checkpoints that you trust."
                )
            found = _named(data["func"])
            data["func"] = getattr(found, "func", found)
        return data

    return recompiled(
        site.original,
        {
            "tool_cls.model_validate(data)": (
                "tool_cls.model_validate(_fc_with_function(tool_cls, data))"
            )
        },
        {"_fc_with_function": with_function},
    )


def _named(path: str) -> Any:
    """What "package.module.Class.name" leads to; the text itself if nothing does."""
    parts = path.split(".")
    for count in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
            for name in parts[count:]:
                found = getattr(found, name)
        except (ImportError, AttributeError, ValueError):
            continue
        return found
    return path


BUGS = (
    Bug(
        name="lancedb-delete",
        what="Memory.forget(scope=S) and LanceDBStorage.delete(scope_prefix=S) delete all records "
        'of the root scope "/", too; with older_than they delete all records of S, old or new',
        who="whoever deletes by scope without categories or metadata, in the LanceDB store",
        avoid="delete by record_ids, or give categories or metadata_filter, too",
        routes=(
            Route(
                name="memory.fix-delete",
                target=f"{_STORAGE}.delete",
                why="FAST_CREWAI_FIX=lancedb-delete: what a search of that scope finds, and is old",
                build=_delete,
            ),
        ),
    ),
    Bug(
        name="lancedb-scan-limit",
        what="Memory.info, list_scopes, list_categories and forget(categories=…) look at 50,000 "
        "records only, without saying so",
        who="stores (or scopes) of more than 50,000 records",
        avoid="ask scope by scope; repeat forget until it returns 0",
        routes=(
            Route(
                name="memory.fix-scan-limit",
                target=f"{_STORAGE}._scan_rows",
                why="FAST_CREWAI_FIX=lancedb-scan-limit: all records are looked at",
                build=_scan_rows,
                reads=(f"{MODULE}:_SCAN_ROWS_LIMIT",),
            ),
        ),
    ),
    Bug(
        name="memory-files",
        what="each recall leaves about nine files in the store, and the next one takes longer: "
        "only saves are counted for compaction (600 recalls of 1,000 records: 5,400 files, and "
        "four times the CPU)",
        who="processes that recall often and save rarely, in the LanceDB store",
        avoid="call LanceDBStorage.optimize() now and then, or make the Memory read_only",
        routes=(
            Route(
                name="memory.fix-files",
                target=f"{_STORAGE}.touch_records",
                why="FAST_CREWAI_FIX=memory-files: recalls are counted for compaction, too",
                build=touch_records,
                reads=(f"{_STORAGE}._compact_safe",),
            ),
        ),
    ),
    Bug(
        name="kept-connections",
        what="each task output that is stored opens the database and closes it: five syncs of the "
        "disk where one is enough; and reads the whole table before",
        who="crews whose tasks are short, and processes that share a store",
        avoid="keep CREWAI_STORAGE_DIR on a fast disk",
        routes=kept_outputs.ROUTES,
    ),
    Bug(
        name="checkpoint-functions",
        what="a tool made from a function with @tool makes every checkpoint fail "
        "(\"Unable to serialize unknown type: <class 'function'>\"); the kickoff goes on",
        who="crews with checkpoints and such a tool",
        avoid="write the tool as a subclass of BaseTool",
        routes=(
            Route(
                name="tools.fix-checkpoint-functions",
                target=f"{_TOOLS}:Tool.model_dump",
                why="FAST_CREWAI_FIX=checkpoint-functions: the function is saved by its name",
                build=_model_dump,
                reads=("pydantic.main:BaseModel.model_dump",),
            ),
            Route(
                name="tools.fix-restored-functions",
                target=f"{_TOOLS}:_resolve_tool_dict",
                why="FAST_CREWAI_FIX=checkpoint-functions: the function is found by its name",
                build=_resolve_tool,
            ),
        ),
    ),
    Bug(
        name="sqlite-jsonb",
        what="SqliteProvider fails: Python's SQLite has no jsonb (before 3.45)",
        who="whoever keeps checkpoints in SQLite (CrewAI's command line can't list them either)",
        avoid="JsonProvider, or a Python with SQLite 3.45",
        routes=jsonb.ROUTES,
        always=True,
        here=jsonb.is_lacking,
    ),
)
