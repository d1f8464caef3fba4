"""The moment of sending: what comes before the first byte, in which order, and what is given back; in virtual time."""

import functools
from typing import Any

import anyio
import pytest

from pipeline.calls.attempt import LEAST_INTENDING, STALE_S, Slots
from pipeline.calls.client import Client
from pipeline.calls.limiter import Limiter
from pipeline.calls.stats import Stats
from pipeline.calls.transport import Outgoing
from pipeline.endpoints.interface import Answer, Request
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.errors import ItemRefused, PipelineError, RunPaused, Stopping
from pipeline.models import PAID, Kind
from tests.support import virtual_vendor as virtual
from tests.support.clients import CLIENT, Call, FakeMeter, client_at, create, search
from tests.support.misbehaving import CREATED, NO_HITS, Misbehaving, answers, http
from tests.support.virtual_time import run_virtually, virtual_backend
from tests.support.virtual_vendor import PlainMeter, VirtualVendor, client_of, outcome

pytestmark = pytest.mark.anyio

GOOD = {Kind.SEARCH: http(200, NO_HITS), Kind.CREATE: http(200, CREATED)}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


# --- what comes before the first byte ---


async def test_the_permit_comes_after_the_connection_and_the_intent_and_right_before_the_bytes() -> None:
    log: list[str] = []
    limiters = {kind: Limiter(10) for kind in PAID}

    class Vendor:
        async def exchange(self, request: Request, attempt: Outgoing) -> Answer:
            log.append("connected")
            headers: dict[str, str] = {}
            await attempt.depart(headers, lambda: None)
            log.append(f"bytes with {headers['Authorization']}, {limiters[Kind.SEARCH].sent} permit")
            return Answer(200, NO_HITS, attempt.request_id, 0.0)

    class Meter(PlainMeter):
        async def before(self, kind: Kind, request_id: str) -> None:
            log.append(f"intent, {limiters[kind].sent} permits")

        def sent(self, kind: Kind) -> None:
            log.append(f"counted, {limiters[kind].sent} permit")

    client = Client(
        Vendor(),  # type: ignore[arg-type]
        Credentials(api_key="a-key"),
        limiters,
        stats=Stats(on_sent=lambda kind, at: log.append(f"sent at {at}")),
    )
    await virtual.search(client, meter=Meter())
    assert log == [
        "connected",
        "intent, 0 permits",
        "counted, 1 permit",
        "sent at 1000.0",
        "bytes with Bearer a-key, 1 permit",
    ]


@pytest.mark.parametrize(
    "refusal", [RunPaused("the budget is used up", code="budget"), PipelineError("the journal failed")], ids=repr
)
async def test_the_meter_may_forbid_a_call_and_then_nothing_is_sent(refusal: PipelineError, call: Call) -> None:
    meter = FakeMeter(forbid=refusal)
    async with Misbehaving(answers(GOOD[call.kind])) as server, client_at(server.url) as client:
        with pytest.raises(type(refusal)) as caught:
            await call.make(client, meter)
        assert caught.value is refusal
        await anyio.sleep(0.05)
        assert server.arrived == 0
    assert meter.total == client.stats.sent[call.kind] == 0


async def test_an_intent_is_durable_before_a_byte_reaches_the_server(call: Call) -> None:
    """An intent that is still on its way to the disk must not be overtaken by its create."""
    seen_before: list[int] = []

    class SlowMeter(FakeMeter):
        async def before(self, kind: Kind, request_id: str) -> None:
            await anyio.sleep(0.15)
            seen_before.append(server.arrived)
            await super().before(kind, request_id)

    meter = SlowMeter()
    async with Misbehaving(answers(GOOD[call.kind])) as server, client_at(server.url) as client:
        await call.make(client, meter)
    assert (seen_before, server.arrived) == ([0], 1)
    assert meter.log == ["before", "sent"]


def test_a_call_that_waits_for_its_permit_is_not_sent_once_a_gate_was_shut() -> None:
    """Two connections are open; the answer to the first call says that the platform is full."""

    async def scenario() -> list[float]:
        vendor = VirtualVendor(lambda kind, number: 67200000 if number == 1 else None, latency_s=0.1)
        client = client_of(vendor, qps=1)
        async with anyio.create_task_group() as calls:
            for number in range(2):
                calls.start_soon(virtual.search, client, number)
        return [at - 1000 for at in vendor.times(Kind.SEARCH)]

    first, *later = run_virtually(scenario)
    assert first == 0.0
    assert min(later) > 30.0


