"""A flow whose starts and listeners run beside each other: coroutines, and functions in threads.

crewai: >=1.9.3
lines: any order
order: per flow_started
races: method_execution_started method_execution_finished
varies: state previous_event_id triggered_by_event_id

Which of two methods ends first is up to the threads, and so is which of them triggers the next.
"""

from __future__ import annotations

import asyncio
import threading
import time

from support import play

from crewai.flow.flow import Flow, and_, listen, or_, router, start
from pydantic import BaseModel


class Kitchen(BaseModel):
    cooked: dict[str, int] = {}
    threads: dict[str, bool] = {}


class Dinner(Flow[Kitchen]):
    def cook(self, what: str, minutes: int) -> int:
        self.state.cooked[what] = minutes
        self.state.threads[what] = threading.current_thread() is threading.main_thread()
        return minutes

    @start()
    def soup(self) -> int:
        time.sleep(0.01)
        return self.cook("soup", 20)

    @start()
    async def salad(self) -> int:
        await asyncio.sleep(0.01)
        return self.cook("salad", 5)

    @start()
    def bread(self) -> int:
        return self.cook("bread", 60)

    @listen(and_(soup, salad))
    def serve(self) -> int:
        return self.cook("serve", 5)  # how much is cooked by now is up to the threads

    @listen(bread)
    async def slice_bread(self, minutes: int) -> int:
        return self.cook("slice", minutes // 10)

    @listen(bread)
    def butter(self, minutes: int) -> int:
        return self.cook("butter", minutes // 20)

    @router(and_(serve, slice_bread, butter))
    def judge(self) -> str:
        return "good" if sum(self.state.cooked.values()) > 90 else "poor"

    @listen(or_("good", "poor"))
    def eat(self) -> str:  # CrewAI 1.9.3 takes the flow's last result for the router's
        return ", ".join(sorted(self.state.cooked))


def main() -> None:
    with play():
        for _ in range(2):
            dinner = Dinner()
            print(dinner.kickoff(), sorted(dinner.state.threads.items()))
        several = [Dinner(), Dinner()]

        async def both() -> list[object]:
            return await asyncio.gather(*(flow.kickoff_async() for flow in several))

        print(asyncio.run(both()))
    print([sorted(map(str, flow.method_outputs)) for flow in several])


if __name__ == "__main__":
    main()
