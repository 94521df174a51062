"""Short-term, long-term and entity memory of the versions before the unified one.

crewai: <1.10
"""

from __future__ import annotations

from typing import Any

from support import Reply, Request, embed, play

from chromadb.api.types import EmbeddingFunction
from crewai import Agent, Crew, Task
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction


class Embedding(CustomEmbeddingFunction, EmbeddingFunction):
    """Of CrewAI's class and of Chroma's: each of the two looks for its own."""

    def __init__(self, **options: Any) -> None:
        """Chroma wants a constructor of its own."""

    def __call__(self, input: Any) -> Any:  # noqa: A002
        import numpy

        return [numpy.array(vector, dtype=numpy.float32) for vector in embed(list(input))]

    @staticmethod
    def name() -> str:
        return "words"

    def get_config(self) -> dict[str, Any]:
        return {}


def analyst(request: Request) -> Reply | None:
    schema = str(request.schema or request.tools)
    entity = {"name": "Port Aster", "type": "town", "description": "A harbour", "relationships": []}
    if "quality" in schema:
        return Reply.json({"suggestions": ["Go on."], "quality": 8, "entities": [entity]})
    return None


def guide(request: Request) -> Reply | None:
    if "Describe" not in request.text_of("user"):
        return None
    return Reply(f"Port Aster has {12 + request.text.count('12 boats')} boats.")


def main() -> None:
    with play(analyst, guide) as llm:
        agent = Agent(role="Guide", goal="Describe", backstory="You know.", llm=llm)
        tasks = [
            Task(description=f"Describe {what}.", expected_output="A line.", agent=agent)
            for what in ("Port Aster", "the boats of Port Aster")
        ]
        crew = Crew(
            agents=[agent],
            tasks=tasks,
            memory=True,
            embedder={"provider": "custom", "config": {"embedding_callable": Embedding}},
        )
        for _ in range(2):
            print([output.raw for output in crew.kickoff().tasks_output])


if __name__ == "__main__":
    main()
