"""The last step of a deep recall: of hundreds of scored records, the few that are answered.

CrewAI makes a match of each, sorts them, and keeps ten. Its own code is compiled again: a match
whose making can neither fail nor be noticed is made when it is known to be kept, and records that
are plain data are scored natively, up to the first one that isn't.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from fast_crewai._core import Declined, score_findings, track_records
from fast_crewai.hooks.areas.recompile import evaluating, recompiled
from fast_crewai.hooks.dispatch import is_active
from fast_crewai.hooks.route import Site

_FINDINGS = "self.state.chunk_findings"
_MATCH = "MemoryMatch(record=record, score=composite, match_reasons=reasons)"
_WEIGHTS = ("semantic_weight", "recency_weight", "importance_weight", "recency_half_life_days")
_SCORED = ("id", "created_at", "importance")
_SORT = "matches.sort(key=lambda m: m.score, reverse=True)"
_all_texts = frozenset((str,)).issuperset
_only_tuples = frozenset((tuple,)).issuperset
_known_reasons = frozenset(("semantic", "recency", "importance")).issuperset


class Matches:
    """Makes matches; knows CrewAI's class as it was, and says when it is another."""

    def __init__(self, module: dict[str, Any]) -> None:
        from pydantic import BaseModel
        from pydantic_core import SchemaValidator

        self._module = module
        self._score = module["compute_composite_score"]
        self._now = evaluating(self._score, "datetime.utcnow()")
        self._match, self._record = module["MemoryMatch"], module["MemoryRecord"]
        self._config: Any = module["MemoryConfig"]
        self._base: Any = BaseModel
        self._init = BaseModel.__init__
        self._plain_validator = SchemaValidator
        self._validator: Any = None  # that of a model which waits comes with its first use

    def left(self, flow: Any, seen: set[Any], matches: list[Any]) -> Any:
        """What is left of a flow's findings when those that are plain data are scored, each into a
        tuple of what its match will be made of."""
        findings = flow.state.chunk_findings
        module, score, record = self._module, self._score, self._record
        if (
            type(findings) is not list
            or module["compute_composite_score"] is not score
            or module["MemoryRecord"] is not record
            or not self._is_as_known()
            or record.__getattribute__ is not object.__getattribute__
            or any(name in vars(record) for name in _SCORED)
        ):
            return findings
        config = vars(flow).get("_config")
        if (
            type(config) is not self._config
            or hasattr(type(flow), "_config")
            or self._config.__getattribute__ is not object.__getattribute__
            or any(name in vars(self._config) for name in _WEIGHTS)
        ):
            return findings
        weights = tuple(map(vars(config).get, _WEIGHTS))
        try:
            return score_findings(findings, seen, matches, record, self._now, weights)
        except Declined:
            return findings

    def later(self, record: Any, score: Any, reasons: Any) -> Any:
        """A match, or a tuple of what it will be made of."""
        if (
            type(record) is self._record
            and type(score) is float
            and type(reasons) is list
            and _all_texts(map(type, reasons))
            and _known_reasons(reasons)
            and self._is_as_known()
        ):
            return record, score, reasons.copy()  # as pydantic does: a patched score may reuse it
        if type(record) is self._record:
            track_records([record])
        return self._module["MemoryMatch"](record=record, score=score, match_reasons=reasons)

    def sort(self, matches: list[Any], limit: Any) -> None:
        """Sort them as CrewAI does, and make the first ones."""
        key = itemgetter(1) if _only_tuples(map(type, matches)) else _score
        matches.sort(key=key, reverse=True)
        kept = slice(limit) if type(limit) is int else slice(None)
        match = self._module["MemoryMatch"]
        first = matches[kept]
        track_records([m[0] for m in first if type(m) is tuple])
        matches[kept] = [
            match(record=m[0], score=m[1], match_reasons=m[2]) if type(m) is tuple else m
            for m in first
        ]

    def _is_as_known(self) -> bool:
        match = self._match
        validator = match.__pydantic_validator__
        if validator is not self._validator:
            if self._validator is not None or type(validator) is not self._plain_validator:
                return False
            if not (_takes(match, self._record, self._base) and _is_plain(self._record)):
                return False
            self._validator = validator
        return (
            self._module["MemoryMatch"] is match
            and match.__init__ is self._init
            and match.__new__ is object.__new__
        )


def _takes(match: Any, record: Any, base: Any) -> bool:
    """Whether a match takes any record, float and list of texts as they are."""
    fields = match.__pydantic_fields__
    expected = {
        "record": record,
        "score": float,
        "match_reasons": list[str],
        "evidence_gaps": list[str],
    }
    return (
        match.__mro__ == (match, base, object)
        and {name: field.annotation for name, field in fields.items()} == expected
        and not any(field.metadata for field in fields.values())
        and fields["evidence_gaps"].default_factory is list
        and _is_plain(match)
    )


def _is_plain(model: Any) -> bool:
    decorators = model.__pydantic_decorators__
    kinds = ("validators", "field_validators", "root_validators", "model_validators")
    return not (
        any(getattr(decorators, kind) for kind in kinds)
        or model.model_config
        or model.__pydantic_post_init__
        or model.__private_attributes__
    )


def _score(match: Any) -> Any:
    return match[1] if type(match) is tuple else match.score


def tracks_what_it_answers(flow: Any) -> bool:
    """Whether a flow's last step is ours: then its searches may find records that are apart."""
    name = "synthesize_results"
    method = vars(type(flow)).get(name)
    return name not in vars(flow) and is_active(getattr(method, "_meth", None))


def synthesize_results(site: Site) -> Callable[..., Any]:
    """Build the replacement of ``RecallFlow.synthesize_results``."""
    matches = Matches(vars(site.module))
    return recompiled(
        site.original,
        {
            _FINDINGS: "_fc_left(self, seen_ids, matches)",
            _MATCH: "_fc_later(record, composite, reasons)",
            _SORT: "_fc_sort(matches, self.state.limit)",
        },
        {"_fc_left": matches.left, "_fc_later": matches.later, "_fc_sort": matches.sort},
    )
