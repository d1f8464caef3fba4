"""Reasons to stop that machines of one account tell each other: what this run meets, and what it hears of.

Told to all of the account is what the vendor says of the account: its balance, its limit for the day. Told to those
with the same job is what would befall each of them: a permission that its endpoint lacks, pictures that are all refused
alike, too many creates in doubt. What may be wrong with this machine alone, its credentials or its network, is told to
nobody.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

import anyio

from pipeline.calls.account import Share
from pipeline.calls.pauses import QuotaGate
from pipeline.endpoints.consequences import Table, row_for
from pipeline.errors import Code, PipelineError, RefreshToken, RunPaused, RunStopped
from pipeline.leases.stops import LASTS_S, StopReason, Stops
from pipeline.run.leased import LeasedShare
from pipeline.system.clock import Clocks

EVERY_S = 0.25
_OF_THE_JOB = frozenset({Code.MAX_IN_DOUBT, Code.TASK_TWICE, Code.UNKNOWN_CODES})


class SharedStops(NamedTuple):
    """The two series of reasons: of the account, and of the job."""

    account: Stops
    job: Stops

    def look(self) -> None:
        """Look what was told; for the thread that watches the lease."""
        for stops in self:
            stops.look()


class Run(Protocol):
    """The engine of a run, as far as it is stopped here."""

    ended_by: PipelineError | None

    def stop_calls(self, reason: PipelineError) -> None: ...


class StopExchange:
    """The reasons to stop that a run and others tell each other: theirs end this run, its own are told to them."""

    def __init__(
        self, told: SharedStops, run: Run, quota: QuotaGate, *, table: Table, clocks: Clocks | None = None
    ) -> None:
        self._told = told
        self._run = run
        self._quota = quota
        self._table = table
        self._clocks = clocks or Clocks()
        self._heard: StopReason | None = None  # what ended this run, or shut its gate
        self._waits_until: float | None = None  # as we told it, or heard it
        self._lifted = 0  # as we heard it
        self._has_told = False

    async def run(self) -> None:
        """Notice what is told and what is to be told, until cancelled."""
        while True:
            await self.notice()
            await anyio.sleep(EVERY_S)

    async def notice(self) -> None:
        """Stop as another machine did, and tell the others what this run met."""
        heard = self._told.account.stopped() or self._told.job.stopped()
        if heard != self._heard:
            self._hear(heard)
        if self._told.account.lifted != self._lifted:
            self._lifted = self._told.account.lifted
            self._quota.hear_lifted()
            self._waits_until = self._quota.until
        await self._tell_of_quota()
        if not self._has_told and (found := self._found()) is not None:
            self._has_told = True
            stops, stop = found
            await anyio.to_thread.run_sync(stops.tell, stop)

    def _hear(self, heard: StopReason | None) -> None:
        self._heard = heard
        if heard is None:  # a gate opens by a probe of its own, unless somebody lifts the reason
            return
        if heard.daily and self._quota.hear_refused(heard.until, heard.code):
            self._waits_until = self._quota.until
        elif self._run.ended_by is None:
            self._run.stop_calls(heard.error())

    async def _tell_of_quota(self) -> None:
        """Tell that calls wait for the day's limit, or that it is lifted."""
        until = self._quota.until
        if until == self._waits_until:
            return
        self._waits_until = until
        if until is None:
            await anyio.to_thread.run_sync(self._told.account.lift)
        else:
            stop = StopReason(self._quota.why, self._quota.code, until, daily=True)
            await anyio.to_thread.run_sync(self._told.account.tell, stop)

    def _found(self) -> tuple[Stops, StopReason] | None:
        """Return the reason that ended this run and concerns others, and where to tell it."""
        error = self._run.ended_by
        if self._heard is not None or not isinstance(error, RunPaused | RunStopped):
            return None
        row, until = row_for(error, self._table), self._clocks.wall() + LASTS_S
        if isinstance(error, RunPaused):
            if row is None or row.repeatable.error is not RunPaused:
                return None
            return self._told.account, StopReason(error.message, error.code, until, daily=row.daily)
        of_credentials = row is not None and row.repeatable.error is RefreshToken
        if of_credentials or not (error.code.isdecimal() or error.code in _OF_THE_JOB):
            return None
        return self._told.job, StopReason(error.message, error.code, until, final=True)


@asynccontextmanager
async def in_touch(share: Share, name: str, run: Run, quota: QuotaGate, table: Table) -> AsyncIterator[None]:
    """Hear what others tell, and tell them what this run meets, while the block lasts; do nothing where it is alone.

    `name` is that of the run directory, which all machines give the job.
    """
    if not isinstance(share, LeasedShare):
        yield
        return
    lease = share.account.lease
    told = SharedStops(Stops(lease.store, share.digest), Stops(lease.store, share.digest, share.budgets or name))
    await anyio.to_thread.run_sync(told.look)
    lease.after_looks(told.look)
    stops = StopExchange(told, run, quota, table=table)
    try:
        async with anyio.create_task_group() as beside:
            beside.start_soon(stops.run)
            yield
            await stops.notice()
            beside.cancel_scope.cancel()
    finally:
        lease.without(told.look)
