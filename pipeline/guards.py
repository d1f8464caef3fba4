"""When to stop asking: the vendor seems down (Breaker), every picture is refused for one reason (Systemic), too many
creates end in doubt (Doubts), or the vendor speaks codes that nobody knows (UnknownCodes).

All are pure counters: the caller reports outcomes, and does what they answer.
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
                f"{count} of the first {self._seen} pictures were refused alike: {message}. "
                "Check the job file; once it is right, start a new run (`run --new`)",
                code=code,
            )


class Doubts:
    """Stops a run whose creates end in doubt: each may be paid, and a person has to look after each.

    That is 20 of the last 100 creates of this process, and at least a quarter of them; or five answers in a row that
    say success and name no task, for then the vendor's contract is broken.
    """

    LAST, LEAST, SHARE = 100, 20, 0.25
    NO_TASK_ID, ROW = "no_task_id", 5

    def __init__(self) -> None:
        self._doubtful: deque[bool] = deque(maxlen=self.LAST)
        self._nameless = 0

    def known(self) -> None:
        """Count a create whose outcome is known: a task, or a refusal."""
        self._doubtful.append(False)
        self._nameless = 0

    def doubtful(self, code: str) -> None:
        """Count a create that ended in doubt. Raises RunStopped when there are too many."""
        self._doubtful.append(True)
        self._nameless += code == self.NO_TASK_ID
        if self._nameless >= self.ROW:
            raise RunStopped(
                f"{self._nameless} creates in a row were called a success without a task id; they are in doubt. "
                "Ask the vendor before you go on",
                code=code,
            )
        count, seen = sum(self._doubtful), len(self._doubtful)
        if count >= self.LEAST and count >= self.SHARE * seen:
            raise RunStopped(
                f"{count} of the last {seen} creates are in doubt (the last one: {code}), and each may be paid; look "
                "at open.jsonl and the vendor's console before you go on",
                code="max_in_doubt",
            )


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
                code="unknown_codes",
            )
