"""Reasons to stop that machines tell each other: each acts as if it had met them itself, and no run hears its own."""

from collections.abc import Callable
from datetime import UTC, time
from typing import Any

import pytest

from pipeline.calls.pauses import QuotaGate
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.errors import Code, PipelineError, RunPaused, RunStopped, StopAsked
from pipeline.leases.stops import Stops
from pipeline.models import Kind
from pipeline.run.stop_exchange import SharedStops, StopExchange
from pipeline.system.clock import Clocks
from tests.support.shared_store import MemoryStore

pytestmark = pytest.mark.anyio

DAY_FULL = RunPaused("the account's limit for today is reached", code="67200007")
NOON = 1_795_262_400.0


class World:
    """A store and one clock for all."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.now = NOON
        self.clocks = Clocks(lambda: self.now, lambda: self.now)

    def machine(self, job: str = "autumn", *, waits: bool = False) -> "Machine":
        return Machine(self, job, waits=waits)


class Machine:
    """A run on one machine, as far as it is stopped."""

    def __init__(self, world: World, job: str, *, waits: bool) -> None:
        self.ended_by: PipelineError | None = None
        wall: Callable[[], float] = lambda: world.now  # noqa: E731
        self.quota = QuotaGate(time(0, 0, tzinfo=UTC) if waits else None, table=TABLE, now=wall)
        self.told = SharedStops(Stops(world.store, "acme", wall=wall), Stops(world.store, "acme", job, wall=wall))
        self.told.look()
        self._stops = StopExchange(self.told, self, self.quota, table=TABLE, clocks=world.clocks)

    def stop_calls(self, reason: PipelineError) -> None:
        self.ended_by = reason

    async def beat(self) -> "Machine":
        """Look at the store, and notice."""
        self.told.look()
        await self._stops.notice()
        return self


async def after(one: Machine, *others: Machine, error: PipelineError) -> list[Any]:
    """Let one machine's run end with an error; return how the others' end."""
    one.ended_by = error
    await one.beat()
    return [(await other.beat()).ended_by for other in others]


async def test_a_balance_that_is_used_up_ends_the_runs_of_all_with_its_code() -> None:
    world = World()
    one, other, job = world.machine(), world.machine(), world.machine("spring")
    used_up = RunPaused("the account's balance is used up", code="67200005")
    for ended in await after(one, other, job, error=used_up):
        assert isinstance(ended, RunPaused)
        assert (ended.code, ended.exit_code, ended.sent) == ("67200005", 4, False)
    assert one.ended_by is used_up


async def test_what_would_befall_one_job_ends_those_with_the_same_job_alone() -> None:
    world = World()
    one, other, job = world.machine(), world.machine(), world.machine("spring")
    alike = RunStopped("20 of the first 20 pictures were refused alike", code="68300004")
    ended, spring = await after(one, other, job, error=alike)
    assert isinstance(ended, RunStopped)
    assert (ended.exit_code, spring) == (3, None)


@pytest.mark.parametrize(
    "error",
    [
        RunStopped("the vendor refused the credentials", code=Code.CREDENTIALS),
        RunStopped("no access token", code="67200003"),
        RunPaused("the vendor is down", code=Code.VENDOR_DOWN),
        RunPaused("the budget is used up", code=Code.BUDGET),
        StopAsked("the program ends it"),
    ],
)
async def test_what_may_be_wrong_with_one_machine_alone_is_told_to_nobody(error: PipelineError) -> None:
    world = World()
    assert await after(world.machine(), world.machine(), error=error) == [None]
    assert not world.store.entries


async def test_the_days_limit_ends_runs_and_those_that_wait_for_it_wait_as_long() -> None:
    world = World()
    one, ends, waits = world.machine(waits=True), world.machine(), world.machine(waits=True)
    one.quota.refused(Kind.SEARCH, DAY_FULL)
    for machine in (one, ends, waits):
        await machine.beat()
    assert isinstance(ends.ended_by, RunPaused)
    assert ends.ended_by.code == "67200007"
    assert waits.ended_by is None
    assert waits.quota.until == one.quota.until
    assert waits.quota.closed


async def test_whose_call_is_accepted_first_lets_all_others_go_on() -> None:
    world = World()
    one, other = world.machine(waits=True), world.machine(waits=True)
    one.quota.refused(Kind.SEARCH, DAY_FULL)
    await one.beat()
    await other.beat()
    until = one.quota.until
    assert until is not None
    other.quota.shut(world.now)  # its probe may go earlier
    await other.beat()
    assert other.quota.answered(Kind.SEARCH)
    await other.beat()
    await one.beat()
    assert not one.quota.closed
    assert not other.quota.closed


async def test_at_the_end_of_the_wait_each_probes_by_itself() -> None:
    world = World()
    one, other = world.machine(waits=True), world.machine(waits=True)
    one.quota.refused(Kind.SEARCH, DAY_FULL)
    await one.beat()
    await other.beat()
    assert other.quota.until is not None
    world.now = other.quota.until + 1
    await other.beat()
    assert other.quota.closed, "one call goes first"
    assert other.quota.wait_s == 0


async def test_a_run_that_is_started_later_is_not_stopped_by_it() -> None:
    world = World()
    await after(world.machine(), error=RunPaused("no balance", code="67200005"))
    assert (await world.machine().beat()).ended_by is None


async def test_what_a_run_heard_it_does_not_tell_anew() -> None:
    world = World()
    one, other = world.machine(), world.machine()
    await after(one, other, error=RunPaused("no balance", code="67200005"))
    for _ in range(3):
        await other.beat()
    assert [len(entries) for entries in world.store.entries.values()] == [1]
