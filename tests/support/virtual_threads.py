"""Threads in virtual time: one runs at once, until it sleeps; then time jumps to the next that is due.

So code that blocks runs unchanged, a thousand machines of it in one process, and an hour of it in a minute.
"""

import heapq
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import Self

_STACK = 256 * 1024


class Killed(BaseException):
    """The end of a thread whose process was killed."""


class Sleeper:
    """One thread; `killed` ends it when it wakes, without a word of its own."""

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.turn.acquire()
        self.wakes = 0  # what is planned for an earlier number is void
        self.killed = self.ended = self.waits = False


class VirtualThreads:
    """All threads, and their time in seconds. In its context the thread that opened it is one of them."""

    def __init__(self) -> None:
        self.now = 0.0
        self._plan: list[tuple[float, int, Sleeper, int]] = []
        self._numbers = count()
        self._running = Sleeper()
        self._all: list[Sleeper] = []
        self._errors: list[BaseException] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self._all:
            self.kill(one)
        while any(not one.ended for one in self._all):
            self.sleep(0)
        if error is None and self._errors:
            raise self._errors[0]

    def clock(self) -> float:
        """Return the time."""
        return self.now

    def start(self, step: Callable[[], None]) -> Sleeper:
        """Start a thread; it begins when the one that runs now sleeps."""
        sleeper = Sleeper()
        self._all = [*(one for one in self._all if not one.ended), sleeper]
        before = threading.stack_size(_STACK)
        threading.Thread(target=self._run, args=(sleeper, step), daemon=True).start()
        threading.stack_size(before)
        self._wake(sleeper, 0)
        return sleeper

    def sleep(self, seconds: float) -> None:
        """Let the others run for so long."""
        me = self._running
        self._wake(me, seconds)
        self._pass_on(me)
        if me.killed:
            raise Killed
        if self._errors and me not in self._all:
            raise self._errors.pop(0)

    def wait(self, seconds: float) -> None:
        """Sleep so that `hurry` may end it."""
        me = self._running
        me.waits = True
        try:
            self.sleep(seconds)
        finally:
            me.waits = False

    def hurry(self, sleeper: Sleeper) -> bool:
        """Wake a thread that waits; return whether it did."""
        if sleeper.waits:
            sleeper.waits = False
            self._wake(sleeper, 0)
            return True
        return False

    def kill(self, sleeper: Sleeper) -> None:
        """Let a thread end where it is."""
        if not sleeper.ended:
            sleeper.killed = True
            self._wake(sleeper, 0)

    def _wake(self, sleeper: Sleeper, seconds: float) -> None:
        sleeper.wakes += 1
        heapq.heappush(self._plan, (self.now + max(0.0, seconds), next(self._numbers), sleeper, sleeper.wakes))

    def _pass_on(self, me: Sleeper | None) -> None:
        while True:
            at, _, sleeper, wakes = heapq.heappop(self._plan)
            if wakes == sleeper.wakes and not sleeper.ended:
                break
        self.now = at
        self._running = sleeper
        if sleeper is not me:
            sleeper.turn.release()
            if me is not None:
                me.turn.acquire()

    def _run(self, sleeper: Sleeper, step: Callable[[], None]) -> None:
        sleeper.turn.acquire()
        try:
            with suppress(Killed):
                if not sleeper.killed:
                    step()
        except Exception as error:
            self._errors.append(error)
        sleeper.ended = True
        self._pass_on(None)


class VirtualLock:
    """A lock between such threads, in the place of one of the system's, which would stop them all."""

    def __init__(self, threads: VirtualThreads) -> None:
        self._threads = threads
        self._held = False

    def __enter__(self) -> None:
        while self._held:
            self._threads.sleep(0.001)
        self._held = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held = False


class VirtualTurns:
    """A step taken again and again, as `leases.turns.RepeatingThread` does; a step that is under way may last."""

    def __init__(self, threads: VirtualThreads, step: Callable[[], None], *, every_s: float, soon_s: float) -> None:
        self._threads, self._step, self._every_s, self._soon_s = threads, step, every_s, soon_s
        self._hurried = self._ending = False
        self.sleeper: Sleeper | None = None
        self.lasted: list[float] = []  # seconds of each step

    def start(self) -> None:
        self.sleeper = self._threads.start(self._run)

    def hurry(self) -> None:
        self._hurried = not (self.sleeper is not None and self._threads.hurry(self.sleeper))

    def end(self, timeout_s: float) -> bool:
        self._ending = True
        until = self._threads.now + timeout_s
        self.hurry()
        while self.sleeper is not None and not self.sleeper.ended and self._threads.now < until:
            self._threads.sleep(self._soon_s)
        return self.sleeper is None or self.sleeper.ended

    def _run(self) -> None:
        while not self._ending:
            begun = self._threads.now
            self._step()
            self.lasted.append(self._threads.now - begun)
            self._threads.sleep(self._soon_s)
            if not self._hurried and not self._ending:
                self._threads.wait(begun + self._every_s - self._threads.now)
            self._hurried = False
