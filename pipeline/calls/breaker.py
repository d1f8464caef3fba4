"""Reasons to stop asking: the vendor seems down (Breaker), or answers with codes that nobody knows (UnknownCodes).

Both are pure counters: the caller reports outcomes and the time, and does what the return value or the error says.
"""

from collections import deque

from pipeline.errors import Code, RunPaused, RunStopped

LAST, LEAST = 50, 20  # the calls that are looked at, and how many of them must have failed at least
OPEN_S, LONGEST_OPEN_S = 30.0, 300.0
GIVE_UP_S = 1800.0

MANY, WITHIN_S = 5, 60.0


class Breaker:
    """Opens when at least half of the last 50 calls, and at least 20 of them, failed with errors that may pass.

    The first of these that holds counts (times in seconds):

    1. No call ever succeeded, or none for 30 minutes: there is nothing to wait for, the run pauses.
    2. The breaker is closed: it opens, and all calls pause for 30 s.
    3. It is open and the pause is over, so a probe failed: the pause is doubled, up to 5 minutes.

    One success closes it.
    """

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=LAST)
        self._ever_succeeded = False
        self._open_s = 0.0  # length of the pause it is open for; 0 while it is closed
        self._paused_until = float("-inf")
        self._failing_since: float | None = None

    def answered(self) -> None:
        """Count a call that was answered."""
        self._recent.append(True)
        self._ever_succeeded = True
        self._open_s = 0.0
        self._failing_since = None

    def failed(self, now: float, reason: str) -> float:
        """Count a call that failed with an error that may pass; return for how long to pause all calls, 0 for not.

        Raises RunPaused when it makes no sense to go on now.
        """
        self._recent.append(False)
        if self._failing_since is None:
            self._failing_since = now
        if self._open_s:
            if now < self._paused_until:
                return 0.0  # the call was sent before the pause: its failure says nothing new
        else:
            failures = self._recent.count(False)
            if failures < LEAST or failures * 2 < len(self._recent):
                return 0.0
        if not self._ever_succeeded or now - self._failing_since >= GIVE_UP_S:
            raise RunPaused(f"the vendor seems to be down: {reason}", code=Code.VENDOR_DOWN)
        self._recent.clear()
        self._open_s = min(LONGEST_OPEN_S, self._open_s * 2 or OPEN_S)
        self._paused_until = now + self._open_s
        return self._open_s


class UnknownCodes:
    """Stops a run that is answered with undocumented codes: five within a minute."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=MANY)

    def seen(self, now: float, message: str) -> None:
        """Count an unknown code. Raises RunStopped at the fifth in 60 s."""
        self._times.append(now)
        if len(self._times) == MANY and now - self._times[0] <= WITHIN_S:
            raise RunStopped(
                f"{MANY} answers within a minute had codes that nobody knows: {message}. Ask the vendor, then say "
                "what follows from them in api.errors",
                code=Code.UNKNOWN_CODES,
            )
