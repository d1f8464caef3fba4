"""An account that accepts no calls at all: they wait and say so, then the run ends, and no item fails for it."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import anyio
import pytest

from pipeline.calls.client import Client
from pipeline.calls.drought import SAY_AFTER_S
from pipeline.calls.limiter import STARVES_S, Limiter
from pipeline.calls.rate import FLOOR, NOTHING_ACCEPTED_S
from pipeline.endpoints.interface import Refusal
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.errors import RunPaused, Stopping
from pipeline.models import PAID, Hits, Kind
from tests.support.lengths import only_short
from tests.support.virtual_time import VirtualTimeLoop, run_virtually
from tests.support.virtual_vendor import PlainMeter, Reply, VirtualVendor, create, outcome, search

START_S = 1000.0  # what the virtual loop's clock shows at first
REFUSALS: dict[str, Reply] = {
    "67200002": 67200002,
    "HTTP 429": "429",
    "HTTP 429 that asks for 5 minutes": Refusal("http_429", code="http_429", retry_after_s=300.0),
}


def client_saying(vendor: VirtualVendor, *, qps: float) -> tuple[Client, list[str]]:
    lines: list[str] = []
    limiters = {kind: Limiter(qps, say=lines.append) for kind in PAID}
    return Client(vendor, Credentials(api_key="a-key-of-ours"), limiters), lines  # type: ignore[arg-type]


async def ends_of(client: Client, make: Callable[..., object], count: int = 30) -> list[object]:
    """Make so many calls at once, until the first one ends; return how they all ended."""
    ends: list[object] = []

    async def one() -> None:
        ends.append(await outcome(make(client)))  # type: ignore[arg-type]
        client.stop()

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)
    return ends


@pytest.mark.proofs
@pytest.mark.parametrize("make", [search, create], ids=["search", "create"])
@pytest.mark.parametrize("said", only_short(REFUSALS, *list(REFUSALS)[:2]))
def test_a_quarter_of_an_hour_without_one_accepted_call_ends_the_run_with_the_rate_that_was_tried(
    said: str, make: Callable[..., object]
) -> None:
    async def scenario() -> None:
        client, lines = client_saying(VirtualVendor(lambda kind, number: REFUSALS[said], latency_s=0.2), qps=5)
        ends = await ends_of(client, make)
        assert NOTHING_ACCEPTED_S <= anyio.current_time() - START_S <= 2 * NOTHING_ACCEPTED_S
        assert {type(end) for end in ends} <= {RunPaused, Stopping}
        paused = [end for end in ends if isinstance(end, RunPaused)]
        assert {(end.exit_code, end.code) for end in paused} == {(4, "quota")}
        assert f"accepts no calls at this rate: {5 * FLOOR:g} a second" in paused[0].message
        (line,) = lines
        assert make.__name__ in line  # type: ignore[attr-defined]
        assert "more calls per second than the account allows" in line
        assert "15 minutes at 0.25 a second the run ends" in line

    run_virtually(scenario)


@pytest.mark.proofs
def test_an_account_that_accepts_nothing_is_asked_at_the_slowest_rate_and_no_faster() -> None:
    async def scenario() -> None:
        vendor = VirtualVendor(lambda kind, number: 67200002, latency_s=0.2)
        client, _ = client_saying(vendor, qps=50)
        await ends_of(client, search)
        late = [at for at in vendor.times(Kind.SEARCH) if at >= START_S + 60]
        assert min(later - sooner for sooner, later in pairwise(late)) >= 0.99 / (50 * FLOOR)

    run_virtually(scenario)


def test_the_wait_is_said_once_it_is_long_and_so_is_its_end_and_no_call_fails() -> None:
    async def scenario() -> None:
        until = START_S + 10 * 60
        vendor = VirtualVendor(lambda kind, number: 67200002 if anyio.current_time() < until else None)
        client, lines = client_saying(vendor, qps=5)
        ends: list[object] = []

        async def one() -> None:
            ends.append(await outcome(search(client)))

        async with anyio.create_task_group() as tasks:
            for _ in range(30):
                tasks.start_soon(one)
            await anyio.sleep(SAY_AFTER_S + 2 / (5 * FLOOR))  # the next refusal comes so late at most
            assert [line[:26] for line in lines] == ["no call was accepted for 3"]
        assert {type(end) for end in ends} == {Hits}
        assert lines[1:] == ["calls are accepted again; going on"]

    run_virtually(scenario)


async def items_of(client: Client, count: int) -> list[object]:
    """Search so many pictures at once and create a task of each, until the first one ends; return how they ended."""
    ends: list[object] = []

    async def one() -> None:
        await outcome(search(client))
        ends.append(await outcome(create(client)))
        client.stop()

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)
    return ends


@pytest.mark.parametrize("retry_after_s", [None, pytest.param(300.0, marks=pytest.mark.proofs)])
def test_no_more_pictures_are_searched_while_no_creates_are_accepted(retry_after_s: float | None) -> None:
    """Of all items begun at once only those of the first seconds are paid for: their creates cannot follow."""

    async def scenario() -> None:
        refusal = Refusal("http_429", code="http_429", retry_after_s=retry_after_s)
        vendor = VirtualVendor(lambda kind, number: refusal if kind is Kind.CREATE else None, latency_s=0.2)
        client, _ = client_saying(vendor, qps=5)
        ends = await items_of(client, 60)
        assert {type(end) for end in ends} == {RunPaused, Stopping}
        assert len(vendor.times(Kind.SEARCH)) <= (STARVES_S + 2) * 5 < 60

    run_virtually(scenario)


def test_searches_go_on_as_soon_as_a_create_is_accepted() -> None:
    async def scenario() -> None:
        until = START_S + 120
        vendor = VirtualVendor(
            lambda kind, number: 67200002 if kind is Kind.CREATE and anyio.current_time() < until else None
        )
        client, _ = client_saying(vendor, qps=5)
        async with anyio.create_task_group() as tasks:
            for _ in range(60):
                tasks.start_soon(_whole, client)
        assert len(vendor.times(Kind.SEARCH)) == 60

    run_virtually(scenario)


async def _whole(client: Client) -> None:
    await search(client)
    await create(client)


def test_searches_wait_for_no_creates_that_nobody_makes_any_more() -> None:
    """The last create was refused for speed, and then failed for another reason: nobody is left to be accepted."""

    async def scenario() -> None:
        replies = [*[67200002] * 5, *["503"] * 4]
        vendor = VirtualVendor(lambda kind, number: replies.pop(0) if kind is Kind.CREATE else None, latency_s=2.0)
        client, _ = client_saying(vendor, qps=5)
        await outcome(create(client))
        assert client.limiters[Kind.CREATE].starves
        with anyio.fail_after(60):
            assert isinstance(await outcome(search(client)), Hits)

    run_virtually(scenario)


def test_a_wait_that_is_over_soon_is_not_worth_a_line() -> None:
    async def scenario() -> list[str]:
        until = START_S + SAY_AFTER_S - 1
        client, lines = client_saying(
            VirtualVendor(lambda kind, number: 67200002 if anyio.current_time() < until else None), qps=5
        )
        assert isinstance(await outcome(search(client)), Hits)
        return lines

    assert run_virtually(scenario) == []


def test_a_drain_does_not_wait_for_creates_that_the_account_does_not_accept() -> None:
    """Ctrl-C lets what is searched go on to its task, but not while no task can be had."""

    async def scenario() -> None:
        client, lines = client_saying(VirtualVendor(lambda kind, number: 67200002), qps=5)
        ends: list[object] = []

        async def one() -> None:
            ends.append(await outcome(create(client)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            while not lines:
                await anyio.sleep(1.0)
            asked_at = anyio.current_time()
            client.stop(Kind.UPLOAD, Kind.SEARCH)
        assert isinstance(ends[0], Stopping)
        assert anyio.current_time() - asked_at <= 1.0

    run_virtually(scenario)


@pytest.mark.proofs
def test_a_sleep_of_the_machine_is_no_time_in_which_calls_were_refused() -> None:
    async def scenario() -> None:
        client, _ = client_saying(VirtualVendor(lambda kind, number: 67200002), qps=5)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outcome, search(client))
            await anyio.sleep(60)
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTimeLoop)
            loop.now += 3600.0
            client.clock_jumped()
            await anyio.sleep(600)
            assert client.limiters[Kind.SEARCH].accepts_nothing  # and the run has not ended
            client.stop()

    run_virtually(scenario)


@pytest.mark.proofs
def test_pictures_that_are_refused_show_that_the_account_accepts_calls() -> None:
    """One call in ten is let in, and refused for its picture: that is no account that accepts nothing."""

    async def scenario() -> set[type]:
        vendor = VirtualVendor(lambda kind, number: 68300004 if number % 10 == 0 else 67200002)
        client, _ = client_saying(vendor, qps=1)
        ends: list[object] = []

        async def work() -> None:
            while anyio.current_time() < START_S + 2 * 3600:
                ends.append(await outcome(search(client, meter=PlainMeter())))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(work)
        return {type(end) for end in ends}

    assert RunPaused not in run_virtually(scenario)
