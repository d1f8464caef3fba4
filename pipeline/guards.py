"""When to stop asking: the vendor seems down (Breaker), or every picture is refused for one reason (Systemic).

Both are pure counters: the caller reports outcomes, and does what they answer.
"""

from collections import Counter, deque

from pipeline.errors import RunPaused, RunStopped

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
            raise RunPaused(f"the vendor seems to be down: {reason}", code="vendor_down")
        self._recent.clear()
        self._open_s = min(LONGEST_OPEN_S, self._open_s * 2 or OPEN_S)
        self._rests_until = now + self._open_s
        return self._open_s


class Systemic:
    """Stops a run whose pictures are all refused for the same reason: the job is wrong, not the pictures.

    That is 20 items in a row with one code, or half of the first 50 (and at least 10).
    """

    FIRST, SHARE, ROW = 50, 10, 20

    def __init__(self) -> None:
        self._codes: Counter[str] = Counter()
        self._seen = 0
        self._row: tuple[str, int] = ("", 0)

    def passed(self) -> None:
        """Count an item that was not refused."""
        self._seen += 1
        self._row = ("", 0)

    def refused(self, code: str, message: str) -> None:
        """Count a refused item. Raises RunStopped when it is systemic."""
        self._seen += 1
        self._codes[code] += 1
        self._row = (code, self._row[1] + 1 if self._row[0] == code else 1)
        early = self._seen <= self.FIRST and self._codes[code] >= self.SHARE and self._codes[code] * 2 >= self._seen
        if early or self._row[1] >= self.ROW:
            count = self._codes[code]
            raise RunStopped(
                f"{count} of the first {self._seen} pictures were refused alike: {message}. Check the job file",
                code=code,
            )
