"""The money that calls were reserved with, per kind, over the life of a run directory: exact decimals as text."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from pipeline.journal.sql.database import Database
from pipeline.models import Kind


class Priced(NamedTuple):
    """The note of one kind: so many reserved calls cost `amount`; those that came without a price are not in."""

    calls: int
    amount: Decimal


def noted(db: Database) -> dict[Kind, Priced]:
    """Read what is noted; nothing in a journal of an earlier version that is only read."""
    if not db.has_table("money"):
        return {}
    rows = db.do("SELECT kind, calls, amount FROM money").fetchall()
    return {Kind(kind): Priced(int(calls), Decimal(amount)) for kind, calls, amount in rows}


def sound_rows(rows: Iterable[Sequence[object]]) -> Iterator[tuple[Kind, Priced]]:
    """Yield those of a damaged journal's rows that make sense; what is lost is reckoned at the prices of now."""
    for kind, calls, amount in rows:
        with contextlib.suppress(ValueError, ArithmeticError):
            priced = Priced(int(str(calls)), Decimal(str(amount)))
            if priced.calls >= 0 and priced.amount.is_finite() and priced.amount >= 0:
                yield Kind(str(kind)), priced


def note(db: Database, amounts: Iterable[tuple[Kind, Priced]]) -> None:
    """Set the amounts of these kinds."""
    for kind, (calls, amount) in amounts:
        db.do("INSERT OR REPLACE INTO money VALUES (?, ?, ?)", (kind.value, calls, format(amount, "f")))


def cost_of(
    known: Mapping[Kind, Priced], prices: Mapping[Kind, Decimal], reserved: Mapping[Kind, int]
) -> dict[Kind, Decimal]:
    """Return what all reserved calls of each kind cost; kinds that never had a price are left out.

    Calls that were reserved while the job named no price cost what it names now: a cap must count them, too.
    """
    costs: dict[Kind, Decimal] = {}
    for kind, count in reserved.items():
        calls, amount = known.get(kind, Priced(0, Decimal(0)))
        price = prices.get(kind)
        if price is not None:
            costs[kind] = amount + max(0, count - calls) * price
        elif amount:
            costs[kind] = amount
    return costs
