"""What the model answers in memory_embeddings.py when it runs offline."""

from __future__ import annotations

from model_server import Reply, Request


def _asked_for(request: Request) -> str:
    """The name of the schema that the answer must have."""
    form = request.body.get("response_format") or {}
    return str(form.get("json_schema", {}).get("name"))


def file(request: Request) -> Reply | None:
    """Where a memory belongs."""
    if _asked_for(request) != "MemoryAnalysis":
        return None
    return Reply.json(
        {
            "suggested_scope": "/sports",
            "categories": ["town"],
            "importance": 0.5,
            "extracted_metadata": {"entities": ["pool"], "dates": ["September"], "topics": []},
        }
    )


def analyse(request: Request) -> Reply | None:
    """What to search for."""
    if _asked_for(request) != "QueryAnalysis":
        return None
    return Reply.json(
        {
            "keywords": ["town"],
            "suggested_scopes": ["/"],
            "complexity": "simple",
            "recall_queries": ["cheap visit with children, and where to eat on a Monday"],
            "time_filter": None,
        }
    )


SCRIPT = (file, analyse)
