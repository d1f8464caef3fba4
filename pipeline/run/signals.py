"""Ctrl-C, SIGTERM and SIGHUP while a run goes on: the first signal ends it in good order, a second one at once.

SIGHUP is never the second one: a terminal that closes says it twice (the system and the shell), and supervisors send it
together with SIGTERM.
"""

import contextlib
import logging
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import nullcontext
from typing import TypeVar

import anyio
import anyio.abc

from pipeline.engine.engine import Engine
from pipeline.errors import Interrupted, PipelineError, StopAsked
from pipeline.run.stop import Stop, Way
from pipeline.system.signals import ending, heard, leaving_if_it_hangs, words

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Signals:
    """The signals of one run.

    1. Before the engine works nothing is sent: a signal ends the run where it is.
    2. While it works: the first signal begins and searches nothing more, and lets paid searches become tasks; after
       `drain_s` nothing is sent. The second one waits for no answer: creates that are out are then in doubt.
    3. Afterwards the run ends by itself within moments.
    """

    def __init__(self, *, drain_s: float, stop: Stop | None = None) -> None:
        self._drain_s = drain_s
        self._stop = stop
        self._reason: PipelineError | None = None
        self._begin: anyio.CancelScope | None = None
        self._work: anyio.CancelScope | None = None
        self._engine: Engine | None = None
        self._silent = False
        self._over = False
        self._drains: anyio.abc.TaskGroup | None = None
        self._last_resort = contextlib.ExitStack()  # until the run has ended

    async def during(self, run: Callable[[], Awaitable[_T]]) -> _T:
        """Listen while `run` goes on, and return what it returns. Raises Interrupted when it never came to work."""
        if (number := heard()) is not None:
            raise _interrupted(number)
        done: list[_T] = []
        with self._last_resort:
            async with anyio.create_task_group() as around:
                await around.start(self._listen)
                with anyio.CancelScope() as self._begin:
                    done.append(await run())
                around.cancel_scope.cancel()
        if not done:
            assert self._reason is not None
            raise self._reason
        return done[0]

    @contextlib.contextmanager
    def end(self, engine: Engine) -> Iterator[None]:
        """Let signals end this engine, which works inside the block."""
        with anyio.CancelScope() as work:
            self._engine, self._work = engine, work
            if self._reason is not None:
                self._drain(self._reason)
            try:
                yield
            finally:
                self._engine, self._over = None, True

    async def _listen(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        with nullcontext() if self._stop is None else self._stop.heard(self._take_stop):
            async with anyio.create_task_group() as self._drains:
                await self._receive(task_status)

    async def _receive(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        if threading.current_thread() is threading.main_thread():  # the system tells no other thread
            try:
                with _received() as signals:
                    task_status.started()
                    async for number in signals:
                        self._take(number)
            except NotImplementedError:  # Windows: Ctrl-C arrives as KeyboardInterrupt
                pass
        task_status.started()
        await anyio.sleep_forever()  # the program that runs the job may still ask for its end

    def _take(self, number: signal.Signals) -> None:
        if self._stop is not None:
            self._stop.signal_number = self._stop.signal_number or number
        if self._reason is None:
            self._reason = _interrupted(number)
            _log.warning("run.draining signal=%s drain_s=%s", number, self._drain_s)
            if self._engine is not None:
                self._drain(self._reason)
            elif self._begin is not None and not self._over:
                self._begin.cancel()
        elif self._work is not None and number.name != "SIGHUP":
            self._work.cancel()
            self._last_resort.enter_context(leaving_if_it_hangs(number))
            _log.warning("run.cut_short signal=%s", number)

    def _take_stop(self, way: Way) -> None:
        """End the run because its program asks for it; one that has not come to work yet ends when it does."""
        if self._reason is None:
            self._reason = StopAsked("stopped by the program that runs it; run again to go on")
            self._silent = way is Way.SILENT
            _log.warning("run.draining drain_s=%s", 0 if self._silent else self._drain_s)
            if self._engine is not None:
                self._drain(self._reason)
        elif way is Way.SILENT and self._engine is not None:
            self._engine.stop_calls(self._reason)
        if way is Way.AT_ONCE and self._work is not None:
            _log.warning("run.cut_short")
            self._work.cancel()

    def _drain(self, reason: PipelineError) -> None:
        assert self._engine is not None
        if self._silent:
            self._engine.stop_calls(reason)
            return
        self._engine.drain(reason)
        if self._drains is not None:
            self._drains.start_soon(self._stop_calls, self._engine, reason)

    async def _stop_calls(self, engine: Engine, reason: PipelineError) -> None:
        await anyio.sleep(self._drain_s)
        engine.stop_calls(reason)


@contextlib.contextmanager
def _received() -> Iterator[AsyncIterator[signal.Signals]]:
    """Receive the signals that end a command; afterwards their handlers are those of before."""
    before = {number: signal.getsignal(number) for number in ending()}
    try:
        with anyio.open_signal_receiver(*before) as signals:
            yield signals
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def _interrupted(number: int) -> Interrupted:
    return Interrupted(words(number), signal_number=number)
