"""A memory with a real embedding model: what it recalls is near in meaning, not in words.

The embeddings are all-MiniLM-L6-v2's, computed here (minilm.py says how to install it). The
language model that files and analyses is played by memory_script.py, unless there is a key::

    python examples/memory_embeddings.py
    OPENAI_API_KEY=... python examples/memory_embeddings.py
"""

from __future__ import annotations

from endpoint import choose_endpoint

if __name__ == "__main__":
    ENDPOINT = choose_endpoint(__doc__)

from crewai import LLM, Memory
from crewai.events.event_listener import EventListener
from memory_script import SCRIPT
from minilm import MiniLM

FACTS = (
    ("Cyclists may take their bicycles on the ferry free of charge.", "/transport"),
    ("The last tram to the suburbs leaves at a quarter past midnight.", "/transport"),
    ("The bakery on Mill Lane opens at six and sells out by nine.", "/food"),
    ("Most restaurants in the old town close their kitchens on Mondays.", "/food"),
    ("The museum lets children under twelve in without a ticket.", "/culture"),
    ("An open-air cinema shows films by the lake in July and August.", "/culture"),
    ("The pharmacy at the station is open all night.", "/health"),
    ("Dentists on call at weekends are listed at the town hall.", "/health"),
)
FILED_BY_THE_MODEL = "The swimming pool is heated and is open until late September."
QUESTIONS = (
    "How do I get home late at night?",
    "Where can I buy bread early in the morning?",
    "I have a toothache on a Sunday.",
    "Something to watch on a warm evening",
)
LONG = (
    "We are a family with two small children and stay in Port Aster for a long weekend. On Monday "
    "we would like to eat out after a visit that costs little, and we travel with our bikes. "
    "What do we have to know?"
)


def show(memory: Memory, query: str, **options: object) -> None:
    print(f"--- {query}")
    for match in memory.recall(query, limit=3, **options):
        print(f"{match.score:.3f}  {match.record.scope:<10}  {match.record.content}")


def main() -> None:
    EventListener().formatter.verbose = False  # what a crew that isn't verbose sets
    with ENDPOINT.connect(SCRIPT) as settings:
        memory = Memory(
            llm=LLM(**settings),
            embedder=MiniLM(),
            recency_weight=0.0,  # so that scores don't depend on the clock
            semantic_weight=0.8,
            importance_weight=0.2,
        )
        for content, scope in FACTS:
            memory.remember(content, scope=scope, categories=["town"], importance=0.5)
        memory.remember(FILED_BY_THE_MODEL)
        memory.drain_writes()
        print(memory.tree())
        for question in QUESTIONS:
            show(memory, question, depth="shallow")
        show(memory, QUESTIONS[0], scope="/transport")
        show(memory, LONG)
        print("--- Forgotten:", memory.forget(scope="/food", categories=["town"]))
        show(memory, QUESTIONS[1], depth="shallow")
        memory.close()


if __name__ == "__main__":
    main()
