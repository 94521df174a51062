"""A crew and an agent with knowledge from strings; a local embedder, Chroma on disk.

crewai: >=1.9.3
"""

from __future__ import annotations

import re
from typing import Any

from support import Reply, Request, embed, play

from chromadb.api.types import EmbeddingFunction
from crewai import Agent, Crew, Task
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from crewai.rag.embeddings.providers.custom.embedding_callable import CustomEmbeddingFunction

RULES = """The library opens at nine. Books may be kept for three weeks.
Maps must not leave the house. Children under six come with their parents."""


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


def librarian(request: Request) -> Reply | None:
    text = request.text
    if "query" in text.lower() and "Current Task" not in text and "How long" in text:
        return Reply("how long may books be kept")
    found = re.search(r"kept for [\w ]+", text)
    return Reply(f"They are {found[0]}." if found else "I don't know.")


def main() -> None:
    embedder = {"provider": "custom", "config": {"embedding_callable": Embedding}}
    with play(librarian) as llm:
        rules = StringKnowledgeSource(content=RULES, chunk_size=60, chunk_overlap=10)
        fees = StringKnowledgeSource(content="A lost book costs 20. “Ersatz” 日本.")
        agent = Agent(
            role="Librarian",
            goal="Answer",
            backstory="You read.",
            knowledge_sources=[fees],
            embedder=embedder,
            llm=llm,
        )
        task = Task(
            description="How long may books be kept?", expected_output="A time.", agent=agent
        )
        crew = Crew(agents=[agent], tasks=[task], knowledge_sources=[rules], embedder=embedder)
        print(crew.kickoff().raw)
        found = crew.query_knowledge(["books kept"], results_limit=2, score_threshold=0.1)
        for result in found or []:
            print(round(result["score"], 4), repr(result["content"]))


if __name__ == "__main__":
    main()
