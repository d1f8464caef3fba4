"""The time in which an account accepts no call of one kind, and the lines that people read about it."""

import logging
from collections.abc import Callable

from pipeline.calls.rate import FLOOR, NOTHING_ACCEPTED_S
from pipeline.models import Kind
from pipeline.system.wording import duration

SAY_AFTER_S = 30.0
_ENDS: dict[Kind | None, str] = {Kind.DETAILS: "no more details are asked for in this run"}

_log = logging.getLogger(__name__)


class Drought:
    """The wait for the first accepted call since calls are refused for speed; it is said once it is long.

    active      True once the wait has been said, until a call is accepted
    refused_at  when a call was refused last, in seconds of the caller's clock
    """

    def __init__(self, qps: float, *, kind: Kind | None, say: Callable[[str], None]) -> None:
        self.active = False
        self.refused_at = float("-inf")
        self._floor = qps * FLOOR
        self._say = say
        self._ends = _ENDS.get(kind, "the run ends")
        self._since: float | None = None

    def refused(self, now: float, reason: str, *, rate: float) -> None:
        """Count a refusal; say that calls wait, and for how long at most, once none was accepted for half a minute."""
        self.refused_at = now
        if self._since is None:
            self._since = now
        if self.active or now - self._since < SAY_AFTER_S:
            return
        self.active = True
        _log.warning("account.accepts_nothing rate=%.3g floor=%.3g %s", rate, self._floor, reason)
        self._say(
            f"no call was accepted for {duration(now - self._since)}: {reason}; waiting, and trying {rate:.3g} calls a "
            f"second. After {NOTHING_ACCEPTED_S / 60:g} minutes at {self._floor:.3g} a second "
            f"{self._ends}; Ctrl-C ends the wait"
        )

    @property
    def begun(self) -> bool:
        """Return whether a call was refused, and none was accepted since."""
        return self._since is not None

    def lasts_s(self, now: float) -> float:
        """Return for how many seconds no call has been accepted, since the first refusal."""
        return 0.0 if self._since is None else now - self._since

    def accepted(self) -> None:
        """End the wait, and say so where it was said."""
        self._since = None
        if self.active:
            self.active = False
            _log.info("account.accepts_again")
            self._say("calls are accepted again; going on")