async def test_a_call_leaves_with_the_bearer_of_that_moment_however_long_it_waited_for_its_permit() -> None:
    """The clock jumps while one call waits with its connection open; the token is renewed for the next one."""
    bearers: list[str] = []
    tokens = 0

    class Vendor:
        async def exchange(self, request: Request, attempt: Outgoing) -> Answer:
            nonlocal tokens
            headers: dict[str, str] = {}
            await attempt.depart(headers, lambda: None)
            if request.kind is Kind.TOKEN:
                tokens += 1
                return Answer(200, b'{"token":"token-%d","expires_in":1799}' % tokens, attempt.request_id, 0.0)
            bearers.append(headers["Authorization"])
            return Answer(200, NO_HITS, attempt.request_id, 0.0)

    client = Client(Vendor(), CLIENT, {kind: Limiter(1) for kind in PAID})  # type: ignore[arg-type]
    await virtual.search(client)
    async with anyio.create_task_group() as calls:
        calls.start_soon(virtual.search, client)
        await anyio.sleep(0.5)
        client.clock_jumped()
        calls.start_soon(virtual.search, client)
    assert bearers == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


# --- what is given back ---


@pytest.mark.parametrize("slow", [True, False], ids=["while it makes its intent", "while it waits for its permit"])
def test_a_call_that_is_cancelled_before_its_first_byte_takes_its_intent_and_its_slots_back(slow: bool) -> None:
    class Meter(FakeMeter):
        async def before(self, kind: Kind, request_id: str) -> None:
            await super().before(kind, request_id)
            await anyio.sleep(60.0 if slow else 0.0)

    async def scenario() -> tuple[list[FakeMeter], list[float]]:
        vendor = VirtualVendor(lambda *_: None)
        client = client_of(vendor, qps=0.1)
        await virtual.create(client)
        meters = [Meter() for _ in range(20)]
        for meter in meters:
            with anyio.move_on_after(1.0):
                await virtual.create(client, meter=meter)
        await virtual.create(client)
        return list(meters), vendor.times(Kind.CREATE)

    meters, sent = run_virtually(scenario)
    assert len(sent) == 2 + sum(meter.total for meter in meters)
    unsent = [meter for meter in meters if not meter.total]
    assert len(unsent) >= 15
    assert all(meter.log == ["before", "not_executed"] for meter in unsent)
    assert all(meter.taken_back == [False] for meter in unsent)


def test_calls_that_are_refused_at_the_last_moment_keep_nobody_out() -> None:
    """Links that expired while the machine slept, say: only so many calls may wait with an open connection."""

    class Refusing(PlainMeter):
        def sent(self, kind: Kind) -> None:
            raise ItemRefused("expired meanwhile", code="expired", sent=False)

    async def scenario() -> object:
        client = client_of(VirtualVendor(lambda *_: None), qps=1)
        for number in range(10):
            await outcome(virtual.search(client, number, meter=Refusing()))
        return await outcome(virtual.search(client))

    assert not isinstance(run_virtually(scenario), Exception)


async def test_slots_that_are_given_back_twice_are_free_once() -> None:
    slots = Slots(1)
    first, second, third = object(), object(), object()
    assert await slots.take(first)
    slots.give_back(first)
    slots.give_back(first)
    slots.give_back(third)  # it never had one
    assert await slots.take(second)
    assert not await slots.take(third, deadline=anyio.current_time() + 1.0)


async def test_whoever_gives_up_waiting_for_a_slot_keeps_none() -> None:
    slots, first = Slots(1), object()
    assert await slots.take(first)
    assert not await slots.take(object(), deadline=anyio.current_time() + 1.0)
    with anyio.move_on_after(1.0):
        await slots.take(object())
    slots.give_back(first)
    assert await slots.take(object(), deadline=anyio.current_time())


# --- connections that grow old ---


