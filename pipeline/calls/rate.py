"""The calls per second that an account accepts, as its refusals for speed show them."""

from collections import deque

from pipeline.errors import Code, RunPaused

SLOWER, MUCH_SLOWER, FASTER = 0.9, 0.5, 0.05
ONE_REFUSAL_S = 1.0  # refusals within it are one: the calls were sent before the first of them was heard
OFTEN, OFTEN_S = 3, 5.0
RECOVER_EVERY_S = 10.0
FLOOR = 1 / 20
NOTHING_ACCEPTED_S = 900.0  # at the lowest rate; then it is the quota, not the speed


class AdaptiveRate:
    """Calls per second that the vendor accepts: less after a refusal for speed, slowly back up after (AIMD).

    `rate` is the calls per second now, at most `qps` and at least a twentieth of it. Times are seconds of the caller's
    clock.
    """

    def __init__(self, qps: float) -> None:
        self.rate = qps
        self._qps = qps
        self._refused_rate = qps  # the last one that was too fast
        self._refused_at = float("-inf")
        self._slowed_at: deque[float] = deque(maxlen=OFTEN)
        self._clean_since = float("-inf")
        self._at_floor_since: float | None = None

    def refused(self, now: float) -> None:
        """Go slower: x0.9 at most once a second, x0.5 at the third time within 5 s.

        Raises RunPaused when the lowest rate was refused for 15 minutes: it is the quota, not the speed. Refusals that
        are so far apart, because the vendor asks to wait, count as those of the lowest rate.
        """
        self._clean_since = now
        gap_s = now - self._refused_at
        if gap_s < ONE_REFUSAL_S:
            return
        self._refused_at, self._refused_rate = now, self.rate
        self._slowed_at.append(now)
        often = len(self._slowed_at) == OFTEN and now - self._slowed_at[0] <= OFTEN_S
        if often:
            self._slowed_at.clear()
        floor = self._qps * FLOOR
        self.rate = max(floor, self.rate * (MUCH_SLOWER if often else SLOWER))
        apart = max(1.0 / floor, RECOVER_EVERY_S) <= gap_s < float("inf")
        if self.rate > floor and not apart:
            self._at_floor_since = None
            return
        if self._at_floor_since is None:
            self._at_floor_since = now
        if now - self._at_floor_since > NOTHING_ACCEPTED_S:
            raise RunPaused(
                f"the account accepts no calls at this rate: {floor:.3g} a second was tried for "
                f"{NOTHING_ACCEPTED_S / 60:g} minutes, and none was accepted. Its quota seems used up, or others use "
                "it: look at the vendor's console, set api.qps to what it allows, and run again",
                code=Code.QUOTA,
            )

    def accepted(self, now: float) -> None:
        """Count a call that was not refused for speed; the rate recovers by 5 % of `qps` every 10 clean seconds.

        Above the last refused rate it grows by 5 % of itself instead: with an account that allows a tenth of `qps`, a
        step of 5 % of `qps` overshoots by half (measured: 3.6 % refused, and 89 % of the account's calls used).
        """
        self._at_floor_since = None
        if self.rate < self._qps and now - self._clean_since >= RECOVER_EVERY_S:
            self._clean_since = now
            faster = self.rate + FASTER * self._qps
            self.rate = min(self._qps, faster if faster <= self._refused_rate else self.rate * (1 + FASTER))

    def start_evenly(self, now: float) -> None:
        """Count all seconds from now on: nothing was sent during a sleep that could have been refused."""
        self._clean_since = max(self._clean_since, now)
        if self._at_floor_since is not None:
            self._at_floor_since = now
