"""Whether a tree of packages only defines things, and passes them on: found in its source.

Each ``__init__`` must do nothing but ``from .module import Name``, and each module nothing but
define classes and aliases, from names of ``_PLAIN`` and of the library that the tree belongs to.
Then it makes no difference when a module is imported, as long as no two need each other.

More of the library's modules may belong to it (``also``), which define functions and what streams
are made of, and may do a little more: see ``_WIDER``. Modules outside of it that take names from
it (``users``) can do without some: ``lending_proof``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import CodeType, MappingProxyType
from typing import NamedTuple

from fast_crewai.imports import lending_proof
from fast_crewai.imports.lending_proof import User

_PLAIN = frozenset(
    {"__future__", "builtins", "dataclasses", "datetime", "pydantic", "typing", "typing_extensions"}
)
_CALLS = frozenset({"FieldInfo", "PropertyInfo", "TypeVar", "frozenset"})
_NOT_PLAIN = (
    *(ast.Await, ast.DictComp, ast.GeneratorExp, ast.Lambda, ast.ListComp),
    *(ast.NamedExpr, ast.SetComp, ast.Yield, ast.YieldFrom),
)
_DECORATORS = frozenset({"dataclasses.dataclass(frozen=True)", "property"})

# What the additional modules may do besides: import these, override, and ask for their logger.
_WIDER = _PLAIN | {"asyncio", "inspect", "jiter", "json", "logging", "types"}
_OTHERS = frozenset({"jiter"})  # those of them whose names somebody may have replaced
_WIDER_DECORATORS = _DECORATORS | {"override"}
_LOGGER = "logging.getLogger"


class ReexportError(Exception):
    """The tree does more than define and pass on."""


class Package(NamedTuple):
    """What an ``__init__`` does; ``marshal`` takes it as a tuple."""

    file: str
    code: CodeType  # what is not a relative import: the docstring, ``from __future__``
    names: dict[str, tuple[str, str]]  # name → module, and its name there ("": the module itself)
    closure: tuple[str, ...]  # the tree's modules that it imports, and what they import


class Tree(NamedTuple):
    packages: dict[str, Package]
    outside: tuple[str, ...]  # modules that the tree's take names from
    also_outside: tuple[str, ...] = ()  # the same of the additional modules
    loggers: tuple[str, ...] = ()  # that these make
    users: Mapping[str, User] = MappingProxyType({})


class _Module:
    def __init__(self, name: str, path: Path, wider: bool = False) -> None:
        self.name, self.path, self.wider = name, path, wider
        self.is_package = path.name == "__init__.py"
        self.body = ast.parse(path.read_bytes(), str(path)).body
        self.imports: list[tuple[str, str, str]] = []  # from, name there, name here
        self.bound: set[str] = set()
        self.loggers: list[str] = []


def prove(
    root: str,
    folder: Path,
    also: Mapping[str, Path] | None = None,
    users: Mapping[str, Path] | None = None,
) -> Tree:
    """The packages of ``root``, which is in ``folder``. Raises ReexportError, OSError, SyntaxError.

    ``also``: more modules, and packages with all that is in them. It parses every file: half a
    second for openai's 1,300.
    """
    modules = {m.name: m for m in _modules(root, folder)}
    for name, path in (also or {}).items():
        more = _modules(name, path, wider=True) if path.is_dir() else [_Module(name, path, True)]
        modules.update((m.name, m) for m in more)
    outside: dict[str, None] = {}
    also_outside: dict[str, None] = {}
    for module in modules.values():
        _read(module)
        plain = _WIDER - _OTHERS if module.wider else _PLAIN
        for source, _, _ in module.imports:
            if source not in modules and source not in plain:
                (also_outside if module.wider else outside)[source] = None
    library = {root.partition(".")[0], *_OTHERS}
    wrong = [n for n in (*outside, *also_outside) if n.partition(".")[0] not in library]
    if wrong:
        raise ReexportError(f"imports {', '.join(sorted(wrong))}")
    names = {m.name: _names(m, modules) for m in modules.values() if m.is_package}
    _check_cycles({m.name: set(_needed(m, modules, names)) for m in modules.values()})
    eager = {m.name: list(_executed(m, modules)) for m in modules.values()}
    packages = {
        name: Package(
            str(modules[name].path), _rest(modules[name]), found, tuple(_closure(name, eager))
        )
        for name, found in names.items()
    }
    bound = {m.name: m.bound for m in modules.values()}
    found_users = {
        name: user._replace(closure=tuple(_together(user.targets, eager)))
        for name, path in (users or {}).items()
        if (user := lending_proof.look(name, path, bound)) is not None
    }
    loggers = tuple(logger for m in modules.values() for logger in m.loggers)
    return Tree(packages, tuple(outside), tuple(also_outside), loggers, found_users)


def _modules(root: str, folder: Path, wider: bool = False) -> Iterable[_Module]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if not (path.parent / "__init__.py").exists():
            raise ReexportError(f"{path.parent.name} is no package")
        yield _Module(".".join((root, *(p for p in parts if p != "__init__"))), path, wider)


# --------------------------------------------------------------------------- what a module does


def _read(module: _Module) -> None:
    for statement in module.body:
        if isinstance(statement, ast.ImportFrom | ast.Import):
            _import(module, statement)
        elif module.is_package and not _is_text(statement):
            raise ReexportError(f"{module.name}, line {statement.lineno}: more than imports")
        elif not _defines(statement, module.wider) and not _makes_logger(module, statement):
            raise ReexportError(f"{module.name}, line {statement.lineno}: no plain definition")
        else:
            module.bound.update(_bindings(statement))


def _import(module: _Module, node: ast.ImportFrom | ast.Import) -> None:
    allowed = _WIDER if module.wider else _PLAIN
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name not in allowed:
                raise ReexportError(f"{module.name} imports {alias.name}")
            module.bound.add(alias.asname or alias.name)
        return
    source = node.module or ""
    if node.level:
        base = module.name.split(".")
        base = base[: len(base) - node.level + module.is_package]
        source = ".".join((*base, *filter(None, [source])))
    elif source not in allowed:
        raise ReexportError(f"{module.name} imports {source}")
    if module.is_package and not (node.level == 1 or source == "__future__"):
        raise ReexportError(f"{module.name} imports {source}")
    for alias in node.names:
        if alias.name == "*":
            raise ReexportError(f"{module.name} imports all of {source}")
        module.imports.append((source, alias.name, alias.asname or alias.name))
        module.bound.add(alias.asname or alias.name)


def _makes_logger(module: _Module, node: ast.stmt) -> bool:
    """Whether it binds a name to the logger of a fixed name: one of an additional module's."""
    call = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if not module.wider or not isinstance(call, ast.Call) or ast.unparse(call.func) != _LOGGER:
        return False
    name = call.args[0] if len(call.args) == 1 and not call.keywords else None
    if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
        return False
    module.loggers.append(name.value)
    return True


