"""What the model answers in review_flow.py when it runs offline."""

from __future__ import annotations

from model_server import Reply, Request


def write(request: Request) -> Reply | None:
    if "Write a notice" in request.text:
        return Reply("The harbour bridge will be closed for repairs.")
    return None


def revise(request: Request) -> Reply | None:
    if "Revise this notice" in request.text:
        return Reply("The harbour bridge will be closed for repairs on 3 May from 8:00 to 12:00.")
    return None


def check(request: Request) -> Reply | None:
    if "Answer OK" in request.text:
        return Reply("OK" if "8:00" in request.text else "The date and the hours are missing.")
    return None


SCRIPT = (write, revise, check)
