"""Paces one kind of call: never more than `qps` in any sliding second, evenly, and close to all of it.

Two rules decide when the next call may go, whichever is later:
- the grid: one slot every 1/rate seconds, so that calls do not come in bursts;
- the log: the moment the call `qps` calls ago really went, plus one second and a margin, so that no sliding second
  holds more than `qps` even when the loop was late (a grid alone lets late calls bunch up; `AsyncLimiter(10, 1)` let
  19 calls into one second, `AsyncLimiter(1, 1/qps)` used 0.95 of the limit; both measured).
A permit is taken with the connection already open, right before the headers go out, so the log is what the wire saw.

When the vendor says that it was too fast the rate falls, and creeps back while all is well (AIMD).
"""

from collections import deque
from collections.abc import Callable

import anyio

from pipeline.errors import Code, RunPaused, Stopping
from pipeline.system.clock import loop_time

MARGIN_S = 0.004  # a call may travel faster than the one a second before it; 4 ms cost 0.4 % of the limit
CATCH_UP_S = 0.05  # what a late loop may make up for; longer stalls are lost, not burst
SLOWER, MUCH_SLOWER, FASTER = 0.9, 0.5, 0.05
RECOVER_EVERY_S = 10.0
FLOOR = 1 / 20
QUOTA_AFTER_S = 600.0


class Limiter:
    """Permits for one kind of call. Times are seconds on the `clock` of the running event loop.

    `qps` is a whole number of calls per second, or a fraction below 1. `sent` counts the permits given.
    """

    def __init__(self, qps: float, *, clock: Callable[[], float] = loop_time) -> None:
        self.qps = qps
        self.rate = qps
        self.sent = 0
        self.slowed = 0
        self._window_s = 1.0 if qps >= 1 else 1.0 / qps
        self._in_window = max(1, int(qps))
        self._clock = clock
        self._turn = anyio.Lock(fast_acquire=True)
        self._log: deque[float] = deque()
        self._next_slot = float("-inf")
        self._paused_until = float("-inf")
        self._slowed_at: deque[float] = deque(maxlen=3)
        self._last_slowed = float("-inf")
        self._refused_rate = qps  # the last one that was too fast
        self._clean_since = float("-inf")
        self._at_floor_since: float | None = None
        self._closed: Exception | None = None

    def __repr__(self) -> str:
        return f"Limiter(qps={self.qps:g}, rate={self.rate:.3g}, sent={self.sent})"

    async def permit(self) -> float:
        """Wait for the turn of one call and log it; return the time. Raises Stopping once the limiter is closed."""
        if (at := self.permit_nowait()) is not None:
            return at
        async with self._turn:  # first come, first served
            while (at := self._take()) is None:
                wait_s = self._wait_s(self._clock())
                await anyio.sleep(min(wait_s, 0.25))  # short naps: a pause or the end may come meanwhile
            return at

    def permit_nowait(self) -> float | None:
        """Take the turn of one call if it has come and nobody waits; None otherwise. Raises Stopping as `permit`."""
        return None if self._turn.locked() else self._take()

    def _take(self) -> float | None:
        if self._closed is not None:
            raise self._closed
        now = self._clock()
        if self._wait_s(now) > 0:
            return None
        self._next_slot = max(self._next_slot, now - CATCH_UP_S) + 1.0 / self.rate
        self._log.append(now)
        self.sent += 1
        return now

    async def rested(self) -> None:
        """Wait while calls are paused, without a turn. Raises Stopping once the limiter is closed."""
        while self._closed is None and (wait_s := self.paused_s) > 0:  # noqa: ASYNC110 - a pause may grow meanwhile
            await anyio.sleep(min(wait_s, 0.25))
        if self._closed is not None:
            raise self._closed

    def _wait_s(self, now: float) -> float:
        oldest_kept = now - self._window_s - MARGIN_S
        while self._log and self._log[0] <= oldest_kept:
            self._log.popleft()
        full = len(self._log) >= self._in_window
        free_at = self._log[-self._in_window] + self._window_s + MARGIN_S if full else now
        return max(self._next_slot, self._paused_until, free_at) - now

    @property
    def paused_s(self) -> float:
        """Seconds until calls may go again; 0 when nothing is paused."""
        return max(0.0, self._paused_until - self._clock()) if self._paused_until > 0 else 0.0

    def pause(self, seconds: float) -> None:
        """Let no call of anyone go for so long."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def slow_down(self, *, retry_after_s: float | None = None) -> None:
        """Go slower after a refusal for speed: x0.9 at most once a second, x0.5 at the third within 5 s.

        Raises RunPaused when the lowest rate is still refused after 10 minutes: it is the quota, not the speed.
        """
        now = self._clock()
        if retry_after_s:
            self.pause(min(retry_after_s, 300.0))
        self._clean_since = now
        if now - self._last_slowed < 1.0:
            return
        self._last_slowed = now
        self._refused_rate = self.rate
        self.slowed += 1
        self._slowed_at.append(now)
        often = len(self._slowed_at) == 3 and now - self._slowed_at[0] <= 5.0
        self.rate = max(self.qps * FLOOR, self.rate * (MUCH_SLOWER if often else SLOWER))
        if often:
            self._slowed_at.clear()
        if self.rate > self.qps * FLOOR:
            self._at_floor_since = None
            return
        if self._at_floor_since is None:
            self._at_floor_since = now
        if now - self._at_floor_since > QUOTA_AFTER_S:
            raise RunPaused("calls are refused even at the lowest rate; the quota seems used up", code=Code.QUOTA)

    def succeeded(self) -> None:
        """Count a call that was not refused for speed; the rate recovers by 5 % of the limit every 10 clean seconds.

        Beyond the rate that was refused last it feels its way, by 5 % of itself: an account that allows a tenth of
        `qps` would be asked for half as much again each time (measured: 3.6 % refused, and 89 % of its calls used).
        """
        self._at_floor_since = None
        if self.rate < self.qps and self._clock() - self._clean_since >= RECOVER_EVERY_S:
            self._clean_since = self._clock()
            faster = self.rate + FASTER * self.qps
            self.rate = min(self.qps, faster if faster <= self._refused_rate else self.rate * (1 + FASTER))

    def woke(self) -> None:
        """Start evenly after a sleep: what was not sent meanwhile is lost, not made up for."""
        now = self._clock()
        self._next_slot = max(self._next_slot, now + 1.0 / self.rate)
        self._clean_since = max(self._clean_since, now)

    def close(self) -> None:
        """Give no more permits: everyone who waits gets Stopping, unsent."""
        self._closed = Stopping("the run is ending")
