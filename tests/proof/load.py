"""A steady load on a disk whose every sync takes 5 ms more: how fast items settle, how long barriers take, and memory.

`make load` or `python -m tests.proof load --seconds 60 --rate 1000 --sync-ms 5`. The vendor is one that answers at
once, so what is measured is ours: the engine, the journal, and the lines.
"""

# ruff: noqa: T201 - a command prints its figures

import argparse
import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from pipeline.engine.engine import Engine
from pipeline.engine.intake import Intake
from pipeline.engine.parts import Ports
from pipeline.journal.journal import Journal
from pipeline.journal.sql.changes import ADVANCE
from pipeline.journal.storage import connect, open_disk
from pipeline.journal.writer import Writer
from pipeline.models import PAID, Choice, Hits, Item, Kind
from pipeline.results.record import RecordLines
from pipeline.run.directory import lock
from tests.proof.workload import LOCAL, hits_of, job, url_of
from tests.support.fakes import PlainVendor, endpoints_of

IN_FLIGHT = 200


@dataclass
class Figures:
    """What was measured; barriers in seconds, memory in MB at each look."""

    items: int = 0
    seconds: float = 0.0
    barriers: list[float] = field(default_factory=list)
    syncs: int = 0
    memory: list[float] = field(default_factory=list)

    def barrier(self, share: float) -> float:
        return sorted(self.barriers)[min(len(self.barriers) - 1, int(len(self.barriers) * share))]

    def growth(self) -> float:
        """Memory at the end against that after the first half, as a share."""
        return self.memory[-1] / self.memory[len(self.memory) // 2] - 1.0

    def __str__(self) -> str:
        return (
            f"{self.items} items in {self.seconds:.1f} s: {self.items / self.seconds:.0f} items/s; barrier p50 "
            f"{self.barrier(0.5) * 1e3:.1f} ms, p99 {self.barrier(0.99) * 1e3:.1f} ms; {self.syncs / self.items:.3f} "
            f"syncs per item; memory {self.memory[0]:.0f} -> {self.memory[-1]:.0f} MB, second half {self.growth():+.1%}"
        )


class PacedVendor(PlainVendor):
    """Lets a search go `rate` times a second (0: as fast as they come); everything is answered well, at once."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._every_s = 1.0 / rate if rate else 0.0
        self._next: float | None = None

    @property
    def now(self) -> float:  # type: ignore[override]
        return time.time()

    async def arriving(self, kind: Kind) -> None:
        if self._every_s and kind is Kind.SEARCH:
            now = anyio.current_time()
            self._next = max(now - 0.25, self._next or now) + self._every_s
            await anyio.sleep(max(0.0, self._next - now))

    def found(self, url: str) -> Hits:
        return msgspec.structs.replace(hits_of(url), at=self.now)

    async def note_executed(self, url: str, task_id: str, choice: Choice) -> None:
        await anyio.sleep(0)


def timed(journal: Journal, figures: Figures) -> Journal:
    """Let the journal note how long each barrier was waited for: an intent, and a line with its commit."""
    intend, settle = journal.steps.intend, journal.steps.settle

    async def intending(*args: Any, **kwargs: Any) -> None:
        began = time.perf_counter()
        await intend(*args, **kwargs)
        figures.barriers.append(time.perf_counter() - began)

    async def settling(*args: Any, **kwargs: Any) -> None:
        began = time.perf_counter()
        await settle(*args, **kwargs)
        figures.barriers.append(time.perf_counter() - began)
        figures.items += 1

    journal.steps.intend, journal.steps.settle = intending, settling
    return journal


class SlowDisk:
    """The journal's connection, and the sync of results.jsonl: both are counted, and take `more_s` longer."""

    def __init__(self, figures: Figures, more_s: float) -> None:
        self._figures = figures
        self._more_s = more_s
        self._connection: Any = None

    def connect(self, path: Path) -> "SlowDisk":
        self._connection = connect(path)
        return self

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        if sql == "COMMIT" or (sql.startswith(ADVANCE) and not self._connection.in_transaction):
            self._slow()
        return self._connection.execute(sql, parameters)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def mounted(self) -> Iterator[None]:
        sync = os.fdatasync

        def slow(fd: int) -> None:
            self._slow()
            sync(fd)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("os.fdatasync", slow)
            yield

    def _slow(self) -> None:
        self._figures.syncs += 1
        time.sleep(self._more_s)


def rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


async def load(
    folder: Path, count: int, *, rate: float = 0.0, sync_s: float = 0.0, look: Callable[[], float] = rss_mb
) -> Figures:
    """Take so many items all the way; `look` is asked for the memory at every twentieth of them."""
    figures = Figures()
    folder.mkdir(parents=True, exist_ok=True)
    spec = job(folder.parent, in_flight=IN_FLIGHT)

    def items() -> Iterator[Item]:
        for number in range(count):
            if number % max(1, count // 20) == 0:
                figures.memory.append(look())
            yield Item(f"SKU-{number}", url_of(number), False, f"images[{number}]", {})

    disk = SlowDisk(figures, sync_s)
    with lock(folder), disk.mounted():
        writer = Writer(functools.partial(open_disk, folder, now=time.time(), connect=disk.connect, mounts=LOCAL))
        await writer.start()
        journal = timed(Journal(writer, budgets=dict.fromkeys(PAID, 10 * count)), figures)
        try:
            tally = await journal.begin()
            intake = Intake(items(), journal, generation=1, fingerprint="same")
            ports = Ports(spec, endpoints_of(spec), PacedVendor(rate), journal, _no_picture)
            engine = Engine(ports, intake, RecordLines(spec, "0" * 64), tally=tally)
            began = time.perf_counter()
            await engine.run()
            figures.seconds = time.perf_counter() - began
        finally:
            await journal.close()
    figures.memory.append(look())
    return figures


def _no_picture(source: str) -> Any:
    raise NotImplementedError


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=1000, help="items per second")
    parser.add_argument("--sync-ms", type=float, default=5, help="what each sync takes longer")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="load-") as base:
        count = int(told.seconds * told.rate)
        run = functools.partial(load, Path(base) / "run", count, rate=told.rate, sync_s=told.sync_ms / 1e3)
        print(anyio.run(run))
    return 0
