"""One crew for each of several inputs, in turn; the inputs are of many kinds.

crewai: >=1.9.3
"""

from __future__ import annotations

import re

from support import Reply, Request, play

from crewai import Agent, Crew, Task

INPUTS = [
    {"name": "Ada", "age": 36, "likes": ["maths", "horses"], "more": {"born": 1815}},
    {"name": "Grace {age}", "age": 85.5, "likes": [], "more": {"a": [1, {"b": None}]}},
    {"name": "Ünal \\{x\\}", "age": True, "likes": ["日本", "emoji 🎉"], "more": {}},
]


def greeter(request: Request) -> Reply | None:
    found = re.search(r"Greet (.*?), who is (.*?)\.", request.text_of("user"))
    return Reply(f"Hello {found[1]} ({found[2]})!") if found else None


def main() -> None:
    with play(greeter) as llm:
        agent = Agent(
            role="Greeter of {name}",
            goal="Greet {name}; likes {likes}",
            backstory='You have read: {more}. JSON such as {{"a": 1}} stays.',
            llm=llm,
        )
        task = Task(
            description="Greet {name}, who is {age}. Likes: {likes}. Know: {more}. Not: { name }",
            expected_output="A greeting for {name}",
            agent=agent,
        )
        crew = Crew(agents=[agent], tasks=[task])
        results = crew.kickoff_for_each(inputs=INPUTS)
        try:
            crew.kickoff(inputs={"name": "only"})
        except (KeyError, ValueError) as error:
            print(type(error).__name__, error)
        try:
            crew.kickoff(inputs={"name": {1, 2}, "age": 1, "likes": 2, "more": 3})
        except (KeyError, ValueError) as error:
            print(type(error).__name__, error)

    for result in results:
        print(result.raw, "|", result.tasks_output[0].description)
        print("   ", result.tasks_output[0].agent, "|", result.tasks_output[0].expected_output)
    print(crew.usage_metrics)


if __name__ == "__main__":
    main()
