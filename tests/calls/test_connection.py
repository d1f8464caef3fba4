"""The connection that a call leaves on: one that is closed already is found out before the first byte, for free."""

import socket
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from pipeline.calls import connection
from pipeline.calls.client import Client
from pipeline.calls.health import Waits
from pipeline.calls.limiter import Limiter
from pipeline.calls.pauses import QuotaGate
from pipeline.calls.reach import ReachGate
from pipeline.calls.transport import open_transport
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.errors import RunPaused
from pipeline.models import PAID, Kind
from pipeline.system.clock import loop_time
from tests.support.clients import API_KEY, CREATE, Call, Certificate, FakeMeter, client_at, create, failure_of, search
from tests.support.misbehaving import CREATED, NO_HITS, Caller, Misbehaving, Script, by_path, http
from tests.support.virtual_time import virtual_backend

pytestmark = pytest.mark.anyio

SEARCH_THEN_CREATE = by_path(search=http(200, NO_HITS), creation=http(200, CREATED))


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


def remembering(callers: list[Caller], script: Script) -> Script:
    async def remembered(caller: Caller) -> None:
        callers.append(caller)
        await script(caller)

    return remembered


def hang_up(caller: Caller) -> None:
    """End a connection now: the end lies in the other side's socket before its loop can have heard of it."""
    caller.writer.get_extra_info("socket")._sock.shutdown(socket.SHUT_RDWR)


def once(step: Callable[[], None]) -> Callable[[], None]:
    steps = [step]
    return lambda: steps.pop()() if steps else None


async def test_no_call_leaves_on_a_connection_whose_end_lies_unread_in_the_socket(call: Call) -> None:
    """The vendor closes after an answer without saying so, while the intent of the next call is made durable."""
    callers: list[Caller] = []

    meter = FakeMeter(on_before=once(lambda: hang_up(callers[0])))
    async with (
        Misbehaving(remembering(callers, SEARCH_THEN_CREATE)) as server,
        client_at(server.url) as client,
    ):
        await search(client)
        assert await call.make(client, meter)
        sent = client.limiters[call.kind].sent
    assert meter.log == ["before", "not_executed", "before", "sent"]
    assert (meter.taken_back, meter.total, server.connections) == ([False], 1, 2)
    assert sent == (2 if call.kind is Kind.SEARCH else 1)  # the permit of the call that did not go was given back


async def test_a_kept_connection_that_was_closed_says_nothing_of_whether_the_vendor_can_be_reached() -> None:
    """With a patience of nothing at all a vendor that is not reached once ends the run."""
    callers: list[Caller] = []
    meter = FakeMeter(on_before=once(lambda: hang_up(callers[0])))
    async with (
        Misbehaving(remembering(callers, SEARCH_THEN_CREATE)) as server,
        open_transport(server.url) as transport,
    ):
        waits = Waits(QuotaGate(None, table=TABLE), ReachGate(0.0))
        client = Client(transport, API_KEY, {kind: Limiter(1000) for kind in PAID}, waits=waits)
        await search(client)
        assert await create(client, meter)
    assert (meter.taken_back, meter.total) == ([False], 1)


async def test_a_vendor_that_closes_after_every_answer_puts_no_create_in_doubt() -> None:
    async def one_answer(caller: Caller) -> None:
        seen = await caller.request()
        await caller.say(http(200, NO_HITS if seen.path.endswith("search") else CREATED))

    meter = FakeMeter()
    async with Misbehaving(one_answer) as server, client_at(server.url) as client:
        for _ in range(50):
            await search(client)
            await create(client, meter)
    assert meter.calls == {Kind.CREATE: 50}


@pytest.mark.proofs
async def test_a_connection_that_ends_over_tls_is_found_out_too(self_signed: Certificate) -> None:
    callers: list[Caller] = []

    meter = FakeMeter(on_before=once(lambda: hang_up(callers[0])))
    script = remembering(callers, SEARCH_THEN_CREATE)
    async with (
        Misbehaving(script, tls=self_signed.server) as server,
        client_at(server.url, ca_file=str(self_signed.file)) as client,
    ):
        await search(client)
        await create(client, meter)
    assert meter.calls == {Kind.CREATE: 1}


async def test_a_connection_that_was_idle_for_two_seconds_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may close it then, at the very moment when a create leaves on it."""
    monkeypatch.setattr("aiohttp.connector.monotonic", loop_time)  # the ages of kept connections, in virtual time
    connections = []
    async with Misbehaving(SEARCH_THEN_CREATE) as server, client_at(server.url) as client:
        for idle_s in (0.0, 1.9, 1.9, 2.1, 1.9):
            await anyio.sleep(idle_s)
            await search(client)
            connections.append(server.connections)
    assert connections == [1, 1, 1, 2, 2]


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux can")
@pytest.mark.parametrize("drop_late", [True, False])
async def test_where_leases_hold_what_cannot_be_delivered_within_3_seconds_never_is(
    drop_late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    timeouts: list[int] = []
    make = connection.deliver_soon_or_never

    def made(address: Any) -> socket.socket:
        one = make(address)
        timeouts.append(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        return one

    monkeypatch.setattr("pipeline.calls.transport.deliver_soon_or_never", made)
    async with Misbehaving(SEARCH_THEN_CREATE) as server, client_at(server.url, drop_late=drop_late) as client:
        await search(client)
        assert server.connections == 1
    assert timeouts == ([3_000] if drop_late else [])


class WaitsForTheEnd(FakeMeter):
    """Makes an intent durable so slowly that the other side has hung up meanwhile."""

    hung_up = 0

    async def before(self, kind: Kind, request_id: str) -> None:
        await super().before(kind, request_id)
        while self.hung_up < len(self.noted):
            await anyio.sleep(0.001)


@pytest.mark.proofs
async def test_a_server_that_hangs_up_on_every_new_connection_is_not_asked_for_ever(no_jitter: None) -> None:
    """Nothing was sent, so nothing is counted; and it is a vendor that cannot be reached."""
    meter = WaitsForTheEnd()

    async def at_once(caller: Caller) -> None:
        hang_up(caller)
        meter.hung_up += 1

    async with Misbehaving(at_once) as server, client_at(server.url) as client:
        error = await failure_of(client, CREATE, meter)
    assert (type(error), error.code, error.sent) == (RunPaused, "vendor_down", False)
    assert meter.total == 0
    assert server.connections < 100  # in ten minutes
