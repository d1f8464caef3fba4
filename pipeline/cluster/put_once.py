"""Races for names that may be taken once: the one thing that leases rest on, tried on the place at hand."""

import contextlib
import os
import secrets
import threading
from pathlib import Path

from pipeline.leases.store import Store, StoreUnknown

RACERS, NAMES = 8, 25  # threads that want the same names


def take(scratch: Path) -> list[str]:
    """Take the names that all machines want, each by the one step that can succeed once; return those we got."""
    won = []
    for number in range(NAMES):
        name = f"name-{number:02}"
        with contextlib.suppress(OSError):
            mine = scratch / f"{name}.{secrets.token_hex(4)}"
            mine.touch()
            os.link(mine, scratch / name)
            won.append(name)
    return won


def race(store: Store, series: str) -> list[int]:
    """Return how many of the racers got each name."""
    winners = [0] * NAMES
    counting, start = threading.Lock(), threading.Barrier(RACERS)
    faults: list[Exception] = []

    def run(racer: int) -> None:
        start.wait()
        for number in range(NAMES):
            try:
                if store.put_new(series, number + 1, b'{"racer": %d}' % racer):
                    with counting:
                        winners[number] += 1
            except StoreUnknown as error:
                faults.append(error)
                return

    racers = [threading.Thread(target=run, args=(racer,)) for racer in range(RACERS)]
    for one in racers:
        one.start()
    for one in racers:
        one.join()
    for number in range(NAMES):
        with contextlib.suppress(StoreUnknown):
            store.drop(series, number + 1)
    if faults:
        raise faults[0]
    return winners
