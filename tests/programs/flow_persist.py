"""A flow whose state is kept in SQLite and taken up again by a second flow with its id.

crewai: >=1.9.3
lines: any order

Handlers draw a panel for each method, in a pool of threads.
"""

from __future__ import annotations

from support import play

from crewai.flow.flow import Flow, listen, start
from crewai.flow.persistence import SQLiteFlowPersistence, persist
from pydantic import BaseModel

STORE = SQLiteFlowPersistence("counters.db")


class Counter(BaseModel):
    id: str = ""
    count: int = 0
    notes: dict[str, list[int]] = {}


@persist(STORE)
class Counting(Flow[Counter]):
    @start()
    def first(self) -> int:
        self.state.count += 1
        return self.state.count

    @listen(first)
    def second(self, before: int) -> int:
        self.state.count += 10
        self.state.notes.setdefault("seen", []).append(before)
        return self.state.count


class OneStep(Flow):
    @start()
    def begin(self) -> None:
        self.state["begun"] = self.state.get("begun", 0) + 1

    @persist(verbose=True)
    @listen(begin)
    def remember(self) -> str:
        self.state["text"] = "kept: “ünïcödé”"
        return self.state["text"]


def main() -> None:
    with play():
        flow = Counting()
        print(flow.kickoff(), flow.state.count, flow.state.notes)
        again = Counting(persistence=STORE)
        print(again.kickoff(inputs={"id": flow.state.id}), again.state.count, again.state.notes)
        print("the same id:", again.state.id == flow.state.id)
        other = Counting()
        print(other.kickoff(inputs={"count": 5}), other.state.notes)
        print("another id:", other.state.id != flow.state.id)
        print("stored:", (STORE.load_state(flow.state.id) or {}).get("count"))
        print("unknown:", STORE.load_state("00000000-0000-4000-8000-000000000000"))

        step = OneStep()
        print(step.kickoff())
        resumed = OneStep()
        print(resumed.kickoff(inputs={"id": step.state["id"]}), resumed.state["begun"])


if __name__ == "__main__":
    main()
