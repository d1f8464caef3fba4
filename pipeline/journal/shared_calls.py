"""Calls and money of budgets that several machines share, as the budget of one run directory asks for them.

What the journal notes as reserved is drawn in the store before; `DRAWN` remembers how much of it the store knows, so
that calls that were reserved without the store are added to its totals once, when the run directory begins to use it.
"""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from pipeline.errors import MONEY
from pipeline.journal.drawing import Drawing, SharedCaps
from pipeline.models import Kind, budget_name
from pipeline.system.structs import decode

DRAWN = "drawn"  # in the journal's meta: by name, what was reserved as the store knows it
_NOTHING, _ONE = Decimal(0), Decimal(1)


class SharedCalls:
    """The shared budgets of one run. A call with a price takes its part of the money, too."""

    def __init__(self, caps: SharedCaps) -> None:
        self._caps = caps
        self._drawing = Drawing(caps)
        self._noted: dict[str, str] = {}
        self.has_begun = False  # before, the store does not know what the journal has reserved

    async def begin(self, calls: Mapping[Kind, int], cost: Decimal | None, noted: str | None) -> str:
        """Begin with what the journal has reserved, and what it cost; `noted` is what it remembers as `DRAWN`.

        `cost` is None where the job names no prices. Return what it is to remember from now on.
        """
        self._noted = decode(noted or "{}", dict[str, str])
        known = {name: Decimal(amount) for name, amount in self._noted.items()}
        await self._drawing.begin(_amounts(calls, cost), known)
        self.has_begun = True
        return self.noting(calls, cost)

    def noting(self, calls: Mapping[Kind, int], cost: Decimal | None) -> str:
        """Return what the journal is to remember as `DRAWN` when so much is reserved."""
        self._noted |= {name: format(amount, "f") for name, amount in _amounts(calls, cost).items()}
        return msgspec.json.encode(self._noted).decode()

    async def claim(self, kind: Kind, count: int, price: Decimal) -> str | None:
        """Claim calls and what they cost; return what lacks for them, a kind of call or MONEY, if anything does."""
        if not await self._drawing.claim(budget_name(kind), count):
            return kind
        paid = False
        try:
            paid = not price or await self._drawing.claim(MONEY, count, price)
        finally:
            if not paid:
                self._drawing.release(budget_name(kind), Decimal(count))
        return None if paid else MONEY

    def release(self, kind: Kind, count: int, price: Decimal) -> None:
        """Give claimed calls up, and what they cost."""
        self._drawing.release(budget_name(kind), Decimal(count))
        if price:
            self._drawing.release(MONEY, count * price)

    async def secure(self, kind: Kind, wanted: int, *, force: bool) -> bool:
        """Draw calls until so many are drawn over the run directory's life; return whether any were."""
        return await self._drawing.secure(budget_name(kind), Decimal(wanted - self.drawn(kind)), force=force)

    async def secure_money(self, wanted: Decimal, price: Decimal, *, force: bool) -> bool:
        """Draw money, in steps of a price, until so much is drawn; return whether any was."""
        return await self._drawing.secure(MONEY, wanted - self.money, price, force=force)

    def drawn(self, kind: Kind) -> int:
        """Return how many calls of a kind are drawn over the life of the run directory."""
        return int(self._drawing.drawn[budget_name(kind)])

    @property
    def money(self) -> Decimal:
        """The money that is drawn over the life of the run directory."""
        return self._drawing.drawn[MONEY]

    def most(self, kind: Kind, *, fair: bool) -> int:
        """Return how many calls there may be over the run directory's life, by what was seen last, below a cap.

        `fair`: so many may be counted on, though others draw meanwhile.
        """
        name = budget_name(kind)
        more = self._caps.fair(name, unit=_ONE) if fair else self._caps.left(name)
        return self.drawn(kind) + int(more or 0)

    def most_money(self, price: Decimal, *, fair: bool) -> Decimal:
        """Return the same of money, which is spent in steps of a price."""
        return self.money + ((self._caps.fair(MONEY, unit=price) if fair else self._caps.left(MONEY)) or _NOTHING)

    async def give_back(self, used: Mapping[Kind, int], cost: Decimal | None) -> None:
        """Give back, at a clean end, what is not used."""
        await self._drawing.give_back(_amounts(used, cost))


def _amounts(calls: Mapping[Kind, int], cost: Decimal | None) -> dict[str, Decimal]:
    """Return the amounts of all budgets by their names."""
    amounts = {budget_name(kind): Decimal(count) for kind, count in calls.items()}
    return amounts if cost is None else {**amounts, MONEY: cost}
