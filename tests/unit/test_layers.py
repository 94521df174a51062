"""finder → engine → registry → areas → dispatch → _core: no file imports upwards."""

import ast
from pathlib import Path

import fast_crewai

PACKAGE = Path(fast_crewai.__file__).parent

# Lower numbers may be imported by higher ones, never the other way round.
LEVELS = {
    "_core": 0,
    "config": 0,
    "errors": 0,
    "native": 1,
    "measured": 1,
    "memory": 2,
    "database": 2,
    "serialization": 2,
    "dynamic": 2,
    "tools": 3,
    "tasks": 3,
    "hooks": 0,
    "imports": 1,
    "hooks.fingerprint": 1,
    "hooks.route": 1,
    "hooks.store": 1,
    "hooks.dispatch": 2,
    "hooks.areas": 2,
    "hooks.registry": 3,
    "engine": 4,
    "finder": 5,
    "report": 6,
    "tables": 6,
    "session": 7,
    "utils": 7,
    "shim": 7,
    "bootstrap": 8,
    "pytest_plugin": 7,
    "cli": 7,
    "__main__": 8,
}


def sources() -> list[Path]:
    """Our files; links to folders beside the package are not ours to judge."""
    linked = {"_sitecustomize", "_benchmarks", "_examples"}
    return [path for path in PACKAGE.rglob("*.py") if linked.isdisjoint(path.parts)]


def level(module: str) -> int:
    name = module.removeprefix("fast_crewai.").removesuffix(".__init__")
    while name not in LEVELS:
        name, dot, _ = name.rpartition(".")
        assert dot, f"{module} has no place in the layers"
    return LEVELS[name]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_module(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").exists() or name == "fast_crewai._core"


def test_no_file_imports_upwards() -> None:
    files = sources()
    assert len(files) > 15
    for path in files:
        module = ".".join(["fast_crewai", *path.relative_to(PACKAGE).with_suffix("").parts])
        if module == "fast_crewai.__init__":  # the public functions call all layers, lazily
            continue
        for name in imports(path):
            if name.startswith("fast_crewai.") and is_module(name):
                assert level(name) <= level(module), f"{module} imports {name}"


def test_only_config_reads_the_environment() -> None:
    for path in sources():
        text = path.read_text("utf-8")
        if path.name == "session.py":  # keeps a copy for config, which is too heavy for start-up
            text = text.replace("dict(os.environ)", "").replace("in os.environ.items()", "")
        if path.name == "environ.py":  # watches who writes to it
            text = text.replace("type(os.environ)", "").replace("os.environ.__class__", "")
        if path.name == "user_data.py":  # watches who replaces it
            text = text.replace('"getenv"', "")
        assert path.name == "config.py" or ("os.environ" not in text and "getenv" not in text), path


def test_importing_the_package_is_light() -> None:
    for module in ("__init__.py", "finder.py"):
        tree = ast.parse((PACKAGE / module).read_text("utf-8"))
        top = {
            name
            for node in tree.body
            for name in imports_of_statement(node)
            if not name.startswith(("fast_crewai", "__future__"))
        }
        assert top <= {"sys", "_thread"}, f"{module} imports {top} at start-up"


def imports_of_statement(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    return {node.module or ""} if isinstance(node, ast.ImportFrom) else set()
