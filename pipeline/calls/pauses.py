"""Gates before which calls wait while it makes no sense to send any: for some time, then until one probe succeeds.

The platform is full or the vendor is down (PauseGate), or the account's limit for the day is reached (QuotaGate).
"""

import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from datetime import time as TimeOfDay  # noqa: N812 - `time` is the clock here

import anyio

from pipeline.endpoints.consequences import Table, row_for
from pipeline.errors import CallError, Code, RunPaused
from pipeline.models import PAID, Kind

NAP_S = 30.0  # a caller that waits asks the clock again this often: a machine may sleep through the wait

FULL_S, LONGEST_FULL_S, GIVE_UP_S = 30.0, 600.0, 3600.0

PROBE_EVERY_S = 1800.0
LATE_S = 3600.0  # limits are lifted late: so long after a reset, a refusal still means the day before
DAY_S = 86_400.0

_log = logging.getLogger(__name__)


class Gate:
    """Open until it is shut; then closed to all calls but one probe at a time, until one of them goes through.

    `now` is the clock of every time here, in seconds. `closed` is True from `shut` until a probe went through.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.closed = False
        self._now = now
        self._opens_at = 0.0
        self._probing = False
        self._waiting: Counter[Kind] = Counter()

    @property
    def wait_s(self) -> float:
        """Seconds until a probe may go; 0 when the gate is open."""
        return max(0.0, self._opens_at - self._now()) if self.closed else 0.0

    async def turn(self, sleep: Callable[[float], Awaitable[None]], kind: Kind) -> bool:
        """Wait until a call of this kind may go. Return True if it is the probe; its caller must call `done` after it.

        `sleep(seconds)` waits; what it raises when the run ends is raised here.
        """
        if not self.closed:
            return False
        self._waiting[kind] += 1
        try:
            while self.closed:
                wait_s = self.wait_s
                if wait_s <= 0 and not self._probing and self._probes_best(kind):
                    self._probing = True
                    return True
                await sleep(min(max(wait_s, 1.0), NAP_S))
        finally:
            self._waiting[kind] -= 1
        return False

    def _probes_best(self, kind: Kind) -> bool:
        """Return whether no kind of call waits that would be a better probe."""
        return all(self._rank(kind) <= self._rank(other) for other, count in self._waiting.items() if count)

    def _rank(self, kind: Kind) -> tuple[bool, ...]:
        """Order kinds as probes, best first: a create may end in doubt, so it probes only where nothing else waits."""
        return (kind is Kind.CREATE,)

    def done(self) -> None:
        """Let another call be the probe, however the last one ended."""
        self._probing = False

    def shut(self, until: float) -> None:
        """Let no call go before `until`, and then one probe at a time."""
        self.closed, self._opens_at = True, until

    def answered(self, kind: Kind) -> bool:
        """Open the gate if the time for a probe has come, for a call went through; return whether this opened it."""
        opened = self.closed and self._now() >= self._opens_at
        if opened:
            self.closed = False
        return opened


class PauseGate(Gate):
    """Pauses all calls while the platform is full or the vendor is down. Times are the event loop's."""

    def __init__(self) -> None:
        super().__init__(anyio.current_time)
        self._full_s = FULL_S
        self._full_since: float | None = None

    def pause(self, seconds: float) -> None:
        """Pause all calls for so long, or for longer if they are paused for longer already."""
        if seconds:
            self.shut(max(self._opens_at, self._now() + seconds))

    def pause_all(self, error: CallError) -> None:
        """Pause all calls because the platform is full: for 30 s, doubled up to 10 minutes while it stays full.

        Raises RunPaused when it has accepted no call for an hour.
        """
        now = self._now()
        if self._full_since is None:
            self._full_since = now
        if now - self._full_since > GIVE_UP_S:
            raise RunPaused(f"no call was accepted for an hour: {error.message}", code=error.code)
        # Calls that were sent before the pause fail with the same error: they must not double it.
        if not self.closed or now >= self._opens_at:
            self.pause(self._full_s)
            self._full_s = min(LONGEST_FULL_S, self._full_s * 2)

    def answered(self, kind: Kind) -> bool:
        """Open the gate as every gate does, and start again at 30 s; a call from before a pause changes nothing."""
        opened = self.closed and super().answered(kind)
        if not self.closed:
            self._full_since, self._full_s = None, FULL_S
        return opened


