"""What is seen of objects that are freed at exit; with real programs: process/test_collections."""

import socket
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
