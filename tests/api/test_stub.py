"""_core.pyi names what _core has. Signatures: `python -m mypy.stubtest fast_crewai._core`, which
.ci/run calls."""

import ast
import inspect
from pathlib import Path

import fast_crewai
from fast_crewai import _core

STUB = Path(fast_crewai.__file__).with_name("_core.pyi")


def public(names: object) -> set[str]:
    return {name for name in names if not name.startswith("_")}  # type: ignore[attr-defined]


def names(body: list[ast.stmt]) -> set[str]:
    found = set()
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname for alias in node.names if alias.asname}
    return public(found)


def test_every_name_and_method_is_there() -> None:
    tree = ast.parse(STUB.read_text("utf-8"))
    assert names(tree.body) == public(vars(_core))
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and inspect.isclass(made := getattr(_core, node.name)):
            assert names(node.body) == public(vars(made)), node.name
