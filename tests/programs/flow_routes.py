"""A flow with nested and_/or_, routers that name others, a loop and a second start; no model.

crewai: >=1.9.3
lines: any order

Handlers draw a panel for each method, in a pool of threads.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from support import play

from crewai.flow.flow import Flow, and_, listen, or_, router, start
from pydantic import BaseModel


class Parcel(BaseModel):
    weight: int = 0
    tries: int = 0
    trail: list[str] = []


class Parcels(Flow[Parcel]):
    """No two methods run at a time: their order is fixed. See flow_parallel for those that do."""

    def note(self, step: str) -> str:
        self.state.trail.append(step)
        return step

    @start()
    async def weigh(self) -> str:
        return self.note("weigh")

    @listen(weigh)
    async def label(self) -> str:
        return self.note("label")

    @start("reopened")
    async def reopen(self) -> str:
        return self.note("reopen")

    @listen(and_(weigh, label))
    async def ready(self) -> str:
        return self.note("ready")

    @router(or_(ready, "retry"))
    async def inspect(self) -> Literal["heavy", "light", "retry"]:
        self.note("inspect")
        self.state.tries += 1
        if self.state.tries < 3:
            return "retry"
        return "heavy" if self.state.weight > 10 else "light"

    @router("light")
    def sort_light(self) -> str:
        self.note("sort_light")
        return "by_air" if self.state.weight else "lost"

    @listen("heavy")
    async def by_ship(self, result: Any) -> str:
        return self.note(f"by_ship after {result}")

    @listen("by_air")
    async def fly(self) -> str:
        return self.note("fly")

    @listen(or_(and_(ready, fly), and_("heavy", or_(by_ship, "never"))))
    async def bill(self) -> str:
        return self.note("bill")

    @listen(or_(bill, "lost"))
    async def close(self) -> str:  # CrewAI 1.9.3 takes the flow's last result for the router's
        self.note("close")
        return f"closed at {self.state.weight}"


class Plain(Flow):
    """Unstructured state; a method that fails."""

    @start()
    def begin(self) -> int:
        self.state["count"] = self.state.get("count", 0) + 1
        return self.state["count"]

    @listen(begin)
    def double(self, count: int) -> int:
        if count > 1:
            raise ValueError(f"{count} is too many")
        self.state["double"] = 2 * count
        return self.state["double"]


class Empty(Flow):
    @start()
    def nothing(self) -> None:
        """Nothing happens, and nobody listens."""


def show(flow: Flow[Any], result: Any) -> None:
    print(type(flow).__name__, "gave", result, "| outputs:", flow.method_outputs)


def main() -> None:
    with play():
        for weight in (20, 5, 0):
            flow = Parcels()
            show(flow, flow.kickoff(inputs={"weight": weight}))
            print(flow.state.model_dump_json(exclude={"id"}))
        flow = Parcels(suppress_flow_events=True)
        show(flow, asyncio.run(flow.kickoff_async(inputs={"weight": 1})))

        plain = Plain()
        show(plain, plain.kickoff())
        try:
            plain.kickoff(inputs={"count": 1})
        except ValueError as error:
            print("failed:", error)
        print({key: value for key, value in plain.state.items() if key != "id"})
        empty = Empty()
        show(empty, empty.kickoff())


if __name__ == "__main__":
    main()