def _defines(node: ast.stmt, wider: bool = False) -> bool:
    """Whether executing the statement does nothing but bind names of the module's or class's."""
    if isinstance(node, ast.Pass) or _is_text(node):
        return True
    if isinstance(node, ast.ClassDef):
        parts = [*node.bases, *(k.value for k in node.keywords)]
        plain = _decorated(node, wider) and all(map(_is_plain, parts))
        return plain and all(_defines(s, wider) for s in node.body)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        given = [*node.args.defaults, *node.args.kw_defaults]
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        told = [node.returns, *(a.annotation for a in every)]
        return _decorated(node, wider) and all(p is None or _is_plain(p) for p in (*given, *told))
    if isinstance(node, ast.Assign):
        named = all(isinstance(target, ast.Name) for target in node.targets)
        return named and _is_plain(node.value)
    if isinstance(node, ast.AnnAssign):
        parts = [node.annotation, *filter(None, [node.value])]
        return isinstance(node.target, ast.Name) and all(map(_is_plain, parts))
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return all(_defines(s, wider) for s in node.orelse)
    return False


def _decorated(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, wider: bool) -> bool:
    allowed = _WIDER_DECORATORS if wider else _DECORATORS
    return {ast.unparse(part) for part in node.decorator_list} <= allowed


