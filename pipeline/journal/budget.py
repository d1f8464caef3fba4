"""Paid calls counted against budgets (ports.Budget), in leases: many are noted as spent at once, and given out singly.

Calls that were leased and not given out before a kill stay spent, for nobody knows that they were not sent; so a lease
is as small as the pace allows, and smaller near a budget's end. The next one is asked for while the last one still
holds.
"""

import asyncio
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.errors import Code, RunPaused
from pipeline.journal.sql import calls
from pipeline.journal.storage import Disk
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
    coming       set while a lease is on its way to the disk; becomes the new `reserved`
    """

    reserved: int
    used: int
    sent: int
    size: int = FIRST_LEASE
    renewed_at: float = field(default=float("-inf"), repr=False)
    coming: asyncio.Future[int] | None = field(default=None, repr=False)


class Budget:
    """The leases of all kinds, for one run. `calls` are the leases, `units_before` the units billed by earlier runs."""

    def __init__(self, writer: Writer, budgets: Mapping[Kind, int | None]) -> None:
        """Allow at most so many calls per kind over the run directory's life; None is no limit."""
        self.calls: dict[Kind, Lease] = {}
        self.units_before = 0.0
        self._writer = writer
        self._budgets = budgets

    async def begin(self) -> None:
        """Start from what earlier runs reserved and sent: calls that they did not give back count as spent."""

        def read(disk: Disk) -> tuple[dict[Kind, tuple[int, int]], str | None]:
            return calls.counted(disk.db), disk.db.meta("units")

        known, units = await self._writer.do(read)
        self.calls = {kind: Lease(reserved, reserved, sent) for kind, (reserved, sent) in known.items()}
        self.units_before = float(units or 0)

    def left(self, kind: Kind) -> int | None:
        """Return how many more calls may be given out; None without a limit."""
        cap = self._budgets.get(kind)
        return None if cap is None else cap - self.calls[kind].used

    def used_up(self, kind: Kind) -> RunPaused:
        """Make the error of a budget that is used up."""
        return RunPaused(used_up(kind, self._budgets.get(kind)), code=Code.BUDGET, sent=False)

    def release(self, kind: Kind) -> None:
        """Give back a reserved call that was not sent."""
        self.calls[kind].used -= 1

    def sent(self, kind: Kind) -> None:
        """Count a call that is about to leave. Raises JournalError once writing has failed: nothing is sent then."""
        self._writer.check()
        self.calls[kind].sent += 1

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
        counts = {kind: (lease.used, lease.sent) for kind, lease in self.calls.items()}

        def write(disk: Disk) -> None:
            for kind, (reserved, sent) in counts.items():
                calls.note(disk.db, kind, reserved=reserved, sent=sent)

        self._writer.post(write)

    async def reserve(self, kind: Kind) -> None:
        """Make one call count against its budget, durably. Raises RunPaused when the budget is used up."""
        lease = self.calls[kind]
        while lease.used >= lease.reserved:
            if lease.coming is None and not self._renew(kind, lease):
                raise self.used_up(kind)
            coming = lease.coming
            assert coming is not None
            await asyncio.shield(coming)  # others wait for it too: a cancelled caller must not cancel it for them
            _renewed(lease, coming)
        lease.used += 1
        if lease.coming is None and lease.reserved - lease.used < lease.size // 2:
            self._renew(kind, lease)

    def _renew(self, kind: Kind, lease: Lease) -> bool:
        """Ask for the next lease; return False if the budget allows none."""
        now = asyncio.get_running_loop().time()
        lasted_s, lease.renewed_at = now - lease.renewed_at, now
        if lasted_s < _FAST_S:
            lease.size = min(MAX_LEASE, lease.size * 2)
        elif lasted_s > _SLOW_S:
            lease.size = max(FIRST_LEASE, lease.size // 2)
        cap = self._budgets.get(kind)
        if cap is not None:
            left = cap - lease.reserved
            if left <= 0:
                return False
            lease.size = max(1, min(lease.size, left // _SHARE_OF_THE_REST))
        reserved, sent = lease.reserved + lease.size, lease.sent

        def write(disk: Disk) -> int:
            calls.note(disk.db, kind, reserved=reserved, sent=sent)
            return reserved

        lease.coming = self._writer.submit(write)
        lease.coming.add_done_callback(functools.partial(_renewed, lease))
        return True


def used_up(kind: Kind, cap: int | None) -> str:
    """Say which budget is used up, and what to do."""
    key = f"api.budget.{kind.value}_calls"
    raise_it = f"raise it in the job file, or with --set {key}=N, then `pipeline run` goes on"
    return f"the budget is used up: {key} is {cap or 0:,}; {raise_it}"


def _renewed(lease: Lease, coming: asyncio.Future[int]) -> None:
    """Take over a lease that has come; the first of all who wait for it does."""
    if lease.coming is coming:
        lease.coming = None
        if coming.exception() is None:
            lease.reserved = coming.result()
