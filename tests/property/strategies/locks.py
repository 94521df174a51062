"""Programs that take CrewAI's store lock."""

import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import crewai_core.lock_store as lock_store
import portalocker
from hypothesis import strategies as st

FILES = Path("/proc/self/fd")  # those that are open


class WeirdError(Exception):
    pass


def _raise(error):
    raise error


BODIES = {
    "pass": lambda: "done",
    "value error": lambda: _raise(ValueError("mine")),
    "stop": lambda: _raise(StopIteration(3)),
    "runtime": lambda: _raise(RuntimeError("generator raised StopIteration")),
    "lock error": lambda: _raise(portalocker.exceptions.LockException("mine")),
    "interrupt": lambda: _raise(KeyboardInterrupt()),
    "exit": lambda: _raise(GeneratorExit()),
    "weird": lambda: _raise(WeirdError()),
    "file gone": lambda: [f.unlink() for f in Path(tempfile.tempdir).iterdir()],
}
names = st.sampled_from(["a", "b/c", "", "é\ud800", "sqlite:/x.db", None, 3, b"a"]) | st.text()
options = st.sampled_from([{}, {}, {"timeout": 5}, {"timeout": 2.5}]) | st.fixed_dictionaries(
    {"timeout": st.sampled_from([0, -1, float("nan"), True, "x", None, 10**400, 1e-9, 1])}
)
# "held": somebody has it already (then not to be waited for); patches of what CrewAI looks up.
situations = st.sampled_from(["free"] * 8 + ["held", "backend", "lock", "redis", "no folder"])
programs = st.tuples(
    situations, st.sampled_from(["with", "with", "decorator", "twice", "wrong"]), names, options,
    st.sampled_from(sorted(BODIES)),
)  # fmt: skip


def outcome(error):
    chain = []
    while error is not None:
        chain.append((type(error), str(error).partition(" object at ")[0]))
        error = error.__cause__
    return chain


def observe(function, program):
    situation, use, name, chosen, body = program
    seen = []

    @contextmanager
    def backend(*args, **kwargs):
        seen.append(("backend", args, kwargs))
        yield

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(mock.patch.object(tempfile, "tempdir", folder))
        if situation == "held":
            if type(name) is not str or "\ud800" in name:
                return None
            if chosen.get("timeout") not in (0, -1):
                chosen = {"timeout": 1e-9}
            stack.enter_context(lock_store.lock.__wrapped__(name))
        elif situation == "backend":
            stack.enter_context(mock.patch.object(lock_store, "_backend", backend))
        elif situation == "lock":
            lock = stack.enter_context(mock.patch("portalocker.Lock"))
        elif situation == "redis":
            stack.enter_context(mock.patch.object(lock_store, "_REDIS_URL", "redis://x"))
            fake = SimpleNamespace(Redis=SimpleNamespace(from_url=lambda _: None))
            stack.enter_context(mock.patch.dict("sys.modules", {"redis": fake}))
            stack.enter_context(mock.patch("portalocker.RedisLock", create=True))
        elif situation == "no folder":
            stack.enter_context(mock.patch.object(tempfile, "tempdir", folder + "/none"))

        def act():
            seen.append(sorted(file.name for file in Path(folder).iterdir()))
            return BODIES[body]()

        try:
            if use == "wrong":
                function(name, 3, **chosen)
            elif use == "decorator":
                decorated = function(name, **chosen)(act)
                seen.append(decorated())
                seen.append(decorated())
            else:
                manager = function(name, **chosen)
                with manager as value:
                    seen.append((value, act()))
                if use == "twice":
                    with manager:
                        act()
        except BaseException as error:
            seen.append([(kind, text.replace(folder, "TMP")) for kind, text in outcome(error)])
        if situation == "lock":
            calls = [(tuple(map(str, call.args)), call.kwargs) for call in lock.call_args_list]
            seen.append([str(call).replace(folder, "TMP") for call in calls])
        if FILES.is_dir():
            seen.append(len(list(FILES.iterdir())))
    return seen
