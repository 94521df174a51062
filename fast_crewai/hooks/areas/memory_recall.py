"""A deep recall's searches: all queries and scopes in one pass over the table in RAM.

CrewAI searches for each of them in threads of a pool, and collects what they found as they end,
in no fixed order; ours is the order in which they were asked for.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from typing import Any

from fast_crewai._core import Declined
from fast_crewai.hooks.areas.memory_matches import tracks_what_it_answers
from fast_crewai.hooks.areas.memory_records import Records
from fast_crewai.hooks.areas.memory_storage import (
    MODULE,
    TABLES,
    Handles,
    check_query,
    prefix_of,
)
from fast_crewai.hooks.dispatch import is_active
from fast_crewai.hooks.route import Site


class _Storage:
    """The storage whose ``search`` is ours; so its code is of a proven version."""

    def __init__(self, module: dict[str, Any]) -> None:
        self._kind: Any = module["LanceDBStorage"]
        self._handles, self._records = Handles(self._kind), Records(module)
        self._to_record = self._kind._row_to_record

    def check(self, storage: Any) -> Records:
        self._handles.check(storage)
        kind, instance = self._kind, vars(storage)
        if not is_active(kind.search) or "search" in instance:
            raise Declined("LanceDBStorage.search is not ours")
        if kind._row_to_record is not self._to_record or "_row_to_record" in instance:
            raise Declined("patched: LanceDBStorage._row_to_record")
        self._records.check()
        return self._records


def do_search(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``RecallFlow._do_search``."""
    own, kind = vars(site.module), site.namespace
    pool, completed = own["ThreadPoolExecutor"], own["as_completed"]
    known: list[_Storage] = []

    def check(storage: Any) -> Records:
        if not known:
            module = sys.modules.get(MODULE)
            if module is None:
                raise Declined("another storage")
            known.append(_Storage(vars(module)))
        return known[0].check(storage)

    def fast(self: Any) -> Any:
        if own["ThreadPoolExecutor"] is not pool or own["as_completed"] is not completed:
            raise Declined("patched: the pool of threads")
        storage = self._storage
        records = check(storage)
        state = self.state
        cutoff, source, everything = state.time_cutoff, state.source, state.include_private
        if cutoff is not None and (type(cutoff) is not datetime.datetime or cutoff.tzinfo):
            raise Declined("a cutoff with a time zone")
        limit = state.limit * own["_RECALL_OVERSAMPLE_FACTOR"]
        categories = self._merged_categories()
        queries = [embedding for _, embedding in state.query_embeddings]
        scopes = list(state.candidate_scopes)
        if not queries or not scopes:
            raise Declined("nothing to search")
        for query in queries:
            check_query(query, storage, limit)
        prefixes = [prefix_of(scope) for scope in scopes]
        if type(everything) is not bool or type(source) not in (str, type(None)):
            raise Declined("an odd source")
        filtered = bool(categories or cutoff)
        tasks = TABLES.of(storage).search(
            storage,
            queries,
            prefixes,
            limit * 3 if categories else limit,
            records.native,
            shown_to=(True, None) if filtered else (everything, source),
            naive=True,
            apart=type(self) is kind and tracks_what_it_answers(self),
        )
        if filtered:

            def is_kept(record: Any) -> bool:
                return (not cutoff or record.created_at >= cutoff) and (
                    everything
                    or not record.private
                    or (source is not None and record.source == source)
                )

            tasks = [_labelled(hits, categories, limit) for hits in tasks]
            tasks = [[hit for hit in hits if is_kept(hit[0])] for hits in tasks]
        score_of, config = own["compute_composite_score"], self._config
        findings = []
        for number, found in enumerate(tasks):
            if found:
                best, _ = score_of(found[0][0], found[0][1], config)
                scope = scopes[number % len(scopes)]
                findings.append({"scope": scope, "results": found, "top_score": best})
        state = self.state
        state.chunk_findings = findings
        state.confidence = max((finding["top_score"] for finding in findings), default=0.0)
        return findings

    return fast


def _labelled(hits: list[Any], categories: Any, limit: int) -> list[Any]:
    """The first ``limit`` hits that have one of the categories, as ``LanceDBStorage.search``."""
    if not categories:
        return hits
    found = []
    for record, score in hits:
        if any(label in record.categories for label in categories):
            found.append((record, score))
        if len(found) >= limit:
            break
    return found
