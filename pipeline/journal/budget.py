"""Paid calls counted against budgets (ports.Budget), in leases: many are noted as spent at once, and given out singly.

Calls that were leased and not given out before a kill stay spent, for nobody knows that they were not sent; so a lease
is as small as the pace allows, and smaller near a budget's end. The next one is asked for while the last one still
holds. All kinds share one cap of money (journal/purse.py): where it has too little for a lease, what other kinds
leased and did not give out yet is taken back for it first.
"""

import asyncio
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pipeline.errors import MONEY, Code, RunPaused
from pipeline.journal.purse import Purse, Tariff
from pipeline.journal.sql import calls, money
from pipeline.journal.storage import Disk
from pipeline.journal.used_up import money_used_up, used_up
from pipeline.journal.writer import Writer
from pipeline.models import Kind

FIRST_LEASE, MAX_LEASE = 16, 256
_SHARE_OF_THE_REST = 16
_FAST_S, _SLOW_S = 0.25, 2.0  # a lease that lasts less is doubled, one that lasts longer is halved


@dataclass(slots=True)
class Lease:
    """Calls of one kind, over the run directory's life.

    reserved     noted on disk as spent
    used         of them, given out
    sent         of them, gone to the vendor
    size         of the next lease, in calls
    renewed_at   the loop's time when the last lease was asked for
    asked        the `reserved` that the disk was last asked to note
    coming       set while a lease is on its way to the disk; becomes the new `reserved`
    """

    reserved: int
    used: int
    sent: int
    size: int = FIRST_LEASE
    renewed_at: float = field(default=float("-inf"), repr=False)
    asked: int = 0
    coming: asyncio.Future[int] | None = field(default=None, repr=False)


