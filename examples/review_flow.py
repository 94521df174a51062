"""A flow that drafts a notice, checks it twice, and has it revised until it passes.

Its options are those of research_crew.py; the offline model is review_script.py::

    python examples/review_flow.py
"""

from __future__ import annotations

import io
import sys

from endpoint import choose_endpoint

if __name__ == "__main__":
    ENDPOINT = choose_endpoint(__doc__)

from crewai import LLM, Agent
from crewai.flow.flow import Flow, and_, listen, or_, router, start
from pydantic import BaseModel
from review_script import SCRIPT


class ReviewState(BaseModel):
    subject: str = ""
    request: str = ""
    draft: str = ""
    revisions: int = 0
    short_enough: bool = False
    verdict: str = ""


class ReviewFlow(Flow[ReviewState]):
    def __init__(self, llm: LLM) -> None:
        super().__init__()
        self.llm = llm
        self.editor = Agent(
            role="Editor", goal="Write clear notices", backstory="You are brief.", llm=llm
        )

    @start()
    def begin(self) -> None:
        self.state.request = f"Write a notice about {self.state.subject}."

    @listen(or_(begin, "revise"))
    def write(self) -> None:
        self.state.draft = self.editor.kickoff(self.state.request).raw

    @listen(write)
    def check_length(self) -> None:
        self.state.short_enough = len(self.state.draft.split()) <= 20

    @listen(write)
    def check_facts(self) -> None:
        self.state.verdict = self.llm.call(
            f"Answer OK, or say what is missing in this notice:\n\n{self.state.draft}"
        )

    @router(and_(check_length, check_facts))
    def decide(self) -> str:
        passed = self.state.short_enough and self.state.verdict == "OK"
        if passed or self.state.revisions == 2:
            return "accept"
        self.state.revisions += 1
        self.state.request = f"Revise this notice. {self.state.verdict}\n\n{self.state.draft}"
        return "revise"

    @listen("accept")
    def publish(self) -> str:
        return f"NOTICE: {self.state.draft}"


def main() -> None:
    # A flow draws panels as it runs, with ids that differ each time; only the result is shown.
    shown, sys.stdout = sys.stdout, io.StringIO()
    with ENDPOINT.connect(SCRIPT) as settings:
        flow = ReviewFlow(LLM(**settings, stream=True))
        notice = flow.kickoff(inputs={"subject": "the closure of the harbour bridge"})

    print(notice, file=shown)
    print(flow.state.model_dump_json(indent=2, exclude={"id", "request"}), file=shown)


if __name__ == "__main__":
    main()
