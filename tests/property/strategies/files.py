"""Questions to CrewAI's file store: with and without files, in and outside an event loop."""

import asyncio
import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace
from unittest import mock
from uuid import UUID

import crewai.utilities.file_store as file_store
from hypothesis import strategies as st

try:
    import aiocache
    import aiocache.plugins
except ImportError:  # an extra of CrewAI's
    aiocache = None

IDS = [UUID(int=1), UUID(int=2), "one", "", None, 3, [], object]
ids = st.sampled_from(IDS[:3]) | st.sampled_from(IDS[:3]) | st.sampled_from(IDS)
alterations = [
    "other", "namespace", "plugin", "null serializer", "subclass", "patched class", "patched",
    "key builder", "timeout", "patched loads",
]  # fmt: skip
plain = ["none", "memory"]
if aiocache is None:
    plain, alterations = ["none"], ["other"]
stores = st.sampled_from(plain * (2 * len(alterations)) + alterations)
stored = st.lists(
    st.tuples(st.sampled_from(["crew", "task"]), st.sampled_from(IDS[:3])), max_size=2
)
settings = st.sampled_from(
    ["outside"] * 4 + ["inside"] * 3 + ["thread", "own loop", "logged", "policy"]
)
patches = st.sampled_from([None] * 12 + [
    "_run_sync", "aget_files", "aget_task_files", "aget_all_files", "aclear_files",
    "aclear_task_files", "_CREW_PREFIX", "_TASK_PREFIX", "run"
])  # fmt: skip


def case(number):
    """``number`` of ids that the function takes; the second may be left out."""
    given = st.tuples(ids) if number == 1 else st.tuples(ids) | st.tuples(ids, ids)
    return st.tuples(stores, stored, settings, patches, given)


class Recorder:
    """Stands for something patched, and tells that it has been called."""

    def __init__(self, seen, result):
        self.seen, self.result = seen, result

    def __call__(self, *args, **kwargs):
        if asyncio.iscoroutine(args[0]):
            args[0].close()
            args = ("coroutine",)
        self.seen.append(("patched", args))
        return self.result() if self.result else None


class Policy(asyncio.DefaultEventLoopPolicy):
    """A user's, which sees each loop that is made."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def new_event_loop(self):
        self.seen.append("new event loop")
        return super().new_event_loop()


async def nothing():
    return {"x": 1}


def make(kind, stack, seen):
    if kind == "none":
        return None
    if kind == "other":

        async def ask(key):  # fmt: skip
            seen.append(key)
            return {"f": key}

        return SimpleNamespace(get=ask, delete=ask, set=None)
    memory, pickle = aiocache.SimpleMemoryCache, aiocache.serializers.PickleSerializer
    options = {
        "namespace": {"namespace": "n"},
        "key builder": {"key_builder": lambda key, namespace=None: seen.append(key) or key},
        "null serializer": {"serializer": aiocache.serializers.NullSerializer()},
    }.get(kind, {})
    if kind == "subclass":
        memory = type("Mine", (memory,), {})
    store = memory(**{"serializer": pickle(), **options})

    async def get(*args, **_):
        seen.append(args[-1])
        return {"f": 1}

    if kind == "plugin":
        plugin = aiocache.plugins.BasePlugin()
        plugin.pre_get = plugin.pre_delete = get
        store.plugins = [plugin]
    elif kind == "patched class":
        stack.enter_context(mock.patch.object(aiocache.SimpleMemoryCache, "get", get))
        stack.enter_context(mock.patch.object(aiocache.SimpleMemoryCache, "_delete", get))
    elif kind == "patched":
        store.get = store.delete = get
    elif kind == "patched loads":
        stack.enter_context(mock.patch.object(pickle, "loads", lambda *_: {"f": 2}))
    return store


def observe(function, example):
    kind, content, setting, patched, arguments = example
    seen = []
    with ExitStack() as stack:
        store = make(kind, stack, seen)
        stack.enter_context(mock.patch.object(file_store, "_file_store", store))
        if hasattr(store, "_cache"):
            for prefix, id_ in content:
                asyncio.run(store.set(f"{prefix}:{id_}", {str(id_): prefix}))
        if patched == "run":
            stack.enter_context(mock.patch("asyncio.run", Recorder(seen, None)))
        elif patched:
            fake = "x" if patched.endswith("X") else Recorder(seen, patched[0] == "a" and nothing)
            stack.enter_context(mock.patch.object(file_store, patched, fake))
        counter = itertools.count().__next__
        stack.enter_context(mock.patch.object(ThreadPoolExecutor, "_counter", counter))
        records = []
        if setting == "logged":
            handler = logging.Handler()
            handler.emit = lambda record: records.append(record.name)
            for name in ("asyncio", "aiocache.base"):
                logger = logging.getLogger(name)
                stack.enter_context(mock.patch.object(logger, "handlers", [handler]))
                stack.callback(logger.setLevel, logger.level)
                logger.setLevel(logging.DEBUG)
        if kind == "timeout":
            store.timeout = -1
        if setting == "policy":
            stack.callback(asyncio.set_event_loop_policy, asyncio.get_event_loop_policy())
            asyncio.set_event_loop_policy(Policy(seen))
        ask(function, arguments, setting, seen)
        seen += [records, counter(), sorted(getattr(store, "_cache", ()))]
    return seen


def ask(function, arguments, setting, seen):
    def act():
        try:
            seen.append(function(*arguments))
        except Exception as error:
            seen.append((type(error), str(error)))

    async def inside():
        act()
        seen.append(asyncio.get_running_loop() is asyncio.get_event_loop())

    def own():
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        act()
        loop_left(seen)
        loop.close()

    forget_loop()
    if setting == "inside":
        loop = asyncio.new_event_loop()  # asyncio.run may be patched
        loop.run_until_complete(inside())
        loop.close()
    elif setting == "thread":
        thread = threading.Thread(target=lambda: (act(), loop_left(seen)))
        thread.start()
        thread.join()
    elif setting == "own loop":
        own()
    else:
        act()
        loop_left(seen)


def loop_left(seen):
    """What the thread's event loop is now; none has been left running or open."""
    local = asyncio.get_event_loop_policy()._local
    loop = getattr(local, "_loop", None)
    seen.append((loop is None or not loop.is_closed(), loop is None, local._set_called))


def forget_loop():
    """As in a thread that never had one."""
    local = asyncio.get_event_loop_policy()._local
    local.__dict__.clear()
    local.__class__._loop, local.__class__._set_called = None, False
