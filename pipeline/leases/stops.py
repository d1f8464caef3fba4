"""Reasons why nobody with an account sends: whoever meets one tells it, and all others hear it within a renewal.

What concerns the account is in one series, what concerns one job's calls alone in another one. A reason counts
for those who were running when it was told: who starts later finds out by a call of its own. It ends with its time, or
when somebody's call is accepted and lifts it.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from pipeline.errors import RunPaused, RunStopped
from pipeline.leases.series import Series
from pipeline.leases.store import Store, StoreUnknown, name_of

LASTS_S = 900.0  # a reason that names no time; who runs on after that would have heard of it long ago


class StopReason(NamedTuple):
    """A reason to send nothing.

    why    one line for people
    code   the vendor's code, or one of ours
    until  when it ends by itself, in epoch seconds
    final  whether a person must look first; otherwise it is enough to run again later
    daily  whether it is the account's limit for the day, which some runs wait for
    """

    why: str
    code: str
    until: float
    final: bool = False
    daily: bool = False

    def error(self) -> RunPaused | RunStopped:
        """Make the error with which a run ends that hears of it."""
        error = RunStopped if self.final else RunPaused
        return error(f"another process with this account met it: {self.why}", code=self.code, sent=False)


class Stops:
    """The reasons of one account or, with `job`, of one job of it. `look` is for the thread that watches the lease.

    lifted  the number of the entry with which another machine lifted a reason last; 0 before
    """

    def __init__(
        self, store: Store, account: str, job: str | None = None, *, wall: Callable[[], float] = time.time
    ) -> None:
        room = f"stop/{name_of(account)}"
        self._series = Series(store, f"{room}/all" if job is None else f"{room}/job/{name_of(job)}")
        self.lifted = 0
        self._wall = wall
        self._one_step = threading.Lock()
        self._from: int | None = None  # entries up to this number were there when we began
        self._ours: set[int] = set()  # the numbers of what we told or lifted ourselves
        self._found: StopReason | None = None

    def look(self) -> None:
        """Look what was told. At the first time nothing of it counts."""
        with self._one_step, suppress(StoreUnknown):
            self._settle()
            self._series.look()
            self._take_in()

    def stopped(self) -> StopReason | None:
        """Return the reason that another machine told, as it was seen last, while it lasts; it costs nothing to ask."""
        found = self._found
        return found if found is not None and self._wall() < found.until else None

    def tell(self, stop: StopReason) -> bool:
        """Tell all others; return whether it is in the store. What is told already for as long is not told again."""
        with self._one_step:
            try:
                self._settle()
                self._series.look()
                self._take_in()
                while not self._is_told(stop):
                    if self._put(stop._asdict()):
                        break
                self._take_in()
            except StoreUnknown:
                return False
            return True

    def lift(self) -> bool:
        """Let all others know that calls are accepted again; return whether they can know it, or knew it already."""
        with self._one_step:
            try:
                self._settle()
                self._series.look()
                while self._told() is not None and not self._put({"lifted": True}):
                    pass
                self._take_in()
            except StoreUnknown:
                return False
            return True

    def _put(self, body: Mapping[str, object]) -> bool:
        """Put an entry of ours; where another one was first, look what it says."""
        ours = self._series.put(body)
        if ours:
            self._ours.add(self._series.number)
        else:
            self._series.look()
        return ours

    def _settle(self) -> None:
        if self._series.is_doubtful and self._series.settle():
            self._ours.add(self._series.number)

    def _take_in(self) -> None:
        """Let the newest entry count, unless it is older than we are, or our own."""
        number = self._series.number
        if self._from is None:
            self._from = number - (number in self._ours)
        if number <= self._from or number in self._ours:
            self._found = None
            return
        self._found = self._told()
        if "lifted" in self._series.body:
            self.lifted = number

    def _told(self) -> StopReason | None:
        """Return the reason that the newest entry tells, while it lasts."""
        body = self._series.body
        if "why" not in body:
            return None
        until = body.get("until")
        stop = StopReason(
            str(body["why"]),
            str(body.get("code", "")),
            float(until) if isinstance(until, int | float) else 0.0,
            body.get("final") is True,
            body.get("daily") is True,
        )
        return stop if self._wall() < stop.until else None

    def _is_told(self, stop: StopReason) -> bool:
        told = self._told()
        return told is not None and (told.code, told.final) == (stop.code, stop.final) and told.until >= stop.until