class Budget:
    """The leases of all kinds, for one run.

    calls         the leases
    units_before  the units billed by earlier runs
    purse         the money that the calls cost; None where the job names no prices
    """

    def __init__(
        self,
        writer: Writer,
        budgets: Mapping[Kind, int | None],
        tariff: Tariff | None = None,
        *,
        beside: Mapping[Kind, int] | None = None,
    ) -> None:
        """Allow at most so many calls per kind over the run directory's life, None is no limit; and so much money.

        Calls that were made `beside` count under the same caps: for a run those of collecting its reports, and the
        other way round.
        """
        self.calls: dict[Kind, Lease] = {}
        self.units_before = 0.0
        self.purse: Purse | None = None
        self._writer = writer
        self._budgets = budgets
        self._beside = beside or {}
        self._tariff = tariff

    async def begin(self) -> None:
        """Start from what earlier runs reserved and sent: calls that they did not give back count as spent."""

        def read(disk: Disk) -> tuple[dict[Kind, tuple[int, int]], str | None, dict[Kind, money.Priced]]:
            if Kind.DETAILS in self._budgets:
                calls.add(disk.db, Kind.DETAILS)
            return calls.counted(disk.db), disk.db.meta("units"), money.noted(disk.db)

        known, units, paid = await self._writer.do(read)
        self.calls = {kind: Lease(reserved, reserved, sent, asked=reserved) for kind, (reserved, sent) in known.items()}
        self.units_before = float(units or 0)
        if self._tariff is not None and self._tariff.prices:
            self.purse = Purse(self._tariff, paid, {kind: lease.reserved for kind, lease in self.calls.items()})

    def left(self, kind: Kind) -> int | None:
        """Return how many more calls may be given out; None without a limit."""
        cap = self._budgets.get(kind)
        return None if cap is None else cap - self._beside.get(kind, 0) - self.calls[kind].used

    def costs(self) -> dict[Kind, Decimal]:
        """Return what the calls that were given out cost, by kind; of those kinds that have a price."""
        return {} if self.purse is None else self.purse.by_kind(self._used())

    @property
    def prices(self) -> Mapping[Kind, Decimal]:
        """The price of each kind of call; empty where no cap of money asks for it."""
        return {} if self.purse is None else self.purse.capped

    def money_left(self) -> Decimal:
        """Return how much more may be spent on calls that are given out; only where `prices` are asked for."""
        assert self.purse is not None
        return self.purse.left(self._used())

    def affords(self, kind: Kind, *, promised: Decimal) -> int | None:
        """Return how many more calls their own cap and that of money allow beside a `promised` amount; None = any."""
        money = None if self.purse is None else self.purse.affords(kind, self._used(), promised=promised)
        return _fewer(self.left(kind), money)

    async def secure(self, lacking: str, promised: Mapping[Kind, int], *, force: bool) -> bool:
        """Draw nothing: this process spends the budgets alone."""
        return False

    async def end_sharing(self) -> None:
        """Give nothing back to others: there are none."""

    def used_up(self, lacking: str) -> RunPaused:
        """Make the error of a budget that is used up: that of a kind of call, or MONEY."""
        if lacking == MONEY:
            assert self.purse is not None
            text = money_used_up(self.purse.tariff, self.money_left())
        else:
            text = used_up(Kind(lacking), self._budgets.get(Kind(lacking)))
        return RunPaused(text, code=Code.BUDGET, sent=False)

    def release(self, kind: Kind, count: int = 1) -> None:
        """Give back reserved calls that were not sent."""
        self.calls[kind].used -= count

    def refund(self, kind: Kind, count: int = 1) -> None:
        """Give back what was sent and is not billed: patents that were not found, say."""
        self.release(kind, count)
        self.calls[kind].sent -= count

    def sent(self, kind: Kind, count: int = 1) -> None:
        """Count calls that are about to leave. Raises JournalError once writing has failed: nothing is sent then."""
        self._writer.check()
        self.calls[kind].sent += count

    def note_calls(self, units: float) -> None:
        """Let the counts of sent calls, and the units billed in this run, follow to disk with the next group."""
        billed = repr(self.units_before + units)
        counts = {kind: lease.sent for kind, lease in self.calls.items()}

        def write(disk: Disk) -> None:
            for kind, sent in counts.items():
                calls.note_sent(disk.db, kind, sent)  # not `reserved`: a larger lease may be on its way already
            disk.db.set_meta("units", billed)

        self._writer.post(write)

    def give_back(self) -> None:
        """Note with the next group, at the end of the run, that leased calls that were not given out are not spent."""
        self._writer.post(self._noting(self._used()))

    async def reserve(self, kind: Kind, count: int = 1) -> None:
        """Make calls count against their budget, durably. Raises RunPaused when it has too few; none counts then."""
        lease = self.calls[kind]
        while lease.used + count > lease.reserved:
            waiting = lease if lease.coming is not None or self._renew(kind, lease) else self._other_coming()
            if waiting is None:
                left = self.left(kind)
                raise self.used_up(MONEY if left is None or left >= count else kind)
            coming = waiting.coming
            assert coming is not None
            await asyncio.shield(coming)  # others wait for it too: a cancelled caller must not cancel it for them
            _renewed(waiting, coming)
        lease.used += count
        if lease.coming is None and lease.reserved - lease.used < lease.size // 2:
            self._renew(kind, lease, early=True)

    def _other_coming(self) -> Lease | None:
        """Return a lease of any kind that is on its way, and may hold money that is lacking; None if there is none."""
        return None if self.purse is None else next((one for one in self.calls.values() if one.coming), None)

    def _renew(self, kind: Kind, lease: Lease, *, early: bool = False) -> bool:
        """Ask for the next lease, `early` while the last one still holds; return False if the budget allows none."""
        now = asyncio.get_running_loop().time()
        lasted_s, lease.renewed_at = now - lease.renewed_at, now
        if lasted_s < _FAST_S:
            lease.size = min(MAX_LEASE, lease.size * 2)
        elif lasted_s > _SLOW_S:
            lease.size = max(FIRST_LEASE, lease.size // 2)
        left, there = self._room(kind, lease)
        taken: dict[Kind, int] = {}
        if self.purse is not None and not early and _none(left, there) and not _none(self._capped(kind, lease)):
            taken = self._take_from_others(kind)  # there are calls, so it is money that lacks
            left, there = self._room(kind, lease)
        if _none(left, there):
            if taken:  # it was not enough, and is noted all the same
                self._writer.post(self._noting(taken))
            return False
        if left is not None:
            lease.size = max(1, min(lease.size, left // _SHARE_OF_THE_REST))
        lease.asked = reserved = lease.reserved + (lease.size if there is None else min(lease.size, there))
        lease.coming = self._writer.submit(self._noting(taken | {kind: reserved}, kind))
        lease.coming.add_done_callback(functools.partial(_renewed, lease))
        return True

    def _used(self) -> dict[Kind, int]:
        return {kind: lease.used for kind, lease in self.calls.items()}

    def _asked(self) -> dict[Kind, int]:
        return {kind: lease.asked for kind, lease in self.calls.items()}

    def _capped(self, kind: Kind, lease: Lease) -> int | None:
        """Return how many more calls the cap of a kind lets us lease; None without a cap."""
        cap = self._budgets.get(kind)
        return None if cap is None else cap - self._beside.get(kind, 0) - lease.reserved

    def _room(self, kind: Kind, lease: Lease) -> tuple[int | None, int | None]:
        """Return how many more calls may be leased by the caps, and of what is there for us; None without a limit."""
        left = self._capped(kind, lease)
        if self.purse is not None and not _none(left):
            left = _fewer(left, self.purse.affords(kind, self._asked()))
        return left, None

    def _take_from_others(self, kind: Kind) -> dict[Kind, int]:
        """Take back what other kinds leased and did not give out; return what is reserved of each from now on."""
        taken = {}
        for other, lease in self.calls.items():
            if other is not kind and lease.coming is None and lease.used < lease.reserved:
                taken[other] = lease.reserved = lease.asked = lease.used
        return taken

    def _noting(self, reserved: Mapping[Kind, int], kind: Kind | None = None) -> Callable[[Disk], int]:
        """Return the change that notes so many reserved calls, and what they cost; it returns those of `kind`."""
        counts = [(one, count, self.calls[one].sent) for one, count in reserved.items()]
        more = self._noted_with(reserved)
        amounts = (
            [] if self.purse is None else [row for one in reserved for row in self.purse.priced(one, reserved[one])]
        )

        def write(disk: Disk) -> int:
            for one, count, sent in counts:
                calls.note(disk.db, one, reserved=count, sent=sent)
            money.note(disk.db, amounts)
            for key, value in more.items():
                disk.db.set_meta(key, value)
            return 0 if kind is None else reserved[kind]

        return write

    def _noted_with(self, reserved: Mapping[Kind, int]) -> Mapping[str, str]:
        """Return what the journal is to remember together with so many reserved calls."""
        return {}


def _none(*limits: int | None) -> bool:
    """Return whether any of the limits allows nothing."""
    return any(limit is not None and limit <= 0 for limit in limits)


def _fewer(one: int | None, other: int | None) -> int | None:
    """Return the smaller limit; None where there is none."""
    return min((limit for limit in (one, other) if limit is not None), default=None)


def _renewed(lease: Lease, coming: asyncio.Future[int]) -> None:
    """Take over a lease that has come; the first of all who wait for it does."""
    if lease.coming is coming:
        lease.coming = None
        if coming.exception() is None:
            lease.reserved = coming.result()
