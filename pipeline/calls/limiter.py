"""The pace of one kind of call: never more than `qps` in any sliding second, evenly, and close to all of it.

A permit is taken with the connection already open, right before the headers go out, so that what is logged here is
what the vendor sees.
"""

from collections import deque
from collections.abc import Callable

import anyio

from pipeline.calls.drought import Drought
from pipeline.calls.margin import Margin
from pipeline.calls.rate import AdaptiveRate
from pipeline.calls.retry import LONGEST_RETRY_AFTER_S
from pipeline.endpoints.patsnap.codes import MAX_ANSWER_S
from pipeline.errors import Stopping
from pipeline.models import Kind
from pipeline.system.clock import loop_time

CATCH_UP_S = 0.05  # what a late loop may make up for; longer stalls are lost, not burst
STARVES_S = 5.0  # an account that accepts calls at all accepts one within so long of a refusal
NAP_S = 0.25  # a caller that waits looks again this often: a pause or the end of the run may come meanwhile


class Pace:
    """The moment at which the next call may go, by two rules of which the later one counts.

    - The grid: one slot every 1/rate seconds, so that calls do not come in bursts.
    - The log: a call goes one second and a margin after the call that was sent `qps` calls before it, so that no
      sliding second holds more than `qps` even when the loop was late. A grid alone lets late calls bunch up:
      `AsyncLimiter(10, 1)` let 19 calls into one second, `AsyncLimiter(1, 1/qps)` used 0.95 of the limit (measured).

    `qps` is a whole number of calls per second, or a fraction below 1; it may change at any call. Times are seconds of
    the caller's clock.
    """

    def __init__(self, qps: float, margin: Margin) -> None:
        self._margin = margin
        self.limit(qps)
        self._log: deque[float] = deque()
        self._next_slot = self._slot_before = float("-inf")

    def limit(self, qps: float) -> None:
        """Let so many calls go in a second from now on; those of the last second count, whatever they were allowed."""
        self._second_s = 1.0 if qps >= 1 else 1.0 / qps
        self._in_window = max(1, int(qps))

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next call may go; 0 or less when it may go now."""
        window_s = self._second_s + self._margin.seconds
        while self._log and self._log[0] <= now - window_s:
            self._log.popleft()
        full = len(self._log) >= self._in_window
        free_at = self._log[-self._in_window] + window_s if full else now
        return max(self._next_slot, free_at) - now

    def sent(self, now: float, rate: float) -> None:
        """Log a call that goes now, and place the next slot 1/rate seconds after this one."""
        self._slot_before = self._next_slot
        self._next_slot = max(self._next_slot, now - CATCH_UP_S) + 1.0 / rate
        self._log.append(now)

    def take_back(self, at: float) -> bool:
        """Forget the call logged last, if it is the one of this time: it did not go. Return whether it was."""
        if not self._log or self._log[-1] != at:
            return False
        self._log.pop()
        self._next_slot = self._slot_before
        return True

    def start_evenly(self, now: float, rate: float) -> None:
        """Give up the slots that were missed: what was not sent during a sleep is lost, not made up for."""
        self._next_slot = max(self._next_slot, now + 1.0 / rate)


class Limiter:
    """Permits for one `kind` of call. Times are seconds of the `clock`, by default the running event loop's.

    qps       the calls per second that the job allows: a whole number, or a fraction below 1
    adaptive  the calls per second that the vendor accepts
    sent      the permits given so far
    accepted  the calls so far that were not refused for speed

    `say` is called with a line for people when no call is accepted for long, and when one is again. `leased` is asked
    at every permit how many calls per second are ours of the account's `qps` right now; 0 lets none go. Where it is
    None all are ours. `before` is the limiter of the same calls in the run before, in this process: what it sent
    counts, and what it learned holds.
    """

    def __init__(
        self,
        qps: float,
        *,
        kind: Kind | None = None,
        say: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = loop_time,
        leased: Callable[[], float] | None = None,
        before: "Limiter | None" = None,
    ) -> None:
        self.qps = qps
        self.adaptive: AdaptiveRate = AdaptiveRate(qps) if before is None else before.adaptive
        self.sent = 0
        self.accepted = 0
        self._drought = Drought(qps, kind=kind, say=say)
        self._margin: Margin = Margin(qps) if before is None else before._margin
        self._pace: Pace = Pace(qps, self._margin) if before is None else before._pace
        self._ours: float = qps if before is None else before._ours
        self._leased = leased
        self._clock = clock
        self._turn = anyio.Lock(fast_acquire=True)
        self._paused_until = float("-inf")
        self._closed = False

    def __repr__(self) -> str:
        return f"Limiter(qps={self.qps:g}, rate={self.rate:.3g}, sent={self.sent})"

    @property
    def rate(self) -> float:
        """The calls per second right now; 0 while none of the account's are ours."""
        return self.adaptive.rate * self._part

    @property
    def ours(self) -> float:
        """The calls per second that are ours of the account's right now; all of them where none are leased."""
        self._may_go()
        return self.qps if self._leased is None else self._ours

    @property
    def _part(self) -> float:
        """The part of the account's calls per second that is ours."""
        return 1.0 if self._leased is None else self._ours / self.qps

    @property
    def accepts_nothing(self) -> bool:
        """Return whether calls have been refused for their speed for long, and none was accepted."""
        return self._drought.active

    @property
    def starves(self) -> bool:
        """Return whether calls wait in vain: none is accepted, and one of them was tried not long ago or soon will be.

        Without that last part, a wait of which all callers are gone would never end.
        """
        if not self._drought.begun:  # most often, and every call asks
            return False
        now = self._clock()
        tried_at = max(self._drought.refused_at, self._paused_until)
        return (
            self._drought.lasts_s(now) >= STARVES_S
            and now - tried_at <= 2.0 / (self.rate or self.adaptive.rate) + MAX_ANSWER_S
        )

    @property
    def paused_s(self) -> float:
        """Seconds until calls may go again; 0 when nothing is paused. While none are ours, until we look again."""
        paused_s = max(0.0, self._paused_until - self._clock()) if self._paused_until > 0 else 0.0
        return paused_s if self._may_go() else max(paused_s, NAP_S)

    async def permit(self) -> float:
        """Wait for the turn of one call; return the time of its permit. Raises Stopping once the limiter is closed."""
        if (at := self.permit_nowait()) is not None:
            return at
        async with self._turn:  # first come, first served
            while (at := self._take()) is None:
                wait_s = self._wait_s(self._clock()) if self._part else NAP_S
                await anyio.sleep(min(wait_s, NAP_S))
            return at

    def permit_nowait(self) -> float | None:
        """Take the turn of one call if it has come and nobody waits; None otherwise. Raises Stopping as `permit`."""
        return None if self._turn.locked() else self._take()

    def give_back(self, at: float) -> None:
        """Take back the permit of this time, whose call did not go; one that another followed stays spent."""
        if self._pace.take_back(at):
            self.sent -= 1

    def _take(self) -> float | None:
        self._refuse_if_closed()
        if not self._may_go():
            return None
        now = self._clock()
        if self._wait_s(now) > 0:
            return None
        self._pace.sent(now, min(self.adaptive.rate, self._margin.rate) * self._part)
        self.sent += 1
        return now

    def _may_go(self) -> bool:
        """Take over what is ours of the account's calls per second; return whether that is any."""
        if self._leased is None:
            return True
        ours = self._leased()
        if ours != self._ours:
            self._ours = ours
            if ours > 0:
                self._pace.limit(ours)
        return ours > 0

    def _wait_s(self, now: float) -> float:
        return max(self._pace.wait_s(now), self._paused_until - now)

    async def until_unpaused(self) -> None:
        """Wait while calls are paused, without taking a turn. Raises Stopping once the limiter is closed."""
        self._refuse_if_closed()
        while (wait_s := self.paused_s) > 0:
            await anyio.sleep(min(wait_s, NAP_S))
            self._refuse_if_closed()

    def pause(self, seconds: float) -> None:
        """Let no call go for so long; of several pauses the one that ends last counts."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def slow_down(self, reason: str = "", *, retry_after_s: float | None = None) -> None:
        """Go slower after refusals for speed, and pause for as long as the vendor asks, up to 5 minutes.

        A lone refusal at the full rate only widens the margin. Raises RunPaused as `AdaptiveRate.refused` does.
        """
        if retry_after_s:
            self.pause(min(retry_after_s, LONGEST_RETRY_AFTER_S))
        now = self._clock()
        if self._margin.refused(now, full_rate=self.adaptive.rate >= self.qps):
            self._pace.start_evenly(now, self._margin.rate * (self._part or 1.0))
        else:
            self.adaptive.refused(now)
        self._drought.refused(now, reason, rate=self.adaptive.rate)

    def answered(self) -> None:
        """Count a call that was not refused for speed."""
        self.accepted += 1
        self._drought.accepted()
        now = self._clock()
        self._margin.accepted(now)
        self.adaptive.accepted(now)

    def start_evenly(self) -> None:
        """Send no burst after a sleep of the machine or a step of its clock."""
        now = self._clock()
        self._pace.start_evenly(now, self.rate or self.adaptive.rate)
        self.adaptive.start_evenly(now)

    def close(self) -> None:
        """Give no more permits: everyone who waits gets Stopping, unsent."""
        self._closed = True

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Stopping("the run is ending")
