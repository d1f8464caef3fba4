"""A store in memory that several workers share, whose answers can be lost."""

import threading
from collections.abc import Callable

from pipeline.leases.store import Entry, StoreUnknown


class MemoryStore:
    """A store (leases.store.Store). `loses` says of each put whether its answer is lost: it is in the store then."""

    def __init__(self, loses: Callable[[], bool] = lambda: False) -> None:
        self.entries: dict[str, dict[int, bytes]] = {}
        self.loses = loses
        self.answers = True
        self._lock = threading.Lock()

    def put_new(self, series: str, number: int, value: bytes) -> bool:
        self._require_answers()
        with self._lock:
            entries = self.entries.setdefault(series, {})
            new = number not in entries
            entries.setdefault(number, value)
        if self.loses():
            raise StoreUnknown("the answer was lost")
        return new

    def read(self, series: str, number: int) -> bytes | None:
        self._require_answers()
        return self.entries.get(series, {}).get(number)

    def newest(self, room: str) -> dict[str, Entry]:
        self._require_answers()
        with self._lock:
            return {
                series: Entry(max(entries), entries[max(entries)])
                for series, entries in self.entries.items()
                if series.startswith(f"{room}/")
            }

    def drop(self, series: str, number: int) -> None:
        self._require_answers()
        self.entries.get(series, {}).pop(number, None)

    def _require_answers(self) -> None:
        if not self.answers:
            raise StoreUnknown("no answer")
