"""The writing thread. It writes in groups: lines, their fdatasync, one commit of all changes, the acknowledgements.

A group is everything that came in while the last one was written, and, of less than 32 changes, in 2 ms more: a group
costs the same whatever its size, and a slow disk makes large ones by itself; waiting for 5 ms costs a tenth of the
throughput (measured).

The first failure is final: nothing after it is acknowledged, and every later call raises it, because after a failed
fsync nothing is known about the disk (PostgreSQL's fsync lesson). Lines of that group, and those of answers that still
come in, are paid: they go to the emergency file (journal/emergency.py), and so do creates that never left. Whatever
ends the thread itself is such a failure too: nobody waits for a thread that is gone.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from pipeline.errors import JournalError
from pipeline.journal.emergency import disk_error
from pipeline.journal.groups import AnyChange, ApplyGroup, Change, GroupChange, commit, may_stay_unsynced, to_keep
from pipeline.journal.kept_lines import NotExecuted
from pipeline.journal.sql.changes import MOST_STEPS
from pipeline.journal.storage import Disk
from pipeline.reports import PaidTask
from pipeline.system.checksum import RecordLine
from pipeline.system.fault import Fault

LINGER_S = 0.002
ENOUGH = 32  # changes for a group that does not wait for more
MOST_CHANGES = MOST_STEPS  # in one group: all its steps go in one statement
WATCH_S = 1.0  # how often it is looked whether the thread is still there

_log = logging.getLogger(__name__)
_A = TypeVar("_A")
_T = TypeVar("_T")


class Writer:
    """The writing thread. Built and used inside one event loop."""

    def __init__(self, open_disk: Callable[[], Disk], *, linger_s: float = LINGER_S) -> None:
        """Wait `linger_s` for more in each group.

        `open_disk` runs in the thread, because a SQLite connection belongs to the thread that opened it.
        """
        self._open_disk = open_disk
        self._linger_s = linger_s
        self._loop = asyncio.get_running_loop()
        self._queue: deque[AnyChange] = deque()
        self._wake = threading.Event()
        self._ending = False
        self._broken: JournalError | None = None
        self._gone = JournalError("the journal cannot be written: its thread has ended; run again to go on")
        self._disk: Disk | None = None
        self._group: list[AnyChange] = []
        self._opened: asyncio.Future[Any] = self._loop.create_future()
        self._closed: asyncio.Future[Any] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    async def start(self) -> Disk:
        """Open the disk in the thread. Raises what `open_disk` raises."""
        self._thread.start()
        self._loop.call_later(WATCH_S, self._watch)
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

    def post(self, apply: Callable[[Disk], Any], *, otherwise: NotExecuted | None = None) -> None:
        """Apply a change with the next group; nobody waits for it.

        With `otherwise` nothing is raised after a failure: that line is kept instead.
        """
        if otherwise is None:
            self.check()
        self._enqueue(Change(apply, otherwise=otherwise))

    async def do_grouped(
        self,
        apply_group: ApplyGroup[_A, _T],
        argument: _A,
        *,
        line: bytes | RecordLine | None = None,
        otherwise: PaidTask | None = None,
    ) -> _T:
        """Append a line, if there is one, and apply a change at once with others of its kind; see GroupChange.

        Returns once it is durable. A line, or a task, is kept after a failure too, because it is paid.
        """
        waiter: asyncio.Future[_T] = self._loop.create_future()
        if line is None and otherwise is None:
            self.check()
        self._enqueue(GroupChange(apply_group, argument, line, waiter, otherwise))
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
        if self._broken is not None and self._disk is not None and (text := self._disk.emergency.text()):
            told = self._broken.args[0]
            raise JournalError(told.adding(text) if isinstance(told, Fault) else f"{told}; {text}")
        self.check()

    def check(self) -> None:
        """Raise the JournalError that ended the writing, if one did."""
        if self._broken is not None:
            raise self._broken

    def _enqueue(self, change: AnyChange) -> None:
        if self._ending:
            raise JournalError("the journal is closed")
        self._queue.append(change)
        if self._closed.done():
            self._refuse_rest()
        elif not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        try:
            self._disk = disk = self._open_disk()
        except BaseException as exc:
            self._resolve(self._opened, exc)
            self._resolve(self._closed, None)
            return
        try:
            self._resolve(self._opened, disk)
            self._write_until_closed(disk)
        except BaseException as exc:  # out of memory while a failure was dealt with, say
            self._broken = self._broken or self._gone
            with contextlib.suppress(BaseException):
                _log.error("journal.thread_ended error=%s", type(exc).__name__)
                disk.close(clean=False)
        finally:
            self._call_soon(self._end)

    def _write_until_closed(self, disk: Disk) -> None:
        while not (self._ending and not self._queue):
            self._wake.wait()
            self._wake.clear()
            if self._linger_s and not self._ending and len(self._queue) < ENOUGH:
                time.sleep(self._linger_s)
            self._group = [self._queue.popleft() for _ in range(min(len(self._queue), MOST_CHANGES))]
            if self._queue:
                self._wake.set()
            if self._group:
                self._write(disk, self._group)
                self._group = []
        try:
            disk.close(clean=self._broken is None)
        except BaseException as exc:
            self._latch(exc, disk)

    def _write(self, disk: Disk, group: list[AnyChange]) -> None:
        with_line = [change for change in group if isinstance(change, GroupChange) and change.line is not None]
        lines = [change.line for change in with_line if change.line is not None]
        try:
            if self._broken is not None:
                raise self._broken
            places = disk.results.append(lines) if lines else []
            disk.prove(places)
            for change, place in zip(with_line, places, strict=True):
                change.place = place
            with disk.db.unsynced() if may_stay_unsynced(group) else contextlib.nullcontext():
                commit(disk, group)
        except BaseException as exc:
            self._latch(exc, disk)
            disk.emergency.keep(to_keep(group))
        self._call_soon(self._acknowledge, group)

    def _latch(self, exc: BaseException, disk: Disk) -> None:
        if self._broken is None:
            self._broken = exc if isinstance(exc, JournalError) else disk_error(exc, disk.folder)

    def _watch(self) -> None:
        """Look whether the thread is there: one that ended without a word must not be waited for."""
        if not self._thread.is_alive():
            self._end()
        elif not self._closed.done():
            self._loop.call_later(WATCH_S, self._watch)

    def _end(self) -> None:
        """Take note, in the loop, that the thread has ended, and refuse what it has not written."""
        if not self._closed.done():
            if not self._ending:
                self._broken = self._broken or self._gone
            if not self._opened.done():
                self._opened.set_exception(self._gone)
            self._closed.set_result(None)
        self._refuse_rest()

    def _refuse_rest(self) -> None:
        """Refuse all changes that the thread has left behind, and keep what is paid of them."""
        rest = [*self._group, *self._queue]
        self._group = []
        self._queue.clear()
        if rest:
            self._broken = self._broken or self._gone
            if self._disk is not None:
                self._disk.emergency.keep(to_keep(rest))
            self._acknowledge(rest)

    def _acknowledge(self, group: list[AnyChange]) -> None:
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
