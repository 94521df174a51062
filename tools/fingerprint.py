#!/usr/bin/env python3
"""Fingerprints of the functions we replace, from CrewAI's wheels, without installing them.

    tools/fingerprint.py scan 1.15.30 1.15.29      which routes are proven for these versions
    tools/fingerprint.py update 1.15.30 1.15.29    record for which of them each digest is proven
    tools/fingerprint.py update --accept 1.15.30   also record digests that are new

``--accept`` states that the property tests (``pytest tests/property``) have passed with those
versions installed: a digest in ``fingerprints.json`` lets a route replace that code.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from inheritance import definer  # noqa: E402
from wheel_sources import Wheel  # noqa: E402

from fast_crewai.hooks import fingerprint  # noqa: E402
from fast_crewai.hooks.registry import FINGERPRINTS, Registry  # noqa: E402
from fast_crewai.hooks.route import Route  # noqa: E402

# What CrewAI 1.9-1.15 allow; routes on pydantic's own code are proven for these.
PYDANTIC = ("2.11.9", "2.11.10", "2.12.0", "2.12.1", "2.12.2", "2.12.3", "2.12.4", "2.12.5")

# What CrewAI 1.14-1.15 allow.
PORTALOCKER = "2.7.0"
# What the panels were proven with; others are left to Rich.
RICH = "14.3.4"
# From this one on, a part of CrewAI is a package of its own, of the same version.
CREWAI_CORE = [1, 14]

Digests = dict[str, dict[str, dict[str, list[str]]]]


def combined(route: Route, wheels: Mapping[str, Wheel]) -> str | None:
    """The route's digest over a set of wheels (package → wheel); None if something is missing."""

    def digest(target: str) -> str | None:
        wheel = wheels.get(target.partition(".")[0])
        return wheel.digest(target) if wheel else None

    own = digest(route.target)
    if own is None and (inherited := definer(route.target, wheels)):
        own = digest(inherited)
    reads = [(read, digest(read)) for read in route.reads]
    if own is None or any(found is None for _, found in reads):
        return None
    return fingerprint.combine(own, [(read, found) for read, found in reads if found])


def download(project: str, version: str, folder: Path) -> Wheel:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, f"{project}=={version}", "-d", str(folder)], check=True)
    pattern = f"{project.replace('-', '_')}-{version}-*.whl"
    return Wheel(next(folder.glob(pattern)))


def load() -> Digests:
    if not FINGERPRINTS.exists():
        return {}
    targets: Digests = json.loads(FINGERPRINTS.read_text("utf-8"))["targets"]
    return targets


def forget(targets: Digests, versions: Iterable[str]) -> None:
    """Leave nothing recorded for these CrewAI versions; the digests stay known."""
    gone = set(versions)
    for digests in targets.values():
        for packages in digests.values():
            packages["crewai"] = [v for v in packages.get("crewai", ()) if v not in gone]


def save(targets: Digests) -> None:
    """Write those digests that some version has."""
    targets = {
        target: kept
        for target, digests in targets.items()
        if (kept := {digest: found for digest, found in digests.items() if found["crewai"]})
    }
    for digests in targets.values():
        for versions in digests.values():
            for package in versions:
                versions[package] = sorted(set(versions[package]), key=_version_key)
    text = json.dumps({"targets": targets}, indent=1, sort_keys=True)
    FINGERPRINTS.write_text(text + "\n", encoding="utf-8")


def _version_key(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def routes() -> list[Route]:
    registry = Registry.load("tools")
    if registry.broken:
        sys.exit(f"areas that can't be loaded: {registry.broken}")
    return [state.route for state in (*registry.states.values(), *registry.fixes.values())]


def examine(versions: list[str], folder: Path) -> Iterator[tuple[Route, str, str, str | None]]:
    """(route, CrewAI version, pydantic version or "", combined digest) for every combination."""
    pydantic = {version: download("pydantic", version, folder) for version in PYDANTIC}
    others = {"portalocker": PORTALOCKER, "rich": RICH}
    common = {name: download(name, version, folder) for name, version in others.items()}
    for version in versions:
        crewai = {"crewai": download("crewai", version, folder), **common}
        if _version_key(version) >= CREWAI_CORE:
            crewai["crewai_core"] = download("crewai-core", version, folder)
            crewai["crewai_cli"] = download("crewai-cli", version, folder)
        for route in routes():
            if any(read.startswith("pydantic.") for read in route.reads):
                for name, wheel in pydantic.items():
                    yield route, version, name, combined(route, {**crewai, "pydantic": wheel})
            else:  # pydantic's classes are bases of CrewAI's
                bases = {"pydantic": pydantic[PYDANTIC[-1]]}
                yield route, version, "", combined(route, {**crewai, **bases})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Verbatim)
    parser.add_argument("command", choices=["scan", "update"])
    parser.add_argument("versions", nargs="+", help="CrewAI versions on the package index")
    parser.add_argument("--accept", action="store_true", help="record new digests as proven")
    args = parser.parse_args()
    targets = load()
    if args.command == "update":
        forget(targets, args.versions)
    unproven = 0
    with tempfile.TemporaryDirectory() as scratch:
        for route, version, pydantic, digest in examine(args.versions, Path(scratch)):
            known = digest is not None and digest in targets.get(route.target, {})
            accept = digest is not None and args.command == "update" and (known or args.accept)
            if accept and digest:
                entry = targets.setdefault(route.target, {}).setdefault(digest, {})
                entry.setdefault("crewai", []).append(version)
                if pydantic:
                    entry.setdefault("pydantic", []).append(pydantic)
            verdict = "absent" if digest is None else "proven" if known or accept else "NEW"
            unproven += verdict == "NEW"
            label = f"{version} pydantic {pydantic}" if pydantic else version
            print(f"{label:28} {verdict:7} {route.name}")
    if args.command == "update":
        save(targets)
    return 1 if unproven else 0


class _Verbatim(argparse.RawDescriptionHelpFormatter):
    pass


if __name__ == "__main__":
    sys.exit(main())
