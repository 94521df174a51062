"""What the model answers in research_crew.py when it runs offline."""

from __future__ import annotations

import re

from model_server import Reply, Request, ToolCall

SUBJECTS = ("trips", "stations", "repairs")


def gather(request: Request) -> Reply | None:
    """Search for one subject at a time, then give what was found."""
    if "Gather the figures" not in request.text_of("user"):
        return None
    done = request.tool_results
    if len(done) < len(SUBJECTS):
        return Reply.call("search_notes", query=SUBJECTS[len(done)])
    return Reply("\n".join(done))


def compare(request: Request) -> Reply | None:
    """Have one change calculated, then the others at once, from the figures in the context."""
    if "Compare the years" not in request.text_of("user"):
        return None
    figures = re.findall(r"(\d+) in 2022, (\d+) in 2023", request.text_of("user"))
    calls = [
        ToolCall("percent_change", {"before": int(before), "after": int(after)})
        for before, after in figures
    ]
    match len(request.tool_results):
        case 0:
            return Reply(tool_calls=tuple(calls[:1]))
        case 1:
            return Reply(tool_calls=tuple(calls[1:]))
    changes = zip(SUBJECTS, request.tool_results, strict=True)
    return Reply("\n".join(f"{subject}: {change}" for subject, change in changes))


def report(request: Request) -> Reply | None:
    """Check one note, then write the report; in the form of its schema."""
    if "Write a report" not in request.text:
        return None
    if request.tools and not request.tool_results:
        return Reply.call("search_notes", query="repairs")
    changes = re.findall(r"^(trips|stations|repairs): (\S+)$", request.text, re.MULTILINE)
    return Reply.json(
        {
            "title": "Bicycle sharing in Port Aster",
            "figures": [{"name": name, "change": change} for name, change in changes],
            "recommendation": "Add stations where trips grew most, and stock puncture-proof tyres.",
        }
    )


SCRIPT = (gather, compare, report)
