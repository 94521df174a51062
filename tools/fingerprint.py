#!/usr/bin/env python3
"""Fingerprints of the functions we replace, from CrewAI's wheels, without installing them.

    tools/fingerprint.py scan 1.15.30 1.15.29      which routes are proven for these versions
    tools/fingerprint.py update 1.15.30 1.15.29    record the versions whose digests are proven
    tools/fingerprint.py update --accept 1.15.30   also record digests that are new

``--accept`` states that the property tests (``pytest tests/property``) have passed with those
versions installed: a digest in ``fingerprints.json`` lets a route replace that code.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from fast_crewai.hooks import fingerprint  # noqa: E402
from fast_crewai.hooks.registry import FINGERPRINTS, Registry  # noqa: E402
from fast_crewai.hooks.route import Route, is_standard  # noqa: E402

# What CrewAI 1.9-1.15 allow; routes on pydantic's own code are proven for these.
PYDANTIC = ("2.11.9", "2.11.10", "2.12.0", "2.12.1", "2.12.2", "2.12.3", "2.12.4", "2.12.5")

# What CrewAI 1.14-1.15 allow.
PORTALOCKER = "2.7.0"
# What the panels were proven with; others are left to Rich.
RICH = "14.3.4"
# From this one on, a part of CrewAI is a package of its own, of the same version.
CREWAI_CORE = [1, 14]

Digests = dict[str, dict[str, dict[str, list[str]]]]


class Wheel:
    """The Python sources in one wheel."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        self._names = set(self._zip.namelist())

    @lru_cache(maxsize=8)  # noqa: B019  (one short-lived object per version)
    def tree(self, module: str) -> ast.Module | None:
        base = module.replace(".", "/")
        for name in (f"{base}/__init__.py", f"{base}.py"):
            if name in self._names:
                return ast.parse(self._zip.read(name))
        return None

    def digest(self, target: str) -> str | None:
        """Digest of "module:Qual.name", or None if the wheel has no such thing."""
        module, _, path = target.partition(":")
        node: ast.AST | None = self.tree(module)
        for part in path.split("."):
            node = next((n for n in _statements(node) if _defines(n, part)), None)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            return fingerprint.digest_of_constant(_constant(node.value))
        if isinstance(node, ast.ImportFrom):
            return _imported(node, path)
        return fingerprint.digest_of_node(node) if node is not None else None


def _statements(node: ast.AST | None) -> Iterator[ast.stmt]:
    """Statements of a body, those under if/try/with included."""
    for field in ("body", "orelse", "handlers", "finalbody"):
        for child in getattr(node, field, ()):
            yield child
            if isinstance(child, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
                yield from _statements(child)


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return node.name == name
    if isinstance(node, ast.ImportFrom):
        return _imported(node, name) is not None
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return any(isinstance(t, ast.Name) and t.id == name for t in targets)


def _imported(node: ast.ImportFrom, name: str) -> str | None:
    home = node.module or ""
    if node.level or not is_standard(home):
        return None
    names = [alias.name for alias in node.names if (alias.asname or alias.name) == name]
    return fingerprint.digest_of_import(f"{home}:{names[0]}") if names else None


def _constant(value: ast.expr) -> Any:
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "re.compile":
        return re.compile(*(_constant(argument) for argument in value.args))
    if isinstance(value, ast.Attribute) and ast.unparse(value.value) == "re":
        return re.RegexFlag[value.attr]
    return ast.literal_eval(value)


def combined(route: Route, wheels: Mapping[str, Wheel]) -> str | None:
    """The route's digest over a set of wheels (package → wheel); None if something is missing."""

    def digest(target: str) -> str | None:
        wheel = wheels.get(target.partition(".")[0])
        return wheel.digest(target) if wheel else None

    owner, _, name = route.target.rpartition(".")
    own = digest(route.target)
    if own is None and digest(owner) is not None:  # inherited: then it is one of the reads
        own = next((digest(read) for read in route.reads if read.endswith(f".{name}")), None)
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


def save(targets: Digests) -> None:
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
            else:
                yield route, version, "", combined(route, crewai)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Verbatim)
    parser.add_argument("command", choices=["scan", "update"])
    parser.add_argument("versions", nargs="+", help="CrewAI versions on the package index")
    parser.add_argument("--accept", action="store_true", help="record new digests as proven")
    args = parser.parse_args()
    targets = load()
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
