"""Waiting for the account's daily limit to be lifted (`run --wait-quota`), with one probe at a time afterwards."""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from datetime import time as TimeOfDay  # noqa: N812 - `time` is the clock here

from pipeline.calls.pauses import Gate
from pipeline.errors import CallError, Code, RunPaused
from pipeline.models import Kind

PROBE_EVERY_S = 1800.0
LATE_S = 3600.0  # resets come late: so long after one, a refusal still means the day before
DAY_S = 86_400.0
_DAILY = ("67200007", Code.QUOTA)  # the vendor's code, and the limiter's word for the same

_log = logging.getLogger(__name__)


def next_time(now: float, at: TimeOfDay) -> float:
    """The next moment (epoch seconds) at which a clock in `at`'s own offset shows `at`."""
    today = datetime.combine(datetime.fromtimestamp(now, at.tzinfo), at)
    return today.timestamp() if today.timestamp() > now else (today + timedelta(days=1)).timestamp()


class QuotaGate(Gate):
    """Where calls wait after one was refused for the day: until `resets_at`, and then for one probe to succeed.

    Only a call of a kind that was refused says that the day's limit is lifted: kinds have limits of their own. A probe
    that is refused for the day, too, closes the gate for 30 minutes more, and so does a refusal within an hour after
    `resets_at` or after the gate was opened. With `resets_at` None nobody waits. `now` is the wall clock in epoch
    seconds; `say` is told, in one line, until when the run waits.
    """

    def __init__(
        self,
        resets_at: TimeOfDay | None,
        *,
        now: Callable[[], float] = time.time,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(now)
        self._resets_at = resets_at
        self._say = say
        self._refused: set[Kind] = set()
        self._opened_at = float("-inf")

    @property
    def until(self) -> float | None:
        """When a probe may go (epoch seconds); None while the gate is open."""
        return self._opens_at if self.closed else None

    def waits_for(self, error: CallError, kind: Kind) -> bool:
        """Close the gate if `error` is the day's limit and the run is to wait for it; say whether it is."""
        if self._resets_at is None or not isinstance(error, RunPaused) or error.code not in _DAILY:
            return False
        now = self._now()
        self._refused.add(kind)
        if not self.closed or now >= self._opens_at:  # else the call left before the gate closed
            reset = next_time(now, self._resets_at)
            probed = self.closed or now - max(self._opened_at, reset - DAY_S) <= LATE_S
            self._close(min(now + PROBE_EVERY_S, reset) if probed else reset, error)
        return True

    def passed(self, kind: Kind) -> bool:
        """Open the gate: a call of a kind that was refused went through since the limit should be lifted."""
        lifted = kind in self._refused and super().passed(kind)
        if lifted:
            self._refused.clear()
            self._opened_at = self._now()
            _log.info("quota.lifted")
        return lifted

    def _rank(self, kind: Kind) -> tuple[bool, ...]:
        """Other kinds probe only where none waits that was refused: their success says nothing."""
        return (kind not in self._refused, *super()._rank(kind))

    def _close(self, until: float, error: CallError) -> None:
        self.shut(until)
        when = datetime.fromtimestamp(until).astimezone()
        _log.warning("quota.waiting until=%s code=%s", when.isoformat(timespec="seconds"), error.code)
        self._say(f"the day's limit is reached; nothing is sent until {when:%Y-%m-%d %H:%M %Z}; Ctrl-C ends the wait")
