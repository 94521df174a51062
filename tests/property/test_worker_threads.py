"""More crews at once than asyncio's pool has threads."""

import asyncio
import threading

import pytest
from crewai import Agent, Crew, Task
from crewai.llms.base_llm import BaseLLM

import fast_crewai
from fast_crewai.hooks.areas import worker_threads

CREWS = 40  # asyncio has 32 threads at most

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # CrewAI's own fields


@pytest.fixture(autouse=True)
def installed():
    fast_crewai.install()
    yield
    fast_crewai.uninstall()


def crews(meeting):
    class Meets(BaseLLM):
        """Answers when all are asking."""

        def call(self, *arguments, **options):
            meeting.wait(60)
            return "Thought: so\nFinal Answer: met"

        async def acall(self, *arguments, **options):
            return self.call()

    for _ in range(CREWS):
        agent = Agent(role="r", goal="g", backstory="b", llm=Meets(model="fake"))
        task = Task(description="d", expected_output="e", agent=agent)
        yield Crew(agents=[agent], tasks=[task])


@pytest.mark.parametrize("way", ["akickoff", "kickoff_async"])
def test_all_wait_for_their_models_at_once(way):
    meeting = threading.Barrier(CREWS)

    async def together():
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(int)
        number = loop._default_executor._max_workers
        running = asyncio.gather(*(getattr(crew, way)() for crew in crews(meeting)))
        results = await asyncio.wait_for(running, 120)
        assert loop._default_executor._max_workers == number < CREWS
        return {result.raw for result in results}

    assert asyncio.run(together()) == {"met"}


def test_never_more_than_the_most(monkeypatch):
    monkeypatch.setattr(worker_threads, "MOST", 3)
    inside, most = [], []

    def call():
        inside.append(1)
        most.append(len(inside))
        threading.Event().wait(0.005)
        inside.pop()

    async def together():
        await asyncio.to_thread(int)
        asyncio.get_running_loop()._default_executor._max_workers = 2
        await asyncio.gather(*(worker_threads.in_worker(call) for _ in range(12)))

    asyncio.run(together())
    assert max(most) == 3
