"""A crew and a flow that stream, and a model whose chunks a listener counts.

crewai: >=1.12
"""

from __future__ import annotations

import asyncio
from typing import Any

from support import Reply, Request, play

from crewai import LLM, Agent, Crew, Task
from crewai.events import LLMStreamChunkEvent, crewai_event_bus
from crewai.tools import tool

CHUNKS: list[str] = []


@tool
def dictionary(word: str) -> str:
    """Translate a word."""
    return {"river": "Fluss"}.get(word, "?")


def translator(request: Request) -> Reply | None:
    if "Translate" not in request.text_of("user"):
        return None
    if request.tools and not request.tool_results:
        return Reply.call("dictionary", word="river")
    return Reply("The word is Fluss, as in\n\n* Flüsse, und  so weiter …")


def build(llm: LLM) -> Crew:
    agent = Agent(
        role="Translator", goal="Translate", backstory="You speak.", tools=[dictionary], llm=llm
    )
    task = Task(description="Translate {word}.", expected_output="A word.", agent=agent)
    return Crew(agents=[agent], tasks=[task], stream=True)


def listen_to_chunks() -> None:
    @crewai_event_bus.on(LLMStreamChunkEvent)
    def chunk(source: Any, event: LLMStreamChunkEvent) -> None:
        CHUNKS.append(event.chunk)


async def run_async(llm: LLM) -> None:
    streaming = await build(llm).kickoff_async(inputs={"word": "river"})
    async for chunk in streaming:
        print(chunk.chunk_type.value, repr(chunk.content), chunk.agent_role, chunk.task_name)
    print(streaming.result.raw)


def main() -> None:
    listen_to_chunks()
    with play(translator, stream=True) as llm:
        streaming = build(llm).kickoff(inputs={"word": "river"})
        for chunk in streaming:
            print(chunk.chunk_type.value, repr(chunk.content), chunk.agent_role, chunk.tool_call)
        print(streaming.result.raw)
        print(repr(streaming.get_full_text()))
        asyncio.run(run_async(llm))
        print(llm.call("Translate this alone."))

    print(len(CHUNKS), "".join(CHUNKS))


if __name__ == "__main__":
    main()
