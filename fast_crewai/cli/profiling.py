"""``profile-import``: what an accelerated import costs, what it leaves out, and who asks for it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import click

_PROGRAM = """
import sys
from fast_crewai import finder
finder.start()
import importlib, time
begin = time.process_time()
importlib.import_module(sys.argv[1])
seconds = time.process_time() - begin
import json
from fast_crewai import report
from fast_crewai.imports import journal
features = [r for r in report.status().routes() if r["name"].startswith("imports.")]
entries = [e._asdict() for e in journal.entries]
told = {"seconds": seconds, "modules": len(sys.modules), "features": features, "forced": entries}
print("fast-crewai-profile" + json.dumps(told))
"""
_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|( +)(\S+)")


@dataclass
class Profile:
    """``packages``: package → (microseconds of its own modules, how many they are)."""

    told: dict[str, Any]
    packages: dict[str, tuple[int, int]] = field(default_factory=dict)
    modules: list[tuple[str, int]] = field(default_factory=list)  # the costliest first


def profile(module: str) -> Profile:
    """Import a module in a new interpreter. Raises click.ClickException if that fails."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", _PROGRAM, module],
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("fast-crewai-profile")]
    if not told:
        lines = [line for line in done.stderr.splitlines() if not _LINE.match(line)]
        raise click.ClickException(f"{module} can't be imported: {(lines or ['?'])[-1]}")
    return parse(done.stderr, json.loads(told[-1].removeprefix("fast-crewai-profile")))


def parse(importtime: str, told: dict[str, Any]) -> Profile:
    """``importtime`` is what ``-X importtime`` writes."""
    own: Counter[str] = Counter()
    for line in importtime.splitlines():
        if match := _LINE.match(line):
            own[match[4]] += int(match[1])
    spent: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for name, microseconds in own.items():
        spent[name.partition(".")[0]] += microseconds
        count[name.partition(".")[0]] += 1
    packages = {name: (time, count[name]) for name, time in spent.most_common()}
    return Profile(told, packages, own.most_common())


def lines(found: Profile, rows: int) -> list[str]:
    """The report, as text."""
    told = found.told
    out = [
        f"{told['modules']} modules, {told['seconds'] * 1000:.0f} ms CPU "
        "(the figures below include what measuring each import costs)",
        "",
    ]
    for feature in told["features"]:
        reason = f": {feature['reason']}" if feature["reason"] else ""
        out.append(f"{feature['name']:18} {feature['state']}{reason}")
    out += [
        f"{entry['feature']:18} asked for after {entry['seconds'] * 1000:.0f} ms CPU "
        f"by {entry['place']} ({entry['thread']})"
        for entry in told["forced"]
    ]
    out += ["", "    own ms  modules  package"]
    for name, (microseconds, count) in list(found.packages.items())[:rows]:
        out.append(f"{microseconds / 1000:10.1f}  {count:7}  {name}")
    out += ["", "    own ms  module"]
    out += [f"{time / 1000:10.1f}  {name}" for name, time in found.modules[:rows]]
    return out
