"""Promises of a series that is followed: its newest entry is found, and what has been seen is not listed again."""

import pytest

from pipeline.leases.series import Series
from pipeline.leases.store import Entry
from tests.support.lease_stores import MemoryStore

NAME = "b/acme/job/search"


class Counted(MemoryStore):
    """A store that counts its lists; `old` is what a list shows where it is out of date."""

    def __init__(self) -> None:
        super().__init__()
        self.lists = 0
        self.old: dict[str, Entry] | None = None

    def newest(self, room: str) -> dict[str, Entry]:
        self.lists += 1
        return super().newest(room) if self.old is None else self.old


@pytest.fixture
def store() -> Counted:
    return Counted()


def put(store: Counted, *numbers: int) -> None:
    for number in numbers:
        assert store.put_new(NAME, number, b'{"total":%d}' % number)


def test_a_series_is_listed_once_and_then_followed_entry_by_entry(store: Counted) -> None:
    put(store, *range(1, 31))
    series = Series(store, NAME)
    assert (series.look(), series.number, store.lists) == ({"total": 30}, 30, 1)
    series.look()
    put(store, 31, 32)
    assert (series.look(), series.number, store.lists) == ({"total": 32}, 32, 1)


def test_a_series_that_is_not_there_yet_is_listed_once_too(store: Counted) -> None:
    series = Series(store, NAME)
    assert series.look() == series.look() == {}
    put(store, 1)
    assert (series.look(), store.lists) == ({"total": 1}, 1)


def test_whoever_is_far_behind_lists_again(store: Counted) -> None:
    series = Series(store, NAME)
    series.look()
    put(store, *range(1, 101))
    reads = []
    read, store.read = store.read, lambda *of: (reads.append(of), read(*of))[1]  # type: ignore[method-assign]
    assert (series.look(), store.lists) == ({"total": 100}, 2)
    assert len(reads) < 20


def test_the_newest_entry_is_found_though_each_list_is_old(store: Counted) -> None:
    put(store, *range(1, 31))
    store.old = {NAME: Entry(3, b"{}")}
    assert Series(store, NAME).look() == {"total": 30}
    store.old = {}
    assert Series(store, NAME).look() == {"total": 30}
