"""The gate before which calls wait while the vendor cannot be reached: what was not sent fails no item."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import anyio

from pipeline.calls.pauses import Gate
from pipeline.errors import CallError, Code, RunPaused, TryAgain
from pipeline.models import Kind
from pipeline.system.wording import duration

PATIENCE_S = 600.0
LEAST_S, LONGEST_S = 1.0, 15.0  # between two probes: half of the time that it lasts already

_log = logging.getLogger(__name__)


class ReachGate(Gate):
    """Lets one call at a time look whether the vendor can be reached again. Times are the event loop's.

    patience_s  how long to wait for that before the run ends
    say         called with one line for people when the wait begins, and when it is over
    """

    def __init__(self, patience_s: float = PATIENCE_S, *, say: Callable[[str], None] = lambda _: None) -> None:
        super().__init__(anyio.current_time)
        self._patience_s = patience_s
        self._say = say
        self._since: float | None = None
        self._said = False

    def waits_for(self, error: CallError) -> bool:
        """Return whether the error says that the vendor was not reached; a job may give it another consequence."""
        return isinstance(error, TryAgain) and error.code == error.condition == "not_sent" and not error.sent

    def refused(self, error: CallError) -> None:
        """Shut the gate for an error that it waits for: at first for no time at all, a new connection may be good.

        Raises RunPaused when nobody was reached for as long as our patience lasts.
        """
        now = self._now()
        first = self._since is None
        since = self._since = now if self._since is None else self._since
        left_s = since + self._patience_s - now
        if left_s <= 0:
            raise RunPaused(
                f"{error.message}, for {duration(self._patience_s)} (api.patience_s); check api.base_url and the "
                "network, and run again",
                code=Code.VENDOR_DOWN,
                sent=False,
            )
        if first:
            self.shut(now)
            return
        self.shut(now + min(LONGEST_S, max(LEAST_S, (now - since) / 2), left_s))
        if not self._said:
            self._said = True
            until = datetime.now().astimezone() + timedelta(seconds=left_s)
            _log.warning("vendor.unreachable until=%s %s", until.isoformat(timespec="seconds"), error.message)
            self._say(
                f"{error.message}; nothing is sent, and it is tried again until {until:%H:%M:%S %Z}. If the address is "
                "wrong: Ctrl-C, and correct api.base_url"
            )

    def answered(self, kind: Kind) -> bool:
        """Open the gate if the time for a probe has come: the vendor was reached."""
        opened = self.closed and super().answered(kind)
        if opened:
            self._since = None
            if self._said:
                self._said = False
                self._say("the vendor can be reached again; going on")
        return opened
