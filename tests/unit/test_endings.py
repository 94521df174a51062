"""What is seen of objects that are freed at exit; with real programs: process/test_collections."""

import collections
import enum
import socket
import sqlite3
import warnings
from collections.abc import Iterator

import pytest

from fast_crewai.imports.endings import something_ends


@pytest.fixture(autouse=True)
def filters() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        yield


def ends() -> bool:
    with socket.socket() as one:
        return something_ends([one])


@pytest.mark.parametrize("category", [ResourceWarning, Warning])
def test_an_open_socket_ends_unseen_where_its_warning_is_ignored(category: type[Warning]) -> None:
    warnings.simplefilter("ignore", category)
    warnings.filterwarnings("ignore", "text")
    warnings.filterwarnings("always", category=DeprecationWarning)
    assert not ends()


@pytest.mark.parametrize(
    "options",
    [
        {"action": "ignore", "category": UserWarning},
        {"action": "ignore", "message": "text"},
        {"action": "ignore", "module": "name"},
        {"action": "ignore", "lineno": 3},
    ],
)
def test_it_is_seen_where_only_other_warnings_are_ignored(options: dict[str, str]) -> None:
    warnings.filterwarnings(**options)  # type: ignore[arg-type]
    assert ends()


@pytest.mark.parametrize("action", ["default", "always", "once", "error"])
def test_it_is_seen_where_warnings_are_shown(action: str) -> None:
    warnings.simplefilter("ignore")
    warnings.simplefilter(action, ResourceWarning)  # type: ignore[arg-type]
    assert ends()
    warnings.resetwarnings()
    assert ends()


class Connection(sqlite3.Connection):
    """A user's."""


class Names(dict[str, int]):
    """Written in Python, on what is not."""


class Pair(collections.namedtuple("Pair", "a b")):
    __slots__ = ()


class Slots:
    __slots__ = ("__weakref__", "a", "b")


@pytest.mark.parametrize("kind", [sqlite3.Connection, Connection])
def test_a_database_is_closed_by_freeing_its_connection(kind: type[sqlite3.Connection]) -> None:
    one = kind(":memory:")
    assert something_ends([one])
    one.close()


def test_classes_written_in_python_free_memory_only() -> None:
    color = enum.Enum("color", "red")
    objects = [Names(), Pair(1, 2), Slots(), color.red, Pair, color, ValueError(), [], Slots]
    assert not something_ends(objects)
