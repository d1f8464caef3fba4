"""The wall clock, the steady clock, and ages measured by both.

Expiries are times of the wall clock, which may be set back or forward while a run goes on. The steady clock is
never set and counts on while the machine sleeps, but it starts anew when the machine does. The vendor's links and
tasks grow older whatever happens to our clocks: an `Age` is the larger of what both say, and `Ticks` notices a step or
a sleep within a second.
"""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)  # of Linux; elsewhere a machine that sleeps may count no time
JUMP_S = 30.0  # time servers correct a clock by less than this all the time


def loop_time() -> float:
    """Return the seconds of the running loop's clock: anyio.current_time, at a tenth of its cost."""
    return asyncio.get_running_loop().time()


def steady() -> float:
    """Return seconds that only grow, also while the machine sleeps; they start anew when the machine does."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


class Clocks(NamedTuple):
    """The two clocks, so that a test can bring its own."""

    wall: Callable[[], float] = time.time  # seconds since the epoch
    steady: Callable[[], float] = steady  # seconds since a moment that is the same until the machine starts anew


class Age:
    """The age of something that came `at` (seconds since the epoch), by the clock that says it is older."""

    def __init__(self, at: float, clocks: Clocks) -> None:
        self._at = at
        self._clocks = clocks
        self._born = clocks.steady() - max(0.0, clocks.wall() - at)

    @property
    def seconds(self) -> float:
        """Seconds since it came; never negative."""
        return max(0.0, self._clocks.wall() - self._at, self._clocks.steady() - self._born)


class Jump(NamedTuple):
    """A step of the wall clock, or a sleep of the machine, between two ticks."""

    step_s: float  # by which the wall clock was set forth; negative when it was set back
    gap_s: float  # between the two ticks on the steady clock; long when the machine slept


class Ticks:
    """A watch over both clocks; call `tick` a few times a second."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._wall = clocks.wall()
        self._steady = clocks.steady()

    def tick(self) -> Jump | None:
        """Return the jump if a clock step or a sleep of more than 30 s came since the last tick, else None."""
        wall, now = self._clocks.wall(), self._clocks.steady()
        gap_s = now - self._steady
        step_s = wall - self._wall - gap_s
        self._wall, self._steady = wall, now
        return Jump(step_s, gap_s) if abs(step_s) > JUMP_S or gap_s > JUMP_S else None


def from_the_future(at: float, *, now: float) -> bool:
    """Return True if a stored time lies so far ahead that the clock was set back since it was stored.

    Nobody knows how old the thing is then: take it for expired.
    """
    return at > now + JUMP_S


def iso(at: float) -> str:
    """Write a time as `2026-11-21T10:00:00.000Z`."""
    fraction, second = math.modf(at)
    micros = round(fraction * 1e6)
    if not 0 <= micros < 1_000_000:  # of the next second, or before 1970
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    return f"{_iso_second(second)}.{micros // 1000:03}Z"


@lru_cache(maxsize=64)  # a record has four times, and hundreds of records have the same second
def _iso_second(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:-6]
