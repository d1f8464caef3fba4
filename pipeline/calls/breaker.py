"""When to stop asking: the vendor seems down (Breaker), or speaks codes that nobody knows (UnknownCodes).

Both are pure counters: the caller reports outcomes, and does what they answer.
"""

from collections import deque

from pipeline.errors import Code, RunPaused, RunStopped

WINDOW, LEAST = 50, 20


OPEN_S, LONGEST_OPEN_S = 30.0, 300.0


GIVE_UP_S = 1800.0


class Breaker:
    """Opens when at least half of the last 50 calls (and at least 20) failed in passing; times in seconds.

    While it has never seen a success there is nothing to wait for: the run pauses at once. Otherwise calls rest for
    30 s, doubled up to 5 minutes while they keep failing, and after 30 minutes without a success the run pauses.
    """

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=WINDOW)
        self._ever = False
        self._open_s = 0.0
        self._rests_until = float("-inf")
        self._failing_since: float | None = None

    def succeeded(self) -> None:
        """Count a call that was answered."""
        self._recent.append(True)
        self._ever = True
        self._open_s = 0.0
        self._failing_since = None

    def failed(self, now: float, reason: str) -> float:
        """Count a call that failed in passing; return how long all calls should rest (0 = go on).

        Raises RunPaused when there is no point in going on now.
        """
        self._recent.append(False)
        if self._failing_since is None:
            self._failing_since = now
        failures = self._recent.count(False)
        half_open = self._open_s > 0
        if half_open and now < self._rests_until:
            return 0.0  # a call from before the rest: it says nothing new
        if not half_open and (failures < LEAST or failures * 2 < len(self._recent)):
            return 0.0
        if not self._ever or now - self._failing_since >= GIVE_UP_S:
            raise RunPaused(f"the vendor seems to be down: {reason}", code=Code.VENDOR_DOWN)
        self._recent.clear()
        self._open_s = min(LONGEST_OPEN_S, self._open_s * 2 or OPEN_S)
        self._rests_until = now + self._open_s
        return self._open_s


class UnknownCodes:
    """Stops a run that is answered with undocumented codes: five within a minute."""

    ROW, WITHIN_S = 5, 60.0

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=self.ROW)

    def seen(self, now: float, message: str) -> None:
        """Count an unknown code. Raises RunStopped at the fifth in 60 s."""
        self._times.append(now)
        if len(self._times) == self.ROW and now - self._times[0] <= self.WITHIN_S:
            raise RunStopped(
                f"{self.ROW} answers within a minute had codes that nobody knows: {message}. Ask the vendor, then say "
                "what follows from them in api.errors",
                code=Code.UNKNOWN_CODES,
            )
