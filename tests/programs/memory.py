"""The unified memory: by itself, and that of a crew; a local embedder, LanceDB on disk.

crewai: >=1.10
lines: any order
order: per memory_save_started
races: llm_call_started llm_call_completed
sets: chunk_findings

A crew's memories are saved by a thread of their own, and what several of them need from the model
is asked for at once, in more threads. A deep recall lists the scopes in the order in which their
searches end, and explores them in that order: so only a memory with one scope is explored. Of two
queries that find the same record, the one that ends first gives it its score: so the model distils
one. The age of a memory has no weight: it would change the scores. A crew counts its tokens before
it waits for its memories: so the task waits for them, or theirs would be counted in some runs only.
"""

from __future__ import annotations

import re

from support import Reply, Request, embed, play

from crewai import Agent, Crew, Memory, Task

FACTS = (
    ("The harbour has 12 boats.", "/town/harbour", ["boats"], 0.9),
    ("The harbour closes at ten.", "/town/harbour", ["hours"], 0.4),
    ("The market is on Friday.", "/town/market", ["hours"], 0.6),
    ("Ünal sells “plums” 日本.", "/town/market", ["people"], 0.2),
    ("Ada keeps the lighthouse.", "/coast", ["people"], 0.8),
)


def analyst(request: Request) -> Reply | None:
    """What memory asks the model."""
    asked = (request.body.get("response_format") or {}).get("json_schema", {}).get("name")
    if asked == "ExtractedMemories":
        found = re.findall(r"The harbour has \d+ boats", request.text)
        return Reply.json({"memories": [f"{found[0]}, says the crew." if found else "Nothing."]})
    if asked == "MemoryAnalysis":
        return Reply.json(
            {
                "suggested_scope": "/inferred",
                "categories": ["crew"],
                "importance": 0.7,
                "extracted_metadata": {"entities": ["harbour"], "dates": [], "topics": []},
            }
        )
    if asked == "QueryAnalysis":
        return Reply.json(
            {
                "keywords": ["harbour"],
                "suggested_scopes": [],
                "complexity": "simple",
                "recall_queries": ["harbour boats"],
                "time_filter": None,
            }
        )
    if asked == "ConsolidationPlan":
        return Reply.json({"actions": [], "insert_new": True, "insert_reason": "new"})
    return None


def guide(request: Request) -> Reply | None:
    if "Describe the harbour" not in request.text_of("user"):
        return None
    knows = "12 boats" in request.text
    return Reply("The harbour has 12 boats." if knows else "I don't know.")


def show(memory: Memory, query: str, **options: object) -> None:
    for match in memory.recall(query, **options):
        record = match.record
        print("   ", round(match.score, 6), record.scope, record.categories, record.content)


def main() -> None:
    with play(analyst, guide) as llm:
        options = {"recency_weight": 0.0, "exploration_budget": 0}
        memory = Memory(llm=llm, embedder=embed, storage="town", **options)
        for content, scope, categories, importance in FACTS:
            memory.remember(content, scope=scope, categories=categories, importance=importance)
        memory.remember("The harbour has 12 boats.")  # the model says where it belongs
        memory.remember_many(["A gull.", "A gull.", "A heron."], scope="/birds", categories=["x"])
        memory.drain_writes()
        for depth in ("shallow", "deep"):
            for query in ("boats in the harbour", "who sells plums", "xyzzy"):
                print(depth, query)
                show(memory, query, depth=depth, limit=3)
        print("within a scope")
        show(memory.scope("/town"), "harbour hours", limit=2)
        print("long query")
        show(memory, "Tell me about the harbour and its boats, please. " * 6, limit=2)
        show(memory, "hours", categories=["hours"], depth="shallow")
        print(memory.tree(), memory.list_scopes("/"), memory.list_categories(), sep="\n")
        print([record.content for record in memory.list_records("/town", limit=3)])
        print(memory.info("/town").record_count)
        print("forgotten:", memory.forget(scope="/birds"), memory.forget(categories=["nothing"]))
        print(sorted(record.content for record in memory.list_records()))

        single = Memory(llm=llm, embedder=embed, storage="single", recency_weight=0.0)
        for content, _, categories, importance in FACTS:
            single.remember(content, scope="/all", categories=categories, importance=importance)
        print("explored")
        show(single, "what the gulls eat", limit=2)
        single.close()

        agent = Agent(role="Guide", goal="Describe", backstory="You know.", llm=llm)
        task = Task(
            description="Describe the harbour.",
            expected_output="A line.",
            agent=agent,
            callback=lambda _: memory.drain_writes(),
        )
        crew = Crew(agents=[agent], tasks=[task], memory=memory)
        print(crew.kickoff().raw)
        memory.drain_writes()
        print(sorted((record.scope, record.content) for record in memory.list_records()))
        memory.close()


if __name__ == "__main__":
    main()
