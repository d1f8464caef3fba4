"""The writing thread. It writes in groups: lines, their fdatasync, one commit of all changes, the acknowledgements.

A group is everything that came in while the last one was written, and in 2 ms more: a group costs the same whatever its
size, and a slow disk makes large ones by itself; waiting for 5 ms costs a tenth of the throughput (measured).

The first failure is final: nothing after it is acknowledged, and every later call raises it, because after a failed
fsync nothing is known about the disk (PostgreSQL's fsync lesson). Lines of that group, and those of answers that still
come in, are paid: they go to the emergency file (journal/emergency.py).
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from pipeline.errors import JournalError
from pipeline.journal.emergency import disk_error
from pipeline.journal.sql.rows import Line
from pipeline.journal.storage import Disk
from pipeline.models import RecordLine

LINGER_S = 0.002

_A = TypeVar("_A")
_T = TypeVar("_T")
ApplyGroup = Callable[[Disk, Sequence[_A], Sequence[Line | None]], Sequence[_T]]


@dataclass(slots=True)
class Change:
    """A change that is applied by itself; `waiter` is None when nobody waits for it."""

    apply: Callable[[Disk], Any]
    waiter: asyncio.Future[Any] | None = None
    result: Any = None


@dataclass(slots=True)
class GroupChange:
    """A change that is applied together with its neighbours in the group that have the same `apply_group`.

    apply_group   takes the disk, and of each change in order its argument and the place of its line; returns as many
                  results. It must change the journal in a single SQL statement: a group that holds only such changes
                  runs without BEGIN and COMMIT.
    argument      this change's argument to it
    line          appended to results.jsonl, and synced, before any change of the group
    waiter        None when nobody waits for it
    place         of the line, once it is written; None without a line
    """

    apply_group: ApplyGroup[Any, Any]
    argument: Any
    line: bytes | RecordLine | None = None
    waiter: asyncio.Future[Any] | None = None
    place: Line | None = None
    result: Any = None


class Writer:
    """The writing thread. Built and used inside one event loop."""

    def __init__(self, open_disk: Callable[[], Disk], *, linger_s: float = LINGER_S) -> None:
        """Wait `linger_s` for more in each group.

        `open_disk` runs in the thread, because a SQLite connection belongs to the thread that opened it.
        """
        self._open_disk = open_disk
        self._linger_s = linger_s
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Change | GroupChange] = deque()
        self._wake = threading.Event()
        self._ending = False
        self._broken: JournalError | None = None
        self._opened: asyncio.Future[Any] = self._loop.create_future()
        self._closed: asyncio.Future[Any] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    async def start(self) -> Disk:
        """Open the disk in the thread. Raises what `open_disk` raises."""
        self._thread.start()
        disk: Disk = await self._opened
        return disk

    async def do(self, apply: Callable[[Disk], _T]) -> _T:
        """Apply a change; return once it is durable. Raises JournalError after any failure."""
        return await self.submit(apply)

    def submit(self, apply: Callable[[Disk], _T]) -> asyncio.Future[_T]:
        """Apply a change; return a future that is done once it is durable."""
        waiter: asyncio.Future[_T] = self._loop.create_future()
        self.check()
        self._enqueue(Change(apply, waiter))
        return waiter

    def post(self, apply: Callable[[Disk], Any]) -> None:
        """Apply a change with the next group; nobody waits for it."""
        self.check()
        self._enqueue(Change(apply))

    async def do_grouped(
        self, apply_group: ApplyGroup[_A, _T], argument: _A, *, line: bytes | RecordLine | None = None
    ) -> _T:
        """Append a line, if there is one, and apply a change at once with others of its kind; see GroupChange.

        Returns once it is durable. A line is kept after a failure too, because it is paid.
        """
        waiter: asyncio.Future[_T] = self._loop.create_future()
        if line is None:
            self.check()
        self._enqueue(GroupChange(apply_group, argument, line, waiter))
        return await waiter

    def post_unsynced(self, apply_group: ApplyGroup[_A, Any], argument: _A) -> None:
        """Apply a change like `do_grouped`, with the next group, and do not wait for it.

        It survives a kill from then on, and a power loss from the next change on that somebody waits for: a group that
        holds only such changes is not synced.
        """
        self.check()
        self._enqueue(GroupChange(apply_group, argument))

    async def close(self) -> None:
        """Write what is queued, close the disk and end the thread. Raises JournalError if writing has failed."""
        self._ending = True
        self._wake.set()
        await self._closed
        self._thread.join()
        self.check()

    def check(self) -> None:
        """Raise the JournalError that ended the writing, if one did."""
        if self._broken is not None:
            raise self._broken

    def _enqueue(self, change: Change | GroupChange) -> None:
        if self._ending:
            raise JournalError("the journal is closed")
        self._queue.append(change)
        if not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        try:
            disk = self._open_disk()
        except BaseException as exc:
            self._resolve(self._opened, exc)
            self._resolve(self._closed, None)
            return
        self._resolve(self._opened, disk)
        while not (self._ending and not self._queue):
            self._wake.wait()
            self._wake.clear()
            if self._linger_s and not self._ending:
                time.sleep(self._linger_s)
            group = [self._queue.popleft() for _ in range(len(self._queue))]
            if group:
                self._write(disk, group)
        try:
            disk.close(clean=self._broken is None)
        except Exception as exc:
            self._latch(exc)
        if self._broken is not None and (text := disk.emergency.text()):
            self._broken = JournalError(f"{self._broken}; {text}")
        self._resolve(self._closed, None)

    def _write(self, disk: Disk, group: list[Change | GroupChange]) -> None:
        with_line = [change for change in group if isinstance(change, GroupChange) and change.line is not None]
        lines = [change.line for change in with_line if change.line is not None]
        try:
            if self._broken is not None:
                raise self._broken
            places = disk.results.append(lines) if lines else []
            disk.prove(places)
            for change, place in zip(with_line, places, strict=True):
                change.place = place
            with disk.db.unsynced() if _may_stay_unsynced(group) else contextlib.nullcontext():
                _commit(disk, group)
        except Exception as exc:
            self._latch(exc)
            disk.emergency.keep([bytes(line) for line in lines])
        self._call_soon(self._acknowledge, group)

    def _latch(self, exc: Exception) -> None:
        if self._broken is None:
            self._broken = exc if isinstance(exc, JournalError) else disk_error(exc)

    def _acknowledge(self, group: list[Change | GroupChange]) -> None:
        for change in group:
            if change.waiter is None or change.waiter.done():
                continue
            if self._broken is not None:
                change.waiter.set_exception(self._broken)
            else:
                change.waiter.set_result(change.result)

    def _resolve(self, future: asyncio.Future[Any], outcome: Any) -> None:
        def resolve() -> None:
            if not future.done():
                if isinstance(outcome, BaseException):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

        self._call_soon(resolve)

    def _call_soon(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(function, *arguments)


def _apply_group(change: Change | GroupChange) -> ApplyGroup[Any, Any] | None:
    return change.apply_group if isinstance(change, GroupChange) else None


def _may_stay_unsynced(group: Sequence[Change | GroupChange]) -> bool:
    return all(isinstance(change, GroupChange) and change.waiter is None for change in group)


def _commit(disk: Disk, group: Sequence[Change | GroupChange]) -> None:
    runs = [(apply_group, list(run)) for apply_group, run in groupby(group, _apply_group)]
    if len(runs) == 1 and runs[0][0] is not None:  # one statement: a transaction by itself
        _apply(disk, runs)
    else:
        disk.db.do("BEGIN IMMEDIATE")
        _apply(disk, runs)
        disk.db.do("COMMIT")


def _apply(disk: Disk, runs: Sequence[tuple[ApplyGroup[Any, Any] | None, Sequence[Any]]]) -> None:
    """Apply changes in their order; neighbours that share an `apply_group` at once."""
    for apply_group, run in runs:
        if apply_group is None:
            results: Sequence[Any] = [change.apply(disk) for change in run]
        else:
            results = apply_group(disk, [change.argument for change in run], [change.place for change in run])
        for change, result in zip(run, results, strict=True):
            change.result = result
