"""One series of the store, followed to its newest entry: who knows an older one loses its put, and looks again."""

from collections.abc import Mapping
from typing import Any

from pipeline.leases.store import Entry, Store, body_of, put_value, written

_STEPS = 8  # that are taken one by one; whoever is further behind lists


class Series:
    """One series whose old entries are kept. Its calls block and raise StoreUnknown; one thread at a time makes them.

    newest  the newest entry that was seen here, with its number from 1 on; None before the first
    """

    def __init__(self, store: Store, name: str) -> None:
        self.newest: Entry | None = None
        self._store = store
        self._name = name
        self._room = name.rpartition("/")[0]
        self._listed = False
        self._trying: tuple[int, bytes] | None = None  # a put whose answer was lost

    @property
    def number(self) -> int:
        """The number of the newest entry that was seen; 0 before the first."""
        return 0 if self.newest is None else self.newest.number

    @property
    def body(self) -> dict[str, Any]:
        """The contents of the newest entry that was seen; empty before the first."""
        return {} if self.newest is None else body_of(self.newest.value)

    @property
    def is_doubtful(self) -> bool:
        """Return whether a put is not known to be in the store, nor not to be: `settle` tells."""
        return self._trying is not None

    def look(self) -> dict[str, Any]:
        """Go on to the newest entry and return what it holds.

        No entry is ever dropped, so the next number tells whether there is more. The series is listed at first, and
        where we are far behind; a list may be old, so the next numbers are tried after it, too.
        """
        steps = 0 if self._listed else _STEPS
        while True:
            if steps == _STEPS:
                self._list()
            value = self._store.read(self._name, self.number + 1)
            if value is None:
                return self.body
            self.newest = Entry(self.number + 1, value)
            steps += 1

    def _list(self) -> None:
        listed = self._store.newest(self._room).get(self._name)
        self._listed = True
        if listed is not None and listed.number > self.number:
            self.newest = listed

    def put(self, body: Mapping[str, object]) -> bool:
        """Put what follows the newest entry that was seen; return whether it is ours.

        When that cannot be told, StoreUnknown is raised, and `settle` must be called before the next put.
        """
        assert self._trying is None
        self._trying = self.number + 1, written(body)
        return self.settle()

    def settle(self) -> bool:
        """Find out whether the put whose answer was lost is in the store, and put it if it is not."""
        assert self._trying is not None
        number, value = self._trying
        ours = put_value(self._store, self._name, number, value)
        self._trying = None
        if ours:
            self.newest = Entry(number, value)
        return ours
