"""A crew and a flow that write checkpoints, and are resumed and forked from them.

crewai: >=1.15
lines: any order

Automatic checkpoints are written by a thread while the crew goes on, so what they hold depends on
timing; those here are taken when nothing else happens: at the end, and by hand after a flush.
"""

from __future__ import annotations

import io
import json
import os
import re
import sqlite3
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import Any

from support import Reply, Request, play

from crewai import Agent, CheckpointConfig, Crew, Task
from crewai.events import crewai_event_bus
from crewai.flow.flow import Flow, listen, start
from crewai.tasks.task_output import TaskOutput
from crewai.tools import BaseTool
from crewai_cli.checkpoint_cli import info_checkpoint, list_checkpoints
from pydantic import BaseModel

os.environ["CREWAI_DESERIALIZE_CALLBACKS"] = "1"  # the task's callback is this program's own
SAVED: list[str] = []


def mason(request: Request) -> Reply | None:
    for word in ("foundation", "wall", "roof"):
        if f"Build the {word}" in request.text_of("user"):
            return Reply(f"The {word} stands on: {request.text_of('user').count('stands')}")
    return None


def save(output: TaskOutput) -> None:
    """Write a checkpoint by hand, when all handlers have done their work."""
    crewai_event_bus.flush()
    state = crewai_event_bus.runtime_state
    if state is not None:
        SAVED.append(state.checkpoint("by_hand"))


class Measure(BaseModel):
    what: str
    metres: float = 1.0


class Ruler(BaseTool):
    name: str = "ruler"
    description: str = "Measures; nobody asks for it, but checkpoints hold its schema."
    args_schema: type[BaseModel] = Measure

    def _run(self, what: str, metres: float = 1.0) -> str:
        return f"{what}: {metres}"


class Steps(BaseModel):
    done: list[str] = []


class Building(Flow[Steps]):
    @start()
    def dig(self) -> str:
        self.state.done.append("dig")
        return "dug"

    @listen(dig)
    def pour(self, before: str) -> str:
        self.state.done.append(f"pour after {before}")
        return "poured"


def outline(path: Path) -> Any:
    content = json.loads(path.read_text(encoding="utf-8"))
    events = content["event_record"]["nodes"].values()
    return {
        "entities": [entity.get("entity_type") for entity in content["entities"]],
        "events": [node["event"]["type"] for node in events],
        "branch": content["branch"],
    }


def show_database(saved: str) -> None:
    """What ``crewai checkpoint`` says of a database, whose text any SQLite reads."""
    columns = "id TEXT, created_at TEXT, parent_id TEXT, branch TEXT, data JSONB"
    with closing(sqlite3.connect("saved.db")) as connection, connection:
        connection.execute(f"CREATE TABLE checkpoints ({columns})")
        connection.executemany(
            "INSERT INTO checkpoints VALUES (?, '20260102T030405', NULL, 'main', ?)",
            [("20260102T030405_a", Path(saved).read_text(encoding="utf-8")), ("other", "[]")],
        )
    shown = io.StringIO()
    with redirect_stdout(shown):
        ask_for_all()
    print(re.sub(r"[0-9a-f]{8}\.\.\.", "<id>...", shown.getvalue()))


def ask_for_all() -> None:
    list_checkpoints("saved.db")
    for path in ("saved.db#20260102T030405_a", "saved.db#0405", "saved.db#none"):
        info_checkpoint(path)
    with closing(sqlite3.connect("saved.db")) as connection, connection:
        connection.execute("DELETE FROM checkpoints WHERE id = 'other'")
    info_checkpoint("saved.db")


def main() -> None:
    with play(mason) as llm:
        agent = Agent(role="Mason", goal="Build", backstory="You build.", llm=llm, tools=[Ruler()])
        tasks = [
            Task(
                description=f"Build the {word} of {{house}}.",
                expected_output="A report.",
                agent=agent,
                callback=save if word == "foundation" else None,
            )
            for word in ("foundation", "wall", "roof")
        ]
        config = CheckpointConfig(
            location="automatic", on_events=["crew_kickoff_completed"], max_checkpoints=1
        )
        crew = Crew(name="masons", agents=[agent], tasks=tasks, checkpoint=config)
        for house in ("No. 1", "No. 2"):
            print(crew.kickoff(inputs={"house": house}).raw)
            crewai_event_bus.flush()

        resumed = Crew.from_checkpoint(CheckpointConfig(restore_from=SAVED[0]))
        print([task.output.raw if task.output else None for task in resumed.tasks])
        print(resumed.kickoff().raw)
        crewai_event_bus.flush()
        forked = Crew.fork(CheckpointConfig(restore_from=SAVED[0]), branch="other")
        print([output.raw for output in forked.kickoff().tasks_output])
        crewai_event_bus.flush()

        flow = Building(checkpoint=CheckpointConfig(location="flow", on_events=["flow_finished"]))
        print(flow.kickoff(), flow.state.done)
        crewai_event_bus.flush()
        for path in sorted(Path("flow").rglob("*.json")):
            again = Building.from_checkpoint(CheckpointConfig(restore_from=str(path)))
            print(again.state.done, again.kickoff(), again.state.done)

    show_database(SAVED[0])
    for path in sorted(Path().rglob("*.json"), key=lambda path: path.parts[0]):
        print(path.parts[0], outline(path))


if __name__ == "__main__":
    main()