def _is_plain(node: ast.expr) -> bool:
    """Whether evaluating it calls nothing but what makes fields, type variables and aliases."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            if not isinstance(part.func, ast.Name) or part.func.id not in _CALLS:
                return False
        elif isinstance(part, _NOT_PLAIN):
            return False
    return True


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _bindings(node: ast.stmt) -> Iterable[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (t.id for t in node.targets if isinstance(t, ast.Name))
    elif isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
        yield node.target.id


# ----------------------------------------------------------------------------- how they are tied


def _names(package: _Module, modules: Mapping[str, _Module]) -> dict[str, tuple[str, str]]:
    """Raises ReexportError if a name is also another's, or isn't there."""
    found: dict[str, tuple[str, str]] = {}
    for source, name, here in package.imports:
        if source == "__future__":
            continue
        target = (f"{source}.{name}", "") if source == package.name else (source, name)
        if target[0] not in modules or (target[1] and name not in modules[target[0]].bound):
            raise ReexportError(f"{package.name}.{here} is not found")
        child = f"{package.name}.{here}"
        if child in modules and target != (child, ""):
            raise ReexportError(f"{child} is two things")
        found[here] = target  # the last one stays
    return found


def _needed(
    module: _Module, modules: Mapping[str, _Module], names: Mapping[str, Mapping[str, object]]
) -> Iterable[str]:
    """The modules that it needs if packages look for a name only when it is asked for."""
    if module.is_package:
        return
    for source, name, _ in module.imports:
        while source in names and name in names[source]:
            source, name = names[source][name]  # type: ignore[misc]
        if f"{source}.{name}" in modules:
            yield f"{source}.{name}"
        elif source in names and name:
            raise ReexportError(f"{module.name} imports {name} from {source}, which lacks it")
        elif source in modules:
            yield source


def _executed(module: _Module, modules: Mapping[str, _Module]) -> Iterable[str]:
    """What its import makes Python import at once, in that order."""
    for source, name, _ in module.imports:
        for target in (source, f"{source}.{name}"):
            parts = target.split(".")
            for end in range(1, len(parts) + 1):
                if (found := ".".join(parts[:end])) in modules:
                    yield found


def _closure(start: str, edges: Mapping[str, list[str]]) -> list[str]:
    seen, waiting = {start: None}, [start]
    while waiting:
        new = [name for name in edges[waiting.pop()] if name not in seen]
        seen.update(dict.fromkeys(new))
        waiting.extend(reversed(new))
    return list(seen)


def _together(starts: Iterable[str], edges: Mapping[str, list[str]]) -> Iterable[str]:
    """The closures of several, without repetition; the parents of a module come first."""
    found: dict[str, None] = {}
    for start in starts:
        parts = start.split(".")
        for end in range(1, len(parts) + 1):
            if (name := ".".join(parts[:end])) in edges:
                found.update(dict.fromkeys(_closure(name, edges)))
    return found


def _check_cycles(edges: Mapping[str, set[str]]) -> None:
    """Raises ReexportError: of two modules that need each other, the first one's order counts."""
    done: set[str] = set()
    for start in edges:
        path: list[tuple[str, list[str]]] = [(start, sorted(edges[start]))]
        on_path = {start}
        while path:
            name, rest = path[-1]
            following = next((n for n in rest if n not in done), None)
            if following is None:
                done.add(name)
                on_path.discard(name)
                path.pop()
            elif following in on_path:
                raise ReexportError(f"{name} and {following} need each other")
            else:
                on_path.add(following)
                path.append((following, sorted(edges[following])))


def _rest(package: _Module) -> CodeType:
    """The ``__init__`` without its relative imports, at the same lines."""
    body = [s for s in package.body if not (isinstance(s, ast.ImportFrom) and s.level)]
    return compile(ast.Module(body, []), str(package.path), "exec", dont_inherit=True)