def next_time(now: float, at: TimeOfDay) -> float:
    """Return the next moment (epoch seconds) at which a clock in the time zone of `at` shows `at`."""
    today = datetime.combine(datetime.fromtimestamp(now, at.tzinfo), at)
    return today.timestamp() if today.timestamp() > now else (today + timedelta(days=1)).timestamp()


class QuotaGate(Gate):
    """Pauses all calls once one was refused for the day: until `resets_at`, and then until a probe succeeds.

    Kinds of calls have limits of their own, so only a call of a kind that was refused shows that the limit is lifted.
    A refusal for the day shuts the gate
    - for 30 minutes, when a probe was refused, or within an hour after `resets_at` or after the gate was opened;
    - until the next `resets_at` otherwise.

    resets_at  the time of day at which the vendor lifts the limit; None: nobody waits, the refusal ends the run
    table      the run's error table, which says what is the day's limit
    now        the wall clock, in epoch seconds
    say        called with one line for people each time the gate is shut
    code       of what shut it last; "" before
    """

    def __init__(
        self,
        resets_at: TimeOfDay | None,
        *,
        table: Table,
        now: Callable[[], float] = time.time,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(now)
        self._resets_at = resets_at
        self._table = table
        self._say = say
        self.code = ""
        self._refused: set[Kind] = set()
        self._opened_at = float("-inf")

    @property
    def until(self) -> float | None:
        """The moment when a probe may go (epoch seconds); None while the gate is open."""
        return self._opens_at if self.closed else None

    @property
    def why(self) -> str:
        """The reason why calls wait, as far as it is known: the day's limit only where the vendor said so."""
        if self.code == Code.QUOTA:
            return "the vendor accepts no calls, as at the day's limit"
        return "the day's limit is reached"

    def waits_for(self, error: CallError) -> bool:
        """Return whether the error is the day's limit and the run is to wait for it."""
        if self._resets_at is None or not isinstance(error, RunPaused):
            return False
        row = row_for(error, self._table)
        return row is not None and row.daily

    def refused(self, kind: Kind, error: CallError) -> None:
        """Shut the gate, unless the call was sent before it was shut; `error` is one that the gate waits for."""
        assert self._resets_at is not None
        now = self._now()
        self._refused.add(kind)
        if not self.closed or now >= self._opens_at:
            reset = next_time(now, self._resets_at)
            soon = self.closed or now - max(self._opened_at, reset - DAY_S) <= LATE_S
            self._shut(min(now + PROBE_EVERY_S, reset) if soon else reset, error.code)

    def hear_refused(self, until: float, code: str) -> bool:
        """Shut the gate until then, for another machine met the day's limit; return whether this run waits for it."""
        if self._resets_at is None:
            return False
        if not self.closed or until > self._opens_at:
            self._refused.update(PAID)
            self._shut(until, code)
        return True

    def hear_lifted(self) -> None:
        """Open the gate, for a call of another machine went through."""
        if self.closed:
            self.shut(self._now())
            self._open()

    def answered(self, kind: Kind) -> bool:
        """Open the gate if the call that went through is of a kind that was refused, and it is time for a probe."""
        lifted = kind in self._refused and super().answered(kind)
        if lifted:
            self._open()
        return lifted

    def _open(self) -> None:
        self.closed = False
        self._refused.clear()
        self._opened_at = self._now()
        _log.info("quota.lifted")

    def _rank(self, kind: Kind) -> tuple[bool, ...]:
        """Order kinds as probes: those that were refused first, for the success of others shows nothing."""
        return (kind not in self._refused, *super()._rank(kind))

    def _shut(self, until: float, code: str) -> None:
        self.shut(until)
        self.code = code
        when = datetime.fromtimestamp(until).astimezone()
        _log.warning("quota.waiting until=%s code=%s", when.isoformat(timespec="seconds"), code)
        self._say(f"{self.why}; nothing is sent until {when:%Y-%m-%d %H:%M %Z}; Ctrl-C ends the wait")
