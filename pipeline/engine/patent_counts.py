"""Counts of patents whose details were asked for, over the life of a run directory, and the budget they are kept by."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from pipeline.errors import Code, RunPaused

META = "details"  # in the journal's meta: the counts, as JSON
WAITING = "details_pending"  # in the journal's meta: "1" while a record may say that its details are pending


class PatentCounts(msgspec.Struct):
    """Counts over the life of a run directory. Not frozen: they count up.

    reserved    patents that count against the budget: found, or asked for in a call that may have been billed
    calls       calls that were sent
    asked       patents in them, one in a call that was sent again twice
    found       patents that the vendor had, which it bills each
    from_cache  patents that were known already
    """

    reserved: int = 0
    calls: int = 0
    asked: int = 0
    found: int = 0
    from_cache: int = 0


class Notes(Protocol):
    """The remembered values of the journal."""

    async def recall(self, keys: Sequence[str]) -> dict[str, str | None]: ...
    async def remember(self, values: Mapping[str, str]) -> None: ...


def counts_in(meta: str | None) -> PatentCounts:
    """Read the counts that the journal remembers."""
    return msgspec.json.decode(meta, type=PatentCounts) if meta else PatentCounts()


class PatentBudget:
    """The patents that may be paid for, at most `cap` over the life of a run directory; None is no limit."""

    def __init__(self, notes: Notes, counts: PatentCounts, cap: int | None) -> None:
        self.counts = counts
        self.cap = cap
        self._notes = notes

    @property
    def left(self) -> int | None:
        """Return how many more may be asked for; None without a limit."""
        return None if self.cap is None else max(0, self.cap - self.counts.reserved)

    async def reserve(self, patents: int) -> None:
        """Make so many patents count, durably, before they are asked for. Raises RunPaused when there are too few."""
        left = self.left
        if left is not None and left < patents:
            raise self.used_up()
        self.counts.reserved += patents
        await self.note()

    def give_back(self, patents: int) -> None:
        """Let so many patents count no more: they were not found, or provably not asked for."""
        self.counts.reserved -= patents

    def used_up(self) -> RunPaused:
        """Make the error of a budget that is used up."""
        raise_it = "raise it in the job file, or with --set api.budget.details=N"
        what = f"the budget is used up: api.budget.details is {self.cap or 0:,} patents; {raise_it}"
        return RunPaused(what, code=Code.BUDGET, sent=False)

    async def note(self) -> None:
        """Make the counts durable."""
        await self._notes.remember({META: msgspec.json.encode(self.counts).decode()})
