"""Routes of CrewAI's memory (component ``memory``)."""

from __future__ import annotations

from fast_crewai.hooks.areas.memory_delete import delete
from fast_crewai.hooks.areas.memory_flow_state import copy_and_serialize_state
from fast_crewai.hooks.areas.memory_listing import list_records
from fast_crewai.hooks.areas.memory_matches import synthesize_results
from fast_crewai.hooks.areas.memory_recall import do_search
from fast_crewai.hooks.areas.memory_scan import (
    get_scope_info,
    list_categories,
    list_scopes,
)
from fast_crewai.hooks.areas.memory_search import search, write
from fast_crewai.hooks.areas.memory_similarity import cosine_similarity
from fast_crewai.hooks.areas.memory_storage import MODULE
from fast_crewai.hooks.route import Route

_STORAGE = f"{MODULE}:LanceDBStorage"
_RUNTIME = "crewai.flow.runtime"
_TYPES = "crewai.memory.types"
_RECALL = "crewai.memory.recall_flow"
_ROWS_OF_A_SCOPE = (
    f"{_STORAGE}._row_to_record",
    f"{_STORAGE}._record_to_row",
    f"{MODULE}:_scope_prefix_filter",
    f"{MODULE}:_sql_str",
)

ROUTES = (
    Route(
        name="memory.search",
        target=f"{_STORAGE}.search",
        why="each search reads the whole table from disk (3.5 ms at 1,000 records, 133 at 100,000)",
        build=search,
        pure=True,
        reads=_ROWS_OF_A_SCOPE,
    ),
    Route(
        name="memory.follow",
        target=f"{_STORAGE}._do_write",
        why="what a storage writes itself is followed instead of loading the table again",
        build=write,
        reads=(f"{MODULE}:_id_in_filter", f"{MODULE}:_sql_str"),
    ),
    Route(
        name="memory.forget",
        target=f"{_STORAGE}.delete",
        why="all rows in the scope become dicts, vectors included, to find those of a category",
        build=delete,
        reads=(f"{_STORAGE}._scan_rows", f"{_STORAGE}._row_to_record"),
    ),
    Route(
        name="memory.list",
        target=f"{_STORAGE}.list_records",
        why="rows become dicts, and their values are validated, one by one (200 rows: 9 ms)",
        build=list_records,
        pure=True,
        reads=_ROWS_OF_A_SCOPE,
    ),
    Route(
        name="memory.deep-recall",
        target=f"{_RECALL}:RecallFlow._do_search",
        why="a deep recall searches for each of up to 20 scopes and 3 queries, in threads",
        build=do_search,
        pure=True,
        reads=(f"{_RECALL}:RecallFlow._merged_categories",),
    ),
    Route(
        name="memory.matches",
        target=f"{_RECALL}:RecallFlow.synthesize_results",
        why="a match is made of each record found, to keep ten (330 matches: 1 ms)",
        build=synthesize_results,
        reads=(f"{_TYPES}:compute_composite_score",),
    ),
    *(
        Route(
            name=f"memory.{what}-state",
            target=f"{flow}._copy_and_serialize_state",
            why="the last event copies the state with all vectors (most of a deep recall's time)",
            build=copy_and_serialize_state,
            pure=True,
            reads=(f"{_RUNTIME}:Flow._copy_and_serialize_state", f"{_RUNTIME}:Flow._copy_state"),
        )
        for what, flow in (
            ("recall", f"{_RECALL}:RecallFlow"),
            ("encoding", "crewai.memory.encoding_flow:EncodingFlow"),
        )
    ),
    *(
        Route(
            name=f"memory.{what}",
            target=f"{_STORAGE}.{method}",
            why="rows become dicts, with up to 50,000 of them, to count a column or two",
            build=build,
            pure=True,
            reads=(
                f"{_STORAGE}._scan_rows",
                f"{MODULE}:_SCAN_ROWS_LIMIT",
                f"{MODULE}:_scope_prefix_filter",
                f"{MODULE}:_sql_str",
            ),
        )
        for what, method, build in (
            ("list-scopes", "list_scopes", list_scopes),
            ("list-categories", "list_categories", list_categories),
            ("scope-info", "get_scope_info", get_scope_info),
        )
    ),
    Route(
        name="memory.similarity",
        target="crewai.memory.encoding_flow:EncodingFlow._cosine_similarity",
        why="every pair of a batch is compared in Python (50 memories: 71 ms)",
        build=cosine_similarity,
        pure=True,
    ),
)
