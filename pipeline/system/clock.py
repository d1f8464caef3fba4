"""Clocks: durations on one that nobody sets and that counts sleep, expiries on the wall clock, neither trusted alone.

A wall clock may be set back or forth while a run goes on, and the machine may sleep; what the vendor sold us ages all
the same. `Age` is therefore the larger of what both clocks say, and `Ticks` notices a step or a sleep within a second.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

JUMP_S = 30.0


def loop_time() -> float:
    """Seconds of the running loop's clock, as anyio.current_time says, which costs ten times as much."""
    return asyncio.get_running_loop().time()


def steady() -> float:
    """Seconds that only grow and that also count while the machine sleeps."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boottime) if boottime is not None else time.monotonic()


class Clocks(NamedTuple):
    """The wall clock (seconds since the epoch) and the steady one."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = steady


class Age:
    """How old something is that came `at` (wall time): the larger of what both clocks say from now on."""

    def __init__(self, at: float, clocks: Clocks) -> None:
        self._at = at
        self._clocks = clocks
        self._born = clocks.steady() - max(0.0, clocks.wall() - at)

    @property
    def seconds(self) -> float:
        """Its age now; never negative."""
        return max(0.0, self._clocks.wall() - self._at, self._clocks.steady() - self._born)


class Jump(NamedTuple):
    """What happened between two ticks: the wall clock was moved by `step_s`, nothing ran for `gap_s`."""

    step_s: float
    gap_s: float


class Ticks:
    """Looked at a few times a second; `look` says when time was not what it seemed."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._wall = clocks.wall()
        self._steady = clocks.steady()

    def look(self) -> Jump | None:
        """A step of the wall clock or a sleep of more than 30 s since the last look, or None."""
        wall, now = self._clocks.wall(), self._clocks.steady()
        gap_s = now - self._steady
        step_s = wall - self._wall - gap_s
        self._wall, self._steady = wall, now
        return Jump(step_s, gap_s) if abs(step_s) > JUMP_S or gap_s > JUMP_S else None


def from_the_future(at: float, *, now: float) -> bool:
    """Whether a stored time lies so far ahead that the clock was set back since: its age is unknown, so it is old."""
    return at > now + JUMP_S


def iso(at: float) -> str:
    """Write a time as `2026-11-21T10:00:00.000Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
