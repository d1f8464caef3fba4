"""The meter of the questions for one task's report (ports.Meter): counted, reserved, and limited in number."""

from pipeline.engine.promises import Promises
from pipeline.errors import Code, ItemRefused
from pipeline.models import Kind, Work
from pipeline.ports import Budget

MOST_POLLS = 100  # of one task in one run, repetitions included; the pace of questions makes fewer of them in 8 hours


class ReportMeter:
    """The meter of one task. `polls` counts the questions that were sent in this run."""

    def __init__(self, work: Work, budget: Budget, promises: Promises) -> None:
        self.polls = 0
        self._work = work
        self._budget = budget
        self._promises = promises
        self._reserved = False
        self._is_denied = False

    @property
    def may_ask(self) -> bool:
        """Return whether the task may be asked about once more in this run."""
        return self.polls < MOST_POLLS and not self._is_denied

    def deny(self) -> None:
        """Ask about the task no more in this run: the budget has no question for it."""
        self._is_denied = True

    async def before(self, kind: Kind, request_id: str) -> None:
        """Reserve a question. Raises RunPaused when the budget has no more, ItemRefused after too many."""
        if not self.may_ask:
            what = f"it was asked about {MOST_POLLS} times in this run"
            raise ItemRefused(what, code=Code.REPORT_PENDING, sent=False, request_id=request_id)
        if self._promises.claim(self._work.ord, kind) is not None:
            lacking = await self._promises.claim_shared(self._work.ord, kind)
            if lacking is not None:
                raise self._budget.used_up(lacking)
        await self._budget.reserve(kind)
        self._promises.counted(self._work.ord, kind)
        self._reserved = True

    def sent(self, kind: Kind) -> None:
        """Count a question that is about to leave. Raises JournalError once writing has failed."""
        self._budget.sent(kind)
        self._reserved = False
        self._work.calls.add(kind)
        self.polls += 1

    def not_executed(self, kind: Kind) -> None:
        """Give the reservation back if nothing was sent."""
        if self._reserved:
            self._budget.release(kind)
            self._promises.not_counted(self._work.ord, kind)
            self._reserved = False

    def refused(self) -> None:
        """Do nothing: every question that was sent counts."""

    def may_exist(self) -> None:
        """Do nothing: a question creates nothing."""
