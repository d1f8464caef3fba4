"""A vendor that cannot be reached: calls wait at a gate, one at a time looks, and nothing fails for it."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from pipeline.calls.client import Client
from pipeline.calls.health import Waits
from pipeline.calls.limiter import Limiter
from pipeline.calls.pauses import QuotaGate
from pipeline.calls.reach import LONGEST_S, ReachGate
from pipeline.calls.transport import Outgoing
from pipeline.endpoints.interface import Answer, Refusal, Request
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.errors import RunPaused, Stopping, TryAgain
from pipeline.models import PAID, Hits, Kind, Task
from tests.support.virtual_time import run_virtually
from tests.support.virtual_vendor import PlainMeter, Reply, VirtualVendor, create, outcome, search

ITEMS = 30
KEY, PAIR = Credentials(api_key="a-key-of-ours"), Credentials(client_id="id", client_secret="secret")


class Absent(VirtualVendor):
    """A vendor whose address nobody answers at, from `goes` until `comes` (seconds after the start)."""

    def __init__(self, *, goes: float = 0.0, comes: float, reply: Reply = None) -> None:
        super().__init__(lambda kind, number: reply)
        self.goes, self.comes = 1000 + goes, 1000 + comes
        self.tried: list[float] = []

    async def exchange(self, request: Request, attempt: Outgoing) -> Answer:
        now = anyio.current_time()
        if self.goes <= now < self.comes:
            self.tried.append(now)
            raise Refusal("not_sent", detail="vendor.example:443: Connection refused")
        if request.kind is Kind.TOKEN:
            return Answer(200, b'{"token": "a-token", "expires_in": 1799}', attempt.request_id, 0.0)
        return await super().exchange(request, attempt)


def told(vendor: Absent, said: list[str], *, patience_s: float = 600, credentials: Credentials = KEY) -> Client:
    reach = ReachGate(patience_s, say=said.append)
    limiters = {kind: Limiter(10) for kind in PAID}
    waits = Waits(QuotaGate(None, table=TABLE), reach)
    return Client(vendor, credentials, limiters, waits=waits)  # type: ignore[arg-type]


async def all_of(calls: list[Callable[[], Awaitable[object]]]) -> list[object]:
    ends: list[object] = []

    async def one(call: Callable[[], Awaitable[object]]) -> None:
        ends.append(await outcome(call()))

    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(one, call)
    return ends


@pytest.mark.parametrize("credentials", [KEY, PAIR], ids=["key", "token"])
@pytest.mark.parametrize("away_s", [4, 300])
def test_an_absence_costs_no_call_no_attempt_and_no_item(away_s: float, credentials: Credentials) -> None:
    async def scenario() -> None:
        vendor, said = Absent(comes=away_s), list[str]()
        client, meter = told(vendor, said, credentials=credentials), PlainMeter()
        ends = await all_of([lambda: search(client, meter=meter), lambda: create(client, meter=meter)] * ITEMS)
        assert {type(end) for end in ends} == {Hits, Task}
        assert (len(meter.calls), client.stats.retried) == (2 * ITEMS, 0)
        assert anyio.current_time() - vendor.comes <= LONGEST_S + 10
        # Those that were on the way at first, then one at a time.
        assert len([at for at in vendor.tried if at > vendor.tried[0] + 1]) <= away_s
        assert [line[:34] for line in said] == [
            "the vendor could not be reached (n",
            "the vendor can be reached again; g",
        ]

    run_virtually(scenario)


@pytest.mark.parametrize("credentials", [KEY, PAIR], ids=["key", "token"])
def test_a_vendor_that_stays_away_ends_the_run_after_the_patience_and_is_named_at_once(
    credentials: Credentials,
) -> None:
    async def scenario() -> None:
        vendor, said = Absent(comes=9e9), list[str]()
        client, meter = told(vendor, said, patience_s=90, credentials=credentials), PlainMeter()

        async def one() -> None:
            with pytest.raises(RunPaused, match=r"vendor\.example:443: Connection refused") as caught:
                await search(client, meter=meter)
            assert (caught.value.exit_code, caught.value.sent) == (4, False)
            client.stop()

        async def named_at_once() -> None:
            await anyio.sleep(3)
            assert len(said) == 1
            assert "api.base_url" in said[0]

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one)
            tasks.start_soon(named_at_once)
        assert 1090 <= anyio.current_time() <= 1092
        assert meter.calls == []
        assert client.stats.sent[Kind.TOKEN] == 0

    run_virtually(scenario)


def test_an_absence_later_on_is_waited_for_too() -> None:
    async def scenario() -> None:
        vendor, said = Absent(goes=2, comes=60), list[str]()
        client = told(vendor, said)
        ends = await all_of([lambda: search(client)] * 100)
        assert {type(end) for end in ends} == {Hits}

    run_virtually(scenario)


def test_each_absence_has_a_patience_of_its_own() -> None:
    """Two absences of 400 s, of which the second begins after a good call: 600 s are enough for each."""

    async def scenario() -> None:
        vendor, said = Absent(comes=400), list[str]()
        client = told(vendor, said)
        assert isinstance(await outcome(search(client)), Hits)
        vendor.goes, vendor.comes = anyio.current_time(), anyio.current_time() + 400
        assert isinstance(await outcome(search(client)), Hits)
        assert [line[:34] for line in said[2:]] == [
            "the vendor could not be reached (n",
            "the vendor can be reached again; g",
        ]

    run_virtually(scenario)


def test_a_vendor_that_answers_badly_has_been_reached() -> None:
    async def scenario() -> None:
        vendor, said = Absent(comes=60, reply="503"), list[str]()
        assert isinstance(await outcome(search(told(vendor, said))), TryAgain)
        assert said[1:] == ["the vendor can be reached again; going on"]

    run_virtually(scenario)


def test_the_end_of_the_run_ends_the_wait_at_once_for_every_kind() -> None:
    async def scenario() -> None:
        vendor, said = Absent(comes=9e9), list[str]()
        client = told(vendor, said)

        async def end_soon() -> None:
            await anyio.sleep(20)
            client.stop(Kind.SEARCH)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_soon)
            ends = await all_of([lambda: search(client), lambda: create(client)] * 5)
        assert {type(end) for end in ends} == {Stopping}
        assert anyio.current_time() == pytest.approx(1020, abs=1)

    run_virtually(scenario)
