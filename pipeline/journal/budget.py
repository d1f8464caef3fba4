"""Calls counted against their budgets in leases: so many are noted as spent at once, and then given out one by one.

What was leased and not given out before a kill stays spent, for nobody knows that it was not sent; so a lease is as
small as the pace allows, and smaller near a budget's end. The next one is asked for while the last one still holds.
"""

import asyncio
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.errors import Code, RunPaused
from pipeline.journal.storage import Disk
from pipeline.journal.writer import Writer
from pipeline.models import Kind

FIRST_LEASE, MAX_LEASE = 16, 256
_SHARE_OF_THE_REST = 16
_FAST_S, _SLOW_S = 0.25, 2.0  # a lease that lasts less is doubled, one that lasts longer is halved


@dataclass(slots=True)
class Lease:
    """Calls of one kind: `reserved` durably, `used` of them given out, `sent` really gone."""

    reserved: int
    used: int
    sent: int
    size: int = FIRST_LEASE
    renewed_at: float = field(default=float("-inf"), repr=False)
    coming: asyncio.Future[int] | None = field(default=None, repr=False)


class Leases:
    """The leases of all kinds, of one run."""

    def __init__(self, writer: Writer, budgets: Mapping[Kind, int | None]) -> None:
        self.calls: dict[Kind, Lease] = {}
        self._writer = writer
        self._budgets = budgets

    def begin(self, calls: Mapping[Kind, tuple[int, int]]) -> None:
        """Start from what earlier runs reserved and sent: what they did not give back counts as spent."""
        self.calls = {kind: Lease(reserved, reserved, sent) for kind, (reserved, sent) in calls.items()}

    async def reserve(self, kind: Kind) -> None:
        """Make one call count against its budget, durably. Raises RunPaused when the budget is used up."""
        lease = self.calls[kind]
        while lease.used >= lease.reserved:
            if lease.coming is None and not self._renew(kind, lease):
                self._refuse(kind)
            coming = lease.coming
            assert coming is not None
            await asyncio.shield(coming)  # others wait for it too: who is cancelled must not cancel it
            _renewed(lease, coming)
        lease.used += 1
        if lease.coming is None and lease.reserved - lease.used < lease.size // 2:
            self._renew(kind, lease)

    def _renew(self, kind: Kind, lease: Lease) -> bool:
        """Ask for the next lease; False when the budget allows none."""
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

        def write(disk: Disk, _: object) -> int:
            disk.store.note_calls(kind, reserved=reserved, sent=sent)
            return reserved

        lease.coming = self._writer.submit(write)
        lease.coming.add_done_callback(functools.partial(_renewed, lease))
        return True

    def _refuse(self, kind: Kind) -> None:
        key, cap = f"api.budget.{kind.value}_calls", self._budgets[kind]
        raise_it = f"raise it in the job file, or with --set {key}=N, then `pipeline run` goes on"
        raise RunPaused(f"the budget is used up: {key} is {cap:,}; {raise_it}", code=Code.BUDGET, sent=False)


def _renewed(lease: Lease, coming: asyncio.Future[int]) -> None:
    """Take over what has come; whoever sees it first does."""
    if lease.coming is coming:
        lease.coming = None
        if coming.exception() is None:
            lease.reserved = coming.result()