async def test_stop_reaches_calls_that_wait_for_their_permit_with_the_connection_open() -> None:
    meters = [FakeMeter() for _ in range(6)]
    stopped = 0
    async with Misbehaving(answers(GOOD[Kind.SEARCH])) as server, client_at(server.url, qps=1) as client:

        async def one(meter: FakeMeter) -> None:
            nonlocal stopped
            try:
                await search(client, meter)
            except Stopping:
                stopped += 1
                assert meter.log[-1] == "not_executed"

        async with anyio.create_task_group() as calls:
            for meter in meters:
                calls.start_soon(one, meter)
            await anyio.sleep(0.3)
            client.stop()
    assert stopped == 5
    assert server.arrived == sum(meter.total for meter in meters) == 1
    assert any(meter.log == ["before", "not_executed"] for meter in meters)


async def test_few_calls_a_second_still_go_out_one_after_another() -> None:
    """Several connections wait for one permit a second; they may grow old, but the permits must not be wasted."""
    meters = [FakeMeter() for _ in range(3)]
    async with (
        Misbehaving(answers(GOOD[Kind.SEARCH])) as server,
        client_at(server.url, qps=1) as client,
        anyio.create_task_group() as calls,
    ):
        for meter in meters:
            calls.start_soon(search, client, meter)
    assert server.arrived == sum(meter.total for meter in meters) == 3
    assert client.limiters[Kind.SEARCH].sent == 3
    assert all(meter.log[-1] == "sent" for meter in meters)


async def test_a_limiter_that_was_slowed_down_far_keeps_its_rate() -> None:
    """As many connections as the full rate needs wait; at a twentieth of it they all grow old."""
    meters = [FakeMeter() for _ in range(60)]
    done = 0
    async with Misbehaving(answers(GOOD[Kind.SEARCH])) as server, client_at(server.url, qps=500) as client:
        limiter = client.limiters[Kind.SEARCH]
        limiter.adaptive.rate = 15.0  # 40 after the first success

        async def one(meter: FakeMeter) -> None:
            nonlocal done
            await search(client, meter)
            done += 1

        async with anyio.create_task_group() as calls:
            for meter in meters:
                calls.start_soon(one, meter)
    assert done == server.arrived == limiter.sent == 60


async def test_a_connection_that_grew_old_is_made_anew_before_anything_is_sent() -> None:
    """A server closes idle connections; a create that meets the close would be in doubt for nothing."""
    meter = FakeMeter()
    async with Misbehaving(answers(GOOD[Kind.CREATE])) as server, client_at(server.url) as client:
        meter.on_before = lambda: client.limiters[Kind.CREATE].pause(STALE_S + 1) if len(meter.noted) == 0 else None
        assert await create(client, meter)
    assert meter.log == ["before", "not_executed", "before", "sent"]
    assert meter.taken_back == [False]
    assert server.connections == 2
    assert server.arrived == client.limiters[Kind.CREATE].sent == 1
    assert client.stats.retried == 0


async def test_after_a_step_of_the_clock_every_kind_begins_again_evenly() -> None:
    vendor = virtual.VirtualVendor(lambda kind, number: None)
    client = virtual.client_of(vendor, qps=10)
    client.clock_jumped()
    await virtual.search(client)
    await virtual.create(client)
    assert [at for _, at in vendor.sent] == pytest.approx([1000.1, 1000.1])


async def test_a_connection_that_grows_old_while_others_make_their_intents_is_given_up() -> None:
    """A disk that takes 10 s: whoever waits behind it connects anew instead of leaving on a connection of long ago."""
    connected: list[float] = []

    class Vendor(virtual.VirtualVendor):
        async def exchange(self, request: Request, attempt: Outgoing) -> Answer:
            connected.append(anyio.current_time())
            return await super().exchange(request, attempt)

    class SlowMeter(PlainMeter):
        async def before(self, kind: Kind, request_id: str) -> None:
            await anyio.sleep(10)

    client = virtual.client_of(Vendor(lambda kind, number: None), qps=1)
    async with anyio.create_task_group() as calls:
        for _ in range(LEAST_INTENDING):
            calls.start_soon(functools.partial(virtual.create, client, meter=SlowMeter()))
        await anyio.sleep(1)
        calls.start_soon(functools.partial(virtual.create, client, meter=PlainMeter()))
        await anyio.sleep(2 * STALE_S + 1)
        assert connected[LEAST_INTENDING:] == pytest.approx([1001, 1001 + STALE_S, 1001 + 2 * STALE_S])
        client.stop()
        calls.cancel_scope.cancel()
