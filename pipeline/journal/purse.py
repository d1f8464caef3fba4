"""The money of a run directory: what its calls cost, and the cap that they never exceed.

It follows the leases of calls (journal/budget.py): a lease is noted on disk together with what it costs, in one change,
before any of its calls may be sent. So the cap holds over kills, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pipeline.journal.sql.money import Priced, cost_of
from pipeline.models import Kind


@dataclass(frozen=True, slots=True)
class Tariff:
    """The money of a job: the price of each kind of call, and the most that all may cost; None without a cap."""

    prices: Mapping[Kind, Decimal] = field(default_factory=dict)
    cap: Decimal | None = None
    currency: str = ""


class Purse:
    """The money of one run. When it began, `calls` were reserved by kind, and `noted` says what they cost.

    prices  of the kinds that have one
    """

    def __init__(self, tariff: Tariff, noted: Mapping[Kind, Priced], calls: Mapping[Kind, int]) -> None:
        self.prices = tariff.prices
        self.tariff = tariff
        self._begun = dict(calls)
        self._before = cost_of(noted, tariff.prices, calls)
        self._spent_before = sum(self._before.values(), Decimal(0))

    def by_kind(self, calls: Mapping[Kind, int]) -> dict[Kind, Decimal]:
        """Return what so many calls of each kind cost over the life of the run directory, kind by kind."""
        new = {kind: (calls[kind] - self._begun[kind]) * price for kind, price in self.prices.items()}
        return {
            kind: self._before.get(kind, Decimal(0)) + new.get(kind, Decimal(0)) for kind in {**self._before, **new}
        }

    def cost(self, calls: Mapping[Kind, int]) -> Decimal:
        """Return what so many calls of each kind cost over the life of the run directory."""
        cost = self._spent_before
        for kind, price in self.prices.items():
            cost += (calls[kind] - self._begun[kind]) * price
        return cost

    def priced(self, kind: Kind, calls: int) -> list[tuple[Kind, Priced]]:
        """Return what is noted when so many calls of a kind are reserved; nothing for a kind without a price."""
        price = self.prices.get(kind)
        if price is None:
            return []
        return [(kind, Priced(calls, self._before[kind] + (calls - self._begun[kind]) * price))]

    def affords(self, kind: Kind, reserved: Mapping[Kind, int]) -> int | None:
        """Return how many more calls of a kind the cap allows beside those that are reserved; None without a limit."""
        price = self.prices.get(kind)
        if self.tariff.cap is None or not price:
            return None
        return max(0, int((self.tariff.cap - self.cost(reserved)) // price))
