"""The budget of details: patents, not calls, for each that is found is billed; and the counts of what was asked."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol

import msgspec

from pipeline.errors import MONEY, RunPaused
from pipeline.models import Kind
from pipeline.ports import Budget
from pipeline.results.patent_counts import META, PatentCounts

_KIND = Kind.DETAILS


class Notes(Protocol):
    """The remembered values of the journal."""

    async def remember(self, values: Mapping[str, str]) -> None: ...


class PatentBudget:
    """The patents that may be paid for in the life of a run directory: each takes a place in the journal's budget."""

    def __init__(self, budget: Budget, notes: Notes, counts: PatentCounts) -> None:
        self.counts = counts
        self.promised: Callable[[], Decimal] = Decimal  # the money that is promised to items under way
        self._budget = budget
        self._notes = notes

    @property
    def left(self) -> int | None:
        """Return how many more may be asked for, by their own cap and by that of money; None without a limit."""
        return self._budget.affords(_KIND, promised=self.promised())

    async def reserve(self, patents: int) -> None:
        """Make so many patents count, durably, before they are asked for. Raises RunPaused when there are too few."""
        await self._budget.reserve(_KIND, patents)

    def release(self, patents: int) -> None:
        """Give back what was reserved and not sent."""
        self._budget.release(_KIND, patents)

    def sent(self, patents: int) -> None:
        """Count patents that are about to be asked for. Raises JournalError once writing has failed."""
        self._budget.sent(_KIND, patents)
        self.counts.calls += 1
        self.counts.asked += patents

    def refund(self, patents: int) -> None:
        """Give back what was asked for and is not billed: it was not found, or the call was refused."""
        self._budget.refund(_KIND, patents)

    def used_up(self) -> RunPaused:
        """Make the error of the budget that is used up: that of patents, or of money."""
        of_patents, of_both = self._budget.left(_KIND), self.left
        money = of_both is not None and (of_patents is None or of_both < of_patents)
        return self._budget.used_up(MONEY if money else _KIND)

    async def note(self) -> None:
        """Make the counts durable."""
        await self._notes.remember({META: msgspec.json.encode(self.counts).decode()})
