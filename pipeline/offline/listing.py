"""Rows and pictures that a plan names: those that cannot be used, and those that are another item's picture."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby, islice

import msgspec

from pipeline.engine.cost import Paid, calls_for
from pipeline.journal.sql import items, twins
from pipeline.journal.sql.database import Database
from pipeline.models import PAID, Item
from pipeline.sources.check import fault_of
from pipeline.system.fault import Fault, Gathered
from pipeline.views import local_views

_KINDS = 200  # kinds of faults
_NAMED = 100  # pictures with copies, and copies of each


class BadRows(msgspec.Struct, frozen=True):
    """A kind of fault in what a job lists; equal faults, whose values and places alone differ, are one kind."""

    what: str  # what is wrong, of the first of them
    where: str  # its place
    fix: str  # a line that can be typed; empty where only a person can know
    times: int  # how many rows or pictures have it

    def __str__(self) -> str:
        return str(Fault(self.what, where=self.where, fix=self.fix, times=self.times))


class Copies(msgspec.Struct, frozen=True):
    """Items with the picture of one item, which is searched once for all of them."""

    item: str
    source: str
    copies: list[str]  # `id (source)` of the others, the first hundred
    times: int  # how many they are


def bad_rows(db: Database, unusable: Iterable[Item], *, generation: int) -> list[BadRows]:
    """List the kinds of faults of rows that became failed items, and of pictures that cannot be sent."""
    gathered = Gathered()
    for item in (*items.unreadable(db, generation=generation), *unusable):
        gathered.add(fault_of(item))
    kinds = gathered.lines(_KINDS)
    return [BadRows(one.what, one.where, one.fix, one.times) for one in kinds if isinstance(one, Fault)]


def copies_in(db: Database, *, generation: int) -> list[Copies]:
    """List the pictures that several items show, the first hundred."""
    groups = groupby(twins.shared(db, generation=generation), key=lambda one: (one.first_id, one.first_source))
    return [_copies(first, source, others) for (first, source), others in islice(groups, _NAMED)]


def _copies(first: str, source: str, others: Iterator[twins.Shared]) -> Copies:
    named = [f"{one.id} ({one.source})" for one in islice(others, _NAMED)]
    return Copies(first, source, named, len(named) + sum(1 for _ in others))


def _unpaid(one: twins.Shared, pages: int) -> Paid:
    uploads = len(local_views(one.source))
    return Paid(one.local, uploaded=False, searched=False, pages=pages - 1, uploads=uploads)


def saved_calls(db: Database, *, generation: int, tasks: bool, pages: int = 1) -> dict[str, int]:
    """Count the calls that items which wait for another one's outcome would need by themselves, at most."""
    saved = Counter(
        kind
        for one in twins.shared(db, generation=generation)
        if one.waits
        for kind in calls_for(_unpaid(one, pages), tasks=tasks)
    )
    return {kind.value: saved[kind] for kind in PAID}
