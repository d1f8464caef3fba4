"""Calls promised to the items under way, out of the budgets: each can be taken all the way before it is begun.

So nothing is uploaded that the budgets will not search, and nothing is searched that they will not make a task of.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal

import anyio

from pipeline.engine.cost import Allowance, calls_for, one_page, paid_for
from pipeline.errors import MONEY
from pipeline.models import Hits, Kind, Work
from pipeline.ports import Budget


class Promises:
    """The promises of one run. A repetition of a call takes only what is promised to nobody."""

    def __init__(
        self,
        budget: Budget,
        *,
        tasks: bool,
        reports: bool = False,
        now: Callable[[], float] = time.time,
        pages: Callable[[Hits | None], int] = one_page,
    ) -> None:
        self._allowance = Allowance(budget.left, budget if budget.prices else None)
        self._budget = budget
        self._held: dict[int, list[Kind]] = {}  # by item under way, what it has not called yet
        self._tasks = tasks
        self._reports = reports
        self._awaiting: set[int] = set()  # items that hold a question for their reports alone
        self._now = now
        self._pages = pages
        self._given_back: anyio.Event | None = None  # that an item waits for
        self._no_questions: str | None = None  # what lacked when the last one was asked; None while they are asked

    def needed(self, work: Work) -> tuple[Kind, ...]:
        """List the calls that an item needs to be taken all the way."""
        paid = paid_for(work, now=self._now(), pages=self._pages)
        return calls_for(paid, tasks=self._tasks, reports=self._reports)

    async def make(self, work: Work) -> str | None:
        """Promise an item all that it needs, as soon as items under way give enough back.

        Return the kind of call of which there is too little, or MONEY, if none of them can give any back.
        """
        needed = self.needed(work)
        while (lacking := self._lacks(needed)) is not None:
            given_back = self._given_back = self._given_back or anyio.Event()  # also set while we draw
            waits = self._may_give_back(lacking)
            if lacking == self._no_questions:
                return lacking
            if await self._secure(lacking, needed, force=not waits):
                continue
            if not waits:
                return lacking
            await given_back.wait()
        self._allowance.take(needed)
        self._held[work.ord] = list(needed)
        return None

    def _lacks(self, needed: Sequence[Kind]) -> str | None:
        if self._no_questions is not None and Kind.QUERY in needed:
            return self._no_questions
        return self._allowance.lacks(needed)

    async def _secure(self, lacking: str, needed: Sequence[Kind], *, force: bool) -> bool:
        """Draw what lacks from budgets that are shared with other machines; return whether anything was drawn."""
        return await self._budget.secure(lacking, self._allowance.taken + Counter(needed), force=force)

    def money(self) -> Decimal:
        """Return what the promised calls cost; 0 where no cap of money asks for it."""
        prices = self._budget.prices
        return sum((prices.get(kind, Decimal(0)) * count for kind, count in self._allowance.taken.items()), Decimal(0))

    async def claim_shared(self, ord_: int, kind: Kind) -> str | None:
        """Claim a call as `claim` does, and draw it where budgets are shared with other machines."""
        while (lacking := self.claim(ord_, kind)) is not None:
            if not await self._secure(lacking, (kind,), force=True):
                return lacking
        return None

    def claim(self, ord_: int, kind: Kind) -> str | None:
        """Claim a call for an item: the promised one, or one that is promised to nobody; return what lacks for it."""
        held = self._held.setdefault(ord_, [])
        if kind not in held:
            if (lacking := self._allowance.lacks((kind,))) is not None:
                return lacking
            self._allowance.take((kind,))
            held.append(kind)
        return None

    def counted(self, ord_: int, kind: Kind) -> None:
        """Note that the claimed call counts against its budget now."""
        self._held[ord_].remove(kind)
        self._allowance.give_back((kind,))

    def not_counted(self, ord_: int, kind: Kind) -> None:
        """Note that the call was not sent and counts no more: the item may still make it."""
        self._held[ord_].append(kind)
        self._allowance.take((kind,))

    def _may_give_back(self, lacking: str) -> bool:
        """Return whether any item under way may still give back what is lacking: awaited reports hold questions."""
        of_questions = lacking in (Kind.QUERY, MONEY)
        return bool(self._held) if of_questions else len(self._held) > len(self._awaiting)

    def await_report(self, ord_: int) -> None:
        """Give back what an item did not need but for the question for its report, while any is asked."""
        if self._no_questions is not None:
            self.end(ord_)
            return
        held = self._held.pop(ord_, [])
        kept: list[Kind] = [kind for kind in held if kind is Kind.QUERY]
        self._held[ord_] = held
        self.end(ord_)
        self._held[ord_] = kept
        self._allowance.take(kept)
        self._awaiting.add(ord_)

    def await_earlier(self, ord_: int) -> None:
        """Promise a question to a task of an earlier run, while there is one."""
        self._awaiting.add(ord_)
        self._held[ord_] = []
        self.claim(ord_, Kind.QUERY)

    def end_questions(self) -> None:
        """Promise no more questions: none is asked in this run, so no task is begun that waits for its report."""
        self._no_questions = self._allowance.lacks((Kind.QUERY,)) or Kind.QUERY
        self._wake()

    def end(self, ord_: int) -> None:
        """Give back what an item did not need."""
        self._awaiting.discard(ord_)
        self._allowance.give_back(tuple(self._held.pop(ord_, ())))
        self._wake()

    def _wake(self) -> None:
        if self._given_back is not None:
            self._given_back.set()
            self._given_back = None
