"""`make scale`, first part: what a lease costs a call, and what its store costs a machine.

Each call asks `allowed` and `per_second` once, right before its first byte. A machine puts a renewal every 2.5 s, and
looks at all others as often, or twice as often where they are few.
"""

import tempfile
import timeit
from pathlib import Path

from pipeline.leases.lease import Lease
from pipeline.leases.opening import open_store
from pipeline.leases.slots import Slots
from pipeline.leases.store import Store, put_mine
from tests.support.lease_stores import MemoryStore, race

CALLS = 100_000
LIMIT_US = 2.0


def permit_us(*, calls: int = CALLS) -> float:
    """Return the microseconds of the two questions of a permit, the best of five rounds."""
    now = [0.0]
    lease = Lease(MemoryStore(), "acme", lease_s=1e9)
    real, lease.clock = lease.clock, lambda: now[0]
    slots = Slots(lease, "search", 16)
    slots.hungry = True
    lease.renew()
    for _ in range(3):
        lease.look()
        slots.step(lease.store.newest("q"))
        now[0] += 2.5
    now[0] = 0.0
    lease.clock = real  # later than any rest after a claim
    assert slots.per_second() == 16
    return min(timeit.repeat(lambda: (lease.allowed(), slots.per_second()), number=calls, repeat=5)) / calls * 1e6


def store_ms(store: Store, *, machines: int, times: int = 50) -> tuple[float, float]:
    """Return the milliseconds of a renewal and of a look at so many machines, each with its last minutes."""
    for number in range(machines):
        for renewal in range(1, 73):
            put_mine(store, f"w/acme/{number:016x}", renewal, {"hungry": []})
    numbers = iter(range(73, 10_000))
    put = timeit.timeit(lambda: put_mine(store, "w/acme/0000000000000000", next(numbers), {"hungry": []}), number=times)
    return put / times * 1e3, timeit.timeit(lambda: store.newest("w/acme"), number=times) / times * 1e3


def main() -> None:
    us = permit_us()
    print(f"a permit's check of lease and slots: {us:.2f} us (at most {LIMIT_US:g})")
    for machines in (1, 10):
        with tempfile.TemporaryDirectory() as folder:
            put, look = store_ms(open_store(folder), machines=machines)
        print(f"a folder with {machines} machines: {put:.2f} ms for a renewal, {look:.2f} ms for a look")
    with tempfile.TemporaryDirectory() as folder:
        open_store(folder)
        told = race(Path(folder), racers=8, names=200)
    print(f"8 processes put the same 200 names: {sum(map(len, told))} winners in all")
    if us > LIMIT_US:
        raise SystemExit(f"a permit's check costs more than {LIMIT_US:g} us")


if __name__ == "__main__":
    main()
