"""A model of the user's own without function calling: the text protocol, with malformed answers.

crewai: >=1.9.3
"""

from __future__ import annotations

import json
from typing import Any

from support import play

from crewai import Agent, BaseLLM, Crew, Task
from crewai.tools import tool
from pydantic import BaseModel

ANSWERS = (
    "Thought: look first\nAction: shelf\nAction Input: {'row': 1}",
    'Thought: again\nAction: shelf\nAction Input: {"row": 2, }\nObservation: made up',
    'Thought: wrong name\nAction: the shelves\nAction Input: {"row": 3}',
    'Thought: quoted\nAction: `shelf`\nAction Input: ```json\n{"row": "4"}\n```',
    "Thought: not JSON\nAction: shelf\nAction Input: row five",
    'Thought: both\nAction: shelf\nAction Input: {"row": 5}\nFinal Answer: too early',
)


# What can't be parsed is the final answer; older versions ask again.
UNFIT = (
    "I have no idea.",
    "**Thought**: I now can give a great answer\n**Final Answer**: Seen “rows” 1 and 2.\n\nDone.",
    "Action: shelf",
    'Thought: odd\nAction Input: {"row": 3}',
    "",
)
CLERK = (
    'Final Answer: Here it is:\n```json\n{"books": 3, "boxes": 2}\n```',
    "Final Answer: three books, no boxes",
    '{"books": 3, "boxes": 0}',
)


class Count(BaseModel):
    books: int
    boxes: int


class Script(BaseLLM):
    """It reads the conversation and says what comes next."""

    def __init__(self, answers: tuple[str, ...]) -> None:
        super().__init__(model="script")
        self._answers = list(answers)
        self._prompts: list[str] = []

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        self._prompts.append(json.dumps(messages, ensure_ascii=False, default=str))
        return self._answers.pop(0) if self._answers else "Final Answer: nothing is left"

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        return self.call(messages)

    def supports_function_calling(self) -> bool:
        return False

    def supports_stop_words(self) -> bool:
        return True

    def get_context_window_size(self) -> int:
        return 4096


@tool
def shelf(row: int) -> str:
    """Say what stands in a row of the shelf."""
    return f"row {row}: {'books' if row % 2 else 'boxes'}"


def main() -> None:
    with play():
        llm = Script(ANSWERS)
        agent = Agent(
            role="Librarian", goal="Know the shelf", backstory="You look.", tools=[shelf], llm=llm
        )
        plain = Agent(
            role="Reader",
            goal="Read",
            backstory="You read.",
            llm=Script(("Thought: easy\nFinal Answer: It's a “library”", *UNFIT)),
        )
        clerk = Agent(role="Clerk", goal="Count", backstory="You count.", llm=Script(CLERK))
        tasks = [
            Task(description="Look at {n} rows.", expected_output="What is there.", agent=agent),
            Task(description="Sum up.", expected_output="A sentence.", agent=plain),
            *(
                Task(description="Say more.", expected_output="A sentence.", agent=plain)
                for _ in UNFIT
            ),
            Task(description="Count.", expected_output="JSON.", agent=clerk, output_json=Count),
            Task(description="Count.", expected_output="It.", agent=clerk, output_pydantic=Count),
        ]
        result = Crew(agents=[agent, plain, clerk], tasks=tasks).kickoff(inputs={"n": 5})

    for output in result.tasks_output:
        print(output.raw, output.json_dict, output.pydantic)
        for message in output.messages:
            print("   ", message["role"], repr(message["content"]))
    for number, prompt in enumerate(llm._prompts):
        print(number, prompt)


if __name__ == "__main__":
    main()
