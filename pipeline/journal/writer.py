"""One thread writes, in groups: lines and their fdatasync, then one commit of all changes, then the acknowledgements.

A group is what came in while the last one was written, and in 2 ms more: a group costs the same whatever its size, and
a slow disk makes large ones by itself; to wait for 5 ms costs a tenth of the throughput (measured).

The first failure is final: it is latched, nobody is acknowledged any more, and every later call raises, because after a
failed fsync nothing is known about the disk (PostgreSQL's fsync lesson). Lines of that group, and those of answers that
still come in, are paid: they go to the emergency file (journal/emergency.py).
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from pipeline.errors import JournalError
from pipeline.journal.emergency import disk_error
from pipeline.journal.results_file import Line
from pipeline.journal.storage import Disk
from pipeline.models import Spliced

LINGER_S = 0.002

_A = TypeVar("_A")
_T = TypeVar("_T")


@dataclass(slots=True)
class _Operation:
    """A change that waits for its group; `line` is appended to results.jsonl, and synced, before any change."""

    apply: Callable[[Disk, Line | None], Any] | None
    line: bytes | Spliced | None = None
    waiter: asyncio.Future[Any] | None = None
    result: Any = None
    # Instead of `apply`: what takes many of a group at once, and what it is given of this one.
    apply_all: Callable[[Disk, Sequence[Any], Sequence[Line | None]], Sequence[Any]] | None = None
    argument: Any = None
    placed: Line | None = None


class Writer:
    """The writing thread. Built and used inside one event loop."""

    def __init__(self, open_disk: Callable[[], Disk], *, linger_s: float = LINGER_S) -> None:
        """Wait `linger_s` for more in each group.

        `open_disk` runs in the thread, because a SQLite connection belongs to the thread that opened it.
        """
        self._open_disk = open_disk
        self._linger_s = linger_s
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Operation] = deque()
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

    async def do(self, apply: Callable[[Disk, Line | None], _T], *, line: bytes | Spliced | None = None) -> _T:
        """Apply a change; return once it is durable. Raises JournalError after any failure."""
        return await self.submit(apply, line=line)

    def submit(
        self, apply: Callable[[Disk, Line | None], _T], *, line: bytes | Spliced | None = None
    ) -> asyncio.Future[_T]:
        """As `do`, but return what can be awaited."""
        waiter: asyncio.Future[_T] = self._loop.create_future()
        self._enqueue(_Operation(apply, line, waiter))
        return waiter

    async def do_all(
        self,
        apply_all: Callable[[Disk, Sequence[_A], Sequence[Line | None]], Sequence[_T]],
        argument: _A,
        *,
        line: bytes | Spliced | None = None,
    ) -> _T:
        """As `do`, but the group's changes of this kind are applied at once; `apply_all` returns a result for each.

        It changes the journal in one statement: a group of nothing else gets no transaction around it.
        """
        waiter: asyncio.Future[_T] = self._loop.create_future()
        self._enqueue(_Operation(None, line, waiter, apply_all=apply_all, argument=argument))
        return await waiter

    def post(self, apply: Callable[[Disk, Line | None], Any]) -> None:
        """Apply a change with the next group; nobody waits for it."""
        self._enqueue(_Operation(apply))

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

    def _enqueue(self, operation: _Operation) -> None:
        if operation.line is None:  # a line goes on its way all the same: it is paid
            self.check()
        if self._ending:
            raise JournalError("the journal is closed")
        self._queue.append(operation)
        if not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        try:
            disk = self._open_disk()
        except BaseException as exc:
            self._tell(self._opened, exc)
            self._tell(self._closed, None)
            return
        self._tell(self._opened, disk)
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
        if self._broken is not None and (told := disk.emergency.told()):
            self._broken = JournalError(f"{self._broken}; {told}")
        self._tell(self._closed, None)

    def _write(self, disk: Disk, group: list[_Operation]) -> None:
        try:
            if self._broken is not None:
                raise self._broken
            lines = [operation.line for operation in group if operation.line is not None]
            placed = iter(disk.sink.append(lines) if lines else ())
            for operation in group:
                operation.placed = next(placed) if operation.line is not None else None
            runs = [(apply_all, list(run)) for apply_all, run in groupby(group, attrgetter("apply_all"))]
            if len(runs) == 1 and group[0].apply_all is not None:  # one statement: a transaction by itself
                _apply(disk, runs)
            else:
                disk.store.do("BEGIN IMMEDIATE")
                _apply(disk, runs)
                disk.store.do("COMMIT")
        except Exception as exc:
            self._latch(exc)
            disk.emergency.keep([bytes(operation.line) for operation in group if operation.line is not None])
        self._call_soon(self._acknowledge, group)

    def _latch(self, exc: Exception) -> None:
        if self._broken is None:
            self._broken = exc if isinstance(exc, JournalError) else disk_error(exc)

    def _acknowledge(self, group: list[_Operation]) -> None:
        for operation in group:
            if operation.waiter is None or operation.waiter.done():
                continue
            if self._broken is not None:
                operation.waiter.set_exception(self._broken)
            else:
                operation.waiter.set_result(operation.result)

    def _tell(self, future: asyncio.Future[Any], outcome: Any) -> None:
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


def _apply(disk: Disk, runs: Iterable[tuple[Any, Sequence[_Operation]]]) -> None:
    """Apply changes in their order; neighbours that share an `apply_all` at once."""
    for apply_all, run in runs:
        if apply_all is None:
            results = [operation.apply(disk, operation.placed) for operation in run if operation.apply is not None]
        else:
            results = apply_all(
                disk, [operation.argument for operation in run], [operation.placed for operation in run]
            )
        for operation, result in zip(run, results, strict=True):
            operation.result = result
