"""Stores of leases for tests: one in memory that loses answers; and real processes that put the same names."""

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pipeline.leases.store import Entry, StoreUnknown, parts_of
from tests.support.processes import ended, python, running

RACER = """
import json, sys
from pathlib import Path
from pipeline.leases.opening import open_store
from pipeline.leases.store import StoreUnknown, put_mine
place, me, names, go = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.stdin.readline()
store, won = open_store(place), []
for name in range(1, names + 1):
    if put_mine(store, "race", name, {"by": me}):
        won.append(name)
print(json.dumps(won))
"""


class MemoryStore:
    """A store in memory. `lose(call)` tells whether an answer is lost, "before" the call is done or "after" it."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[int, bytes]] = {}
        self._one_put = threading.Lock()
        self.lose: Callable[[str], str] = lambda _: ""

    def put_new(self, series: str, number: int, value: bytes) -> bool:
        parts_of(series)
        lost = self.lose("put")
        self._lost(lost == "before")
        with self._one_put:
            there = self.entries.setdefault(series, {})
            new = number not in there
            there.setdefault(number, value)
        self._lost(lost == "after")
        return new

    def read(self, series: str, number: int) -> bytes | None:
        self._lost(bool(self.lose("read")))
        return self.entries.get(series, {}).get(number)

    def newest(self, room: str) -> dict[str, Entry]:
        self._lost(bool(self.lose("newest")))
        return {
            series: Entry(number := max(numbers), numbers[number])
            for series, numbers in self.entries.items()
            if numbers and series.startswith(f"{room}/")
        }

    def drop(self, series: str, number: int) -> None:
        self._lost(bool(self.lose("drop")))
        self.entries.get(series, {}).pop(number, None)

    @staticmethod
    def _lost(really: bool) -> None:
        if really:
            raise StoreUnknown("no answer")


def race(place: Path | str, *, racers: int, names: int) -> list[list[int]]:
    """Let so many processes put the same names at once; return what each of them won."""
    with ExitStack() as block:
        started = [
            block.enter_context(running(python(RACER, str(place), str(me), str(names)), stdin=-1))
            for me in range(racers)
        ]
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        told = []
        for process in started:
            out, err = ended(process)
            assert process.returncode == 0, err
            told.append([int(name) for name in json.loads(out)])
    return told
