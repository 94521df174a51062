"""A fork waits for imports that plain Python would have made before; its child never hangs on one.

A child that is forked while another thread imports a module would wait for that module's lock
without end. So a fork waits for such imports, unless they take too long: the thread that forks may
hold what they need. Where one isn't at its end, the child imports the module anew. Nobody holds a
lock of ours while something is imported: two threads could need what the other one imports.
"""

from __future__ import annotations

import _thread
import importlib
import os
import sys
import threading
import time
from collections.abc import Iterable
from importlib.machinery import ExtensionFileLoader
from typing import Any

_PATIENCE = 5.0  # seconds
_PAUSE = 0.002

_late: set[str] = set()  # packages of which something is imported later than by plain Python
_interrupted = False


def expect(names: Iterable[str]) -> None:
    """Of these packages, or those that these modules belong to, something is imported late."""
    _late.update(name.partition(".")[0] for name in names)


def _others() -> list[str]:
    """What other threads import, from the first late module on."""
    # Python's own table of locks: module → reference to its lock, in the order they were made.
    locks: dict[str, Any] = getattr(sys.modules["_frozen_importlib"], "_module_locks", {})
    here = threading.get_ident()
    found: list[str] = []
    threads: set[int] = set()
    for name, reference in list(locks.items()) if _late else ():
        owner = getattr(reference(), "owner", None)
        if owner is None or owner == here:
            continue
        if owner in threads or name.partition(".")[0] in _late:
            threads.add(owner)
            found.append(name)
    return found


def _before_fork() -> None:
    global _interrupted
    end = time.monotonic() + _PATIENCE
    try:
        while _others() and time.monotonic() < end:
            time.sleep(_PAUSE)
    except KeyboardInterrupt:  # Python would print it, and go on
        _interrupted = True


def _in_parent() -> None:
    global _interrupted
    if _interrupted:
        _interrupted = False
        _thread.start_new_thread(_interrupt, ())


def _interrupt() -> None:
    time.sleep(_PAUSE)  # the fork is at its end by then
    _thread.interrupt_main()


def _in_child() -> None:
    global _interrupted
    _interrupted = False
    names = _others()
    for name in names:
        sys.modules["_frozen_importlib"]._module_locks.pop(name, None)
        if _is_begun(name) and isinstance(sys.modules[name].__loader__, ExtensionFileLoader):
            sys.modules.pop(name)  # its code can't be executed in the same module
    waiting = [name for name in reversed(names) if _is_begun(name)]  # the innermost comes first
    failed: list[str] = []
    while waiting != failed:  # one thread may have waited for what another one imported
        waiting, failed = [name for name in waiting if not _import_again(name)], waiting
    for name in waiting:
        sys.modules.pop(name, None)


def _is_begun(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def _import_again(name: str) -> bool:
    """Execute it anew: others have it already, and it has its submodules."""
    try:
        module = importlib.reload(sys.modules[name])
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], child, module)
    except Exception:  # whoever imports it next is told
        return False
    return True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
