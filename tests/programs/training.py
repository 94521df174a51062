r"""A crew that is trained with feedback typed at the terminal, then works with what it learnt.

crewai: >=1.9.3,!=1.14.6,!=1.14.7,!=1.15.0
stdin: "More detail, please.\nGive a number.\n"

In those versions the default executor has no `_format_feedback_message`: training fails in CrewAI.
"""

from __future__ import annotations

from support import Reply, Request, play

from crewai import Agent, Crew, Task


def evaluator(request: Request) -> Reply | None:
    if "suggestions" not in str(request.schema) and "suggestions" not in str(request.tools):
        return None
    value = {
        "suggestions": ["Give numbers.", "Be precise."],
        "quality": 7.5,
        "final_summary": "Numbers first.",
    }
    if request.schema:
        return Reply.json(value)
    return Reply.call(next(iter(request.tools)), **value)


def reporter(request: Request) -> Reply | None:
    if "Report on the harbour" not in request.text:
        return None
    if "Give numbers" in request.text:
        return Reply("There are 12 boats, as I learnt.")
    improved = "More detail" in request.text or "Give a number" in request.text
    return Reply("12 boats lie in the harbour." if improved else "Boats.")


def main() -> None:
    with play(evaluator, reporter) as llm:
        agent = Agent(role="Reporter", goal="Report", backstory="You go there.", llm=llm)
        task = Task(
            description="Report on the harbour of {town}.", expected_output="A report.", agent=agent
        )
        crew = Crew(agents=[agent], tasks=[task])
        crew.train(n_iterations=2, filename="trained_agents_data.pkl", inputs={"town": "Aster"})
        result = crew.kickoff(inputs={"town": "Aster"})

    print("result:", result.raw)


if __name__ == "__main__":
    main()
