"""A store of leases in memory whose answers take virtual time, and whose every request is counted.

It asks for as much as the real stores do: a list is a request for each page of names, each entry that a process has not
seen yet is a request of its own, one after the other, and a folder needs several requests of its server for one put.
"""

import math
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.leases.store import Entry, StoreUnknown
from tests.support.virtual_threads import VirtualThreads

_Z99 = 2.326  # of the normal distribution
_AT_ONCE = 50  # requests of one call that wait together


@dataclass(frozen=True)
class StoreKind:
    """A kind of store: what one call asks of its server, how long an answer takes, and how many it gives in a second.

    typical_s, slow_s  the time of one request: half are faster than the first, 99 of 100 than the second
    page               names in the answer to one list
    of_put, of_get     requests of one put and of one get
    per_s              requests that the server answers in a second
    gives_up_s         a call without an answer ends so
    """

    name: str
    typical_s: float
    slow_s: float
    page: int
    of_put: int
    of_get: int
    per_s: float
    gives_up_s: float = 5.0


@dataclass
class Server:
    """The server behind all stores of a simulation, in whose queue all wait; out of reach until `out_until`."""

    threads: VirtualThreads
    kind: StoreKind
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    counts: Counter[str] = field(default_factory=Counter)
    out_until: float = 0.0
    _free_at: float = 0.0

    def ask(self, what: str, requests: int = 1) -> None:
        """Wait for the answers to so many requests, one after the other. Raises StoreUnknown where none comes."""
        self.counts[what] += requests
        while requests > 0:
            now = self.threads.now
            if now < self.out_until:
                self.threads.sleep(self.kind.gives_up_s)
                raise StoreUnknown("out of reach")
            some = min(requests, _AT_ONCE)
            requests -= some
            self._free_at = max(self._free_at, now) + some / self.kind.per_s
            lasts = self._free_at - now + sum(self._answer_s() for _ in range(some))
            if lasts > self.kind.gives_up_s * some:
                self.threads.sleep(self.kind.gives_up_s)
                raise StoreUnknown("too many requests")
            self.threads.sleep(lasts)

    def _answer_s(self) -> float:
        sigma = math.log(self.kind.slow_s / self.kind.typical_s) / _Z99
        return self.chance.lognormvariate(math.log(self.kind.typical_s), sigma)


class Place:
    """What a store holds. `names` counts the entries below each room."""

    def __init__(self) -> None:
        self.series: dict[str, dict[int, bytes]] = {}
        self.newest: dict[str, dict[str, Entry]] = {}  # by each room that the series is below
        self.names: Counter[str] = Counter()

    def put(self, series: str, number: int, value: bytes) -> bool:
        """Put an entry; return False where there is one."""
        there = self.series.setdefault(series, {})
        if number in there:
            return False
        there[number] = value
        self._count(series, 1)
        for name in _rooms_of(series):
            room = self.newest.setdefault(name, {})
            if series not in room or number > room[series].number:
                room[series] = Entry(number, value)
        return True

    def drop(self, series: str, number: int) -> None:
        """Delete an entry; the newest of a series never is."""
        if self.series.get(series, {}).pop(number, None) is not None:
            self._count(series, -1)

    def below(self, room: str) -> Mapping[str, Entry]:
        """Return the newest entries of the series below a room."""
        return dict(self.newest.get(room, {}))

    def _count(self, series: str, number: int) -> None:
        for room in _rooms_of(series):
            self.names[room] += number


def _rooms_of(series: str) -> list[str]:
    """Return the rooms that a series is below."""
    parts = series.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


class TimedStore:
    """The store as one process has it: it remembers what it has read, as the real ones do."""

    def __init__(self, server: Server, place: Place) -> None:
        self._server = server
        self._place = place
        self._known: dict[str, int] = {}

    def put_new(self, series: str, number: int, value: bytes) -> bool:
        self._server.ask("put", self._server.kind.of_put)
        ours = self._place.put(series, number, value)
        if ours:
            self._known[series] = number
        return ours

    def read(self, series: str, number: int) -> bytes | None:
        self._server.ask("get", self._server.kind.of_get)
        return self._place.series.get(series, {}).get(number)

    def newest(self, room: str) -> dict[str, Entry]:
        self._server.ask("list", max(1, math.ceil(self._place.names[room] / self._server.kind.page)))
        found = dict(self._place.below(room))
        known = self._known
        new = [one for one, entry in found.items() if known.get(one) != entry.number]
        known.update((one, found[one].number) for one in new)
        self._server.ask("get", len(new) * self._server.kind.of_get)
        return found

    def drop(self, series: str, number: int) -> None:
        self._server.ask("delete")
        self._place.drop(series, number)
