"""Reactions of the client to answers: wait, slow down, renew the token, retry, give up, stop; in virtual time."""

from itertools import pairwise
from typing import Any

import anyio
import pytest

from pipeline.calls import reach
from pipeline.calls.client import Client
from pipeline.endpoints.consequences import Override
from pipeline.endpoints.patsnap.codes import table_with
from pipeline.endpoints.patsnap.p010 import PictureUpload
from pipeline.errors import (
    CallError,
    GivenUp,
    InDoubt,
    ItemRefused,
    PipelineError,
    RunPaused,
    RunStopped,
    SlowDown,
    Stopping,
    TryAgain,
)
from pipeline.models import KINDS, Kind
from pipeline.sources.pictures import Picture
from tests.support import misbehaving as bad
from tests.support import virtual_vendor as virtual
from tests.support.clients import CLIENT, CREATE, SEARCH, Call, FakeMeter, client_at, create, failure_of, search
from tests.support.misbehaving import (
    CREATED,
    NO_HITS,
    TOKEN,
    Misbehaving,
    answers,
    by_path,
    closed_port,
    envelope,
    http,
    in_turn,
)
from tests.support.virtual_time import run_virtually, virtual_backend
from tests.support.virtual_vendor import PlainMeter, VirtualVendor, client_of, outcome

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return virtual_backend()


OK = {Kind.SEARCH: http(200, NO_HITS), Kind.CREATE: http(200, CREATED)}


def refused(code: int, *headers: str) -> bytes:
    return http(200, envelope(code), *headers)


# --- too fast ---


@pytest.mark.parametrize(
    ("said", "pauses", "call"),
    [
        pytest.param(refused(67200002), False, SEARCH, id="search-67200002"),
        pytest.param(refused(67200002), False, CREATE, id="create-67200002"),
        pytest.param(http(429, b"<html>", content_type="text/html"), False, SEARCH, id="search-429"),
        pytest.param(http(429, b"<html>", content_type="text/html"), False, CREATE, id="create-429"),
        pytest.param(http(429, b"", "Retry-After: 1"), True, SEARCH, id="search-Retry-After"),
        pytest.param(http(429, envelope(67200002), "Retry-After: 1"), True, CREATE, id="create-Retry-After"),
    ],
)
async def test_too_fast_once_is_sent_again_and_slows_nobody_and_spends_no_attempt(
    said: bytes, pauses: bool, call: Call
) -> None:
    meter = FakeMeter()
    async with Misbehaving(in_turn(said, OK[call.kind])) as server, client_at(server.url) as client:
        started = anyio.current_time()
        assert await call.make(client, meter)
        if pauses:
            assert anyio.current_time() - started >= 1.0  # a permit never comes early
        rates = {kind: limiter.rate for kind, limiter in client.limiters.items()}
    assert rates == dict.fromkeys(KINDS, 1000.0)
    assert client.stats.too_fast[call.kind] == 1
    assert client.stats.retried == 0
    assert server.arrived == meter.total == 2
    assert meter.taken_back == [True]


@pytest.mark.parametrize("make", [virtual.search, virtual.create], ids=["search", "create"])
async def test_a_call_that_alone_is_always_too_fast_fails_after_ten_deferrals(make: Any) -> None:
    """The account accepts others between two of its tries, so the refusals concern this one."""
    granted = iter(range(1, 1000))
    client = client_of(VirtualVendor(lambda kind, number: None if number % 2 else 67200002))
    meter = PlainMeter()
    async with anyio.create_task_group() as tasks:

        async def others() -> None:
            while True:
                await make(client, next(granted))

        tasks.start_soon(others)
        await anyio.sleep(0)
        error = await outcome(make(client, meter=meter))
        tasks.cancel_scope.cancel()
    assert type(error) is SlowDown
    assert len(meter.calls) == meter.taken_back == 11
    assert client.stats.retried == 0


# --- the platform is full ---


@pytest.mark.parametrize("code", [67200000, 67200001])
async def test_a_full_platform_pauses_all_calls(code: int, call: Call) -> None:
    if call is CREATE and code == 67200000:
        pytest.skip("in doubt: test_health.py")
    meter = FakeMeter()
    async with (
        Misbehaving(answers(refused(code))) as server,
        client_at(server.url) as client,
        anyio.create_task_group() as tasks,
    ):

        async def waiting() -> None:
            with pytest.raises(Stopping):
                await call.make(client, meter)

        tasks.start_soon(waiting)
        with anyio.fail_after(5):
            while not meter.taken_back:
                await anyio.sleep(0.01)
        paused_s = client.paused_s
        client.stop()
    assert 15 < paused_s <= 30
    assert server.arrived == meter.total == 1
    assert client.stats.retried == 0


async def test_a_platform_that_stays_full_for_an_hour_pauses_the_run(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.calls.pauses.GIVE_UP_S", -1.0)  # the hour is over
    meter = FakeMeter()
    async with Misbehaving(answers(refused(67200001))) as server, client_at(server.url) as client:
        error = await failure_of(client, call, meter)
    assert (type(error), error.code, error.exit_code) == (RunPaused, "67200001", 4)
    assert meter.taken_back == [True]


# --- the run ends ---


@pytest.mark.parametrize(
    ("code", "consequence"),
    [
        (67200004, RunStopped),
        (67200005, RunPaused),
        (67200006, RunStopped),
        (67200007, RunPaused),
        (67200008, RunStopped),
        (67200101, RunStopped),
        (68300004, ItemRefused),
        (68300007, ItemRefused),
        (68300010, ItemRefused),
        (67200012, ItemRefused),
    ],
)
async def test_a_final_refusal_is_raised_at_once(code: int, consequence: type[CallError], call: Call) -> None:
    meter = FakeMeter()
    async with (
        Misbehaving(answers(refused(code, "x-correlation-id: corr-7"))) as server,
        client_at(server.url) as client,
    ):
        error = await failure_of(client, call, meter)
    (seen,) = server.seen
    assert type(error) is consequence
    assert (error.code, error.correlation_id) == (str(code), "corr-7")
    assert error.request_id == seen.headers["x-request-id"] == meter.noted[0]
    assert meter.taken_back == [True]


# --- trying again ---


@pytest.mark.parametrize(
    ("code", "attempts"), [(67200100, 4), (68300005, 3), (68300006, 4), (68300008, 4), (67209999, 2), (123, 2)]
)
async def test_a_search_is_tried_as_often_as_its_code_allows(code: int, attempts: int, no_jitter: None) -> None:
    meter = FakeMeter()
    async with Misbehaving(answers(refused(code))) as server, client_at(server.url) as client:
        error = await failure_of(client, SEARCH, meter)
    assert type(error) is TryAgain
    assert server.arrived == meter.total == attempts
    assert client.stats.retried == attempts - 1
    ids = [seen.headers["x-request-id"] for seen in server.seen]
    assert ids == meter.noted
    assert len(set(ids)) == attempts
    assert error.request_id == ids[-1]


@pytest.mark.parametrize("code", [67200100, 68300005, 68300006, 68300008, 67209999, 68399999, 123])
async def test_a_create_that_may_have_been_executed_is_not_tried_again(code: int) -> None:
    meter = FakeMeter()
    async with (
        Misbehaving(answers(refused(code, "x-correlation-id: corr-7"))) as server,
        client_at(server.url) as client,
    ):
        error = await failure_of(client, CREATE, meter)
    assert type(error) is InDoubt
    assert (error.code, error.correlation_id) == (str(code), "corr-7")
    assert server.arrived == meter.total == 1
    assert meter.log == ["before", "sent"]  # never not_executed
    assert client.stats.retried == 0


async def test_a_503_with_retry_after_waits_at_least_that_long(no_jitter: None) -> None:
    async with (
        Misbehaving(in_turn(http(503, b"", "Retry-After: 1"), OK[Kind.SEARCH])) as server,
        client_at(server.url) as client,
    ):
        started = anyio.current_time()
        await search(client)
        assert anyio.current_time() - started >= 1.0
    assert client.stats.retried == 1


@pytest.mark.proofs
async def test_retries_end_when_the_budget_is_empty(no_jitter: None) -> None:
    """A burst of fifty, then one for every ten successes; enough healthy searches keep the breaker calm."""

    async def mostly_well(caller: bad.Caller) -> None:
        for _ in range(10_000):
            seen = await caller.request()
            await caller.say(refused(67200100) if "broken" in seen.target else OK[Kind.SEARCH])

    well = 0
    async with Misbehaving(mostly_well) as server, client_at(server.url) as client:
        for _ in range(40):
            for _ in range(8):
                await search(client)
                well += 1
            before = client.stats.retried
            with pytest.raises((TryAgain, GivenUp), match="67200100"):
                await search(client, url="https://a.example/broken.jpg")
            if client.stats.retried < before + 3:
                break
        else:
            raise AssertionError("the budget never ran out")
    assert 50 <= client.stats.retried <= 50 + well / 10


# --- the vendor is down ---


@pytest.mark.proofs
async def test_a_vendor_that_cannot_be_reached_from_the_start_ends_the_run_after_the_patience(call: Call) -> None:
    began = anyio.current_time()
    async with closed_port() as url, client_at(url) as client:
        last = await failure_of(client, call)
    assert (type(last), last.code, last.exit_code) == (RunPaused, "vendor_down", 4)
    assert anyio.current_time() - began >= reach.PATIENCE_S
    assert client.stats.retried == 0


async def test_a_vendor_that_goes_down_pauses_all_calls(no_jitter: None) -> None:
    good = [OK[Kind.SEARCH]]
    async with Misbehaving(in_turn(*good, refused(67200100))) as server, client_at(server.url) as client:
        await search(client)
        with anyio.move_on_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_until_paused, client, tasks.cancel_scope)
                for _ in range(20):
                    await failure_of(client, SEARCH)
        assert 15 < client.paused_s <= 30
        assert server.arrived <= 25
        client.stop()


async def _until_paused(client: Client, scope: anyio.CancelScope) -> None:
    for _ in range(1_000):
        await anyio.sleep(0.01)
        if client.paused_s > 0:
            scope.cancel()
            return


async def test_a_create_in_doubt_stays_in_doubt_when_the_vendor_goes_down(no_jitter: None) -> None:
    """A create that may be paid is recorded as in doubt, even by the failure that would end the run."""
    async with Misbehaving(bad.close_without_answer) as server, client_at(server.url) as client:
        for _ in range(25):
            meter = FakeMeter()
            assert type(await failure_of(client, CREATE, meter)) is InDoubt
            assert meter.log == ["before", "sent"]


async def test_a_dead_token_endpoint_ends_a_whole_run_after_four_attempts(no_jitter: None) -> None:
    """It was asked four times for each of the calls in flight, one after another."""
    tokens = 0

    async def dead(caller: bad.Caller) -> None:
        nonlocal tokens
        tokens += 1

    errors: list[CallError] = []
    meter = FakeMeter()
    async with Misbehaving(by_path(token=dead)) as server, client_at(server.url, credentials=CLIENT) as client:

        async def one(call: Call) -> None:
            errors.append(await failure_of(client, call, meter))

        with anyio.fail_after(20):
            async with anyio.create_task_group() as calls:
                for _ in range(25):
                    calls.start_soon(one, SEARCH)
                    calls.start_soon(one, CREATE)
    assert tokens == client.stats.sent[Kind.TOKEN] == 4
    assert [type(error) for error in errors] == [RunPaused] * 50
    assert meter.log == ["not_executed"] * 50
    assert not any(meter.taken_back)


async def test_stop_reaches_calls_that_wait_for_a_token(no_jitter: None) -> None:
    stopped = 0
    meter = FakeMeter()
    async with Misbehaving(bad.close_without_answer) as server, client_at(server.url, credentials=CLIENT) as client:

        async def one() -> None:
            nonlocal stopped
            with pytest.raises(Stopping):
                await create(client, meter)
            stopped += 1

        with anyio.fail_after(10):
            async with anyio.create_task_group() as calls:
                for _ in range(30):
                    calls.start_soon(one)
                while not server.arrived:
                    await anyio.sleep(0.01)
                client.stop()
    assert stopped == 30
    assert client.stats.sent[Kind.TOKEN] == server.arrived <= 2
    assert meter.log == ["not_executed"] * 30


@pytest.mark.parametrize(
    "said",
    [http(400, b'{"error":"invalid_client"}'), http(404, b""), refused(68300004), refused(67200004), refused(67200003)],
    ids=["400", "404", "68300004", "67200004", "67200003"],
)
async def test_a_refused_token_stops_the_run_and_blames_no_picture(said: bytes, call: Call) -> None:
    meter = FakeMeter()
    async with Misbehaving(by_path(token=said)) as server, client_at(server.url, credentials=CLIENT) as client:
        error = await failure_of(client, call, meter)
    assert type(error) is RunStopped
    assert server.arrived == 1
    assert meter.total == 0


@pytest.mark.parametrize(
    ("said", "least_s"),
    [
        (refused(67200002), 1.0),
        (refused(67200000), 20.0),
        (http(429, b""), 1.0),
        (http(429, b"", "Retry-After: 40"), 40.0),
    ],
    ids=["67200002", "67200000", "429", "Retry-After"],
)
@pytest.mark.parametrize("times", [1, 3, 4])
async def test_a_token_call_that_is_refused_for_speed_waits_and_tries_again(
    said: bytes, least_s: float, times: int
) -> None:
    """Nothing was asked of any picture yet; a fourth refusal ends the run, to be gone on with later."""
    asked_at: list[float] = []

    async def vendor(caller: bad.Caller) -> None:
        while True:
            if (await caller.request()).path == "/oauth/token":
                asked_at.append(anyio.current_time())
                await caller.say(said if len(asked_at) <= times else http(200, TOKEN))
            else:
                await caller.say(OK[Kind.SEARCH])

    async with Misbehaving(vendor) as server, client_at(server.url, credentials=CLIENT) as client:
        if times < 4:
            await search(client)
        else:
            error = await failure_of(client, SEARCH)
            assert (type(error), error.exit_code, error.sent) == (RunPaused, 4, False)
    assert len(asked_at) == min(times + 1, 4)
    assert all(after - before >= least_s for before, after in pairwise(asked_at))


# --- tokens on the way ---


async def test_a_refused_token_is_renewed_once_and_the_call_repeated() -> None:
    tokens = [TOKEN.replace(b"of-the-test", b"%d" % number) for number in range(3)]
    issued = iter(tokens)

    async def vendor(caller: bad.Caller) -> None:
        for _ in range(100):
            seen = await caller.request()
            if seen.path == "/oauth/token":
                await caller.say(http(200, next(issued)))
            elif seen.headers["authorization"] == "Bearer token-0":
                await caller.say(refused(67200003))
            else:
                await caller.say(OK[Kind.CREATE])

    meter = FakeMeter()
    async with Misbehaving(vendor) as server, client_at(server.url, credentials=CLIENT) as client:
        assert await create(client, meter)
    assert client.stats.sent[Kind.TOKEN] == 2
    assert client.stats.retried == 0
    assert meter.taken_back == [True]
    business = [seen for seen in server.seen if seen.path != "/oauth/token"]
    assert [seen.headers["authorization"] for seen in business] == ["Bearer token-0", "Bearer token-1"]
    assert all(("apikey", "sandbox") in seen.query for seen in business)


async def test_three_fresh_tokens_refused_stop_the_run() -> None:
    meter = FakeMeter()
    numbers = iter(range(100))

    async def vendor(caller: bad.Caller) -> None:
        for _ in range(100):
            seen = await caller.request()
            token = TOKEN.replace(b"of-the-test", b"%d" % next(numbers))
            await caller.say(http(200, token) if seen.path == "/oauth/token" else refused(67200009))

    async with Misbehaving(vendor) as server, client_at(server.url, credentials=CLIENT) as client:
        error = await failure_of(client, CREATE, meter)
    assert (type(error), error.exit_code) == (RunStopped, 3)
    assert client.stats.sent[Kind.TOKEN] == 3
    assert meter.total == 3
    assert len(server.seen) == 6


# --- stopping ---


async def test_stop_makes_waiting_calls_raise_stopping_unsent(call: Call) -> None:
    meters = [FakeMeter() for _ in range(20)]
    ended: list[PipelineError] = []
    async with Misbehaving(answers(OK[call.kind])) as server, client_at(server.url) as client:
        for limiter in client.limiters.values():
            limiter.pause(60.0)

        async def one(meter: FakeMeter) -> None:
            with pytest.raises(Stopping) as caught:
                await call.make(client, meter)
            ended.append(caught.value)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as calls:
                for meter in meters:
                    calls.start_soon(one, meter)
                await anyio.sleep(0.05)
                client.stop()
    assert len(ended) == 20
    assert server.arrived == 0
    assert all(meter.taken_back == [False] for meter in meters)


async def test_stop_reaches_a_call_that_waits_to_try_again() -> None:
    """The vendor may ask for minutes; the end of a run does not wait for them."""
    meter = FakeMeter()
    async with Misbehaving(answers(http(503, b"", "Retry-After: 200"))) as server, client_at(server.url) as client:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as calls:

                async def one() -> None:
                    with pytest.raises(Stopping):
                        await search(client, meter)

                calls.start_soon(one)
                while not meter.taken_back:
                    await anyio.sleep(0.01)
                client.stop()
    assert server.arrived == 1
    assert meter.log[:3] == ["before", "sent", "not_executed"]


async def test_one_kind_of_call_can_be_stopped_while_others_go_on() -> None:
    meter = FakeMeter()
    async with Misbehaving(by_path(creation=OK[Kind.CREATE])) as server, client_at(server.url) as client:
        client.stop(Kind.SEARCH, Kind.UPLOAD)
        with pytest.raises(Stopping):
            await search(client, meter)
        with pytest.raises(Stopping):
            await client.call(PictureUpload(), Picture(b"picture", "png", ""), meter)
        assert (await create(client)).task_id == bad.TASK_ID
        client.stop()
        with pytest.raises(Stopping):
            await create(client, meter)
    assert server.arrived == 1
    assert meter.log == ["not_executed"] * 3


async def test_stop_lets_an_answer_under_way_come_in() -> None:
    async def slow(caller: bad.Caller) -> None:
        await caller.request()
        await anyio.sleep(0.3)
        await caller.say(OK[Kind.CREATE])

    tasks = []
    async with Misbehaving(slow) as server, client_at(server.url) as client, anyio.create_task_group() as calls:

        async def one() -> None:
            tasks.append(await create(client))

        calls.start_soon(one)
        while not server.arrived:
            await anyio.sleep(0.01)
        client.stop()
    assert [task.task_id for task in tasks] == [bad.TASK_ID]


# --- what is kept ---


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"x" * 5_000], ids=["no UTF-8", "long"])
async def test_an_odd_correlation_id_can_be_written_down(raw: bytes) -> None:
    said = refused(68300004, "x-correlation-id: @").replace(b"@", raw)
    async with Misbehaving(answers(said)) as server, client_at(server.url) as client:
        error = await failure_of(client, SEARCH)
    assert error.correlation_id
    assert len(error.correlation_id.encode()) <= 600


# --- codes that nobody knows, and rows that a job changed ---


def test_an_unknown_code_of_a_create_is_in_doubt_first_and_then_stops_the_run() -> None:
    async def scenario() -> list[object]:
        client = client_of(VirtualVendor(lambda *_: 68300099))
        return [await outcome(virtual.create(client, number)) for number in range(5)]

    ended = run_virtually(scenario)
    last = ended.pop()
    assert [type(how) for how in ended] == [InDoubt] * 4
    assert isinstance(last, GivenUp)
    assert (type(last.error), type(last.ends_run)) == (InDoubt, RunStopped)


def test_a_code_that_the_job_explains_is_not_unknown() -> None:
    async def scenario() -> list[object]:
        table = table_with({"68300099": Override(search="fail")})
        client = client_of(VirtualVendor(lambda *_: 68300099), table=table)
        return [await outcome(virtual.search(client, number)) for number in range(9)]

    assert {type(how) for how in run_virtually(scenario)} == {ItemRefused}


def test_an_error_of_our_own_is_the_same_under_every_table() -> None:
    budget = RunPaused("the budget is used up", code="budget", sent=False)

    class Spent(PlainMeter):
        async def before(self, kind: Kind, request_id: str) -> None:
            raise budget

    async def scenario() -> object:
        client = client_of(VirtualVendor(lambda *_: None), table=table_with({"67200005": Override(search="stop")}))
        return await outcome(virtual.search(client, meter=Spent()))

    assert run_virtually(scenario) is budget


def test_a_create_that_the_job_lets_be_tried_again_is_sent_again() -> None:
    async def scenario(**parts: object) -> tuple[object, int]:
        vendor = VirtualVendor(lambda kind, number: 67200100 if number == 1 else None)
        return await outcome(virtual.create(client_of(vendor, **parts))), len(vendor.sent)

    table = table_with({"67200100": Override(create="retry")})
    ended, sent = run_virtually(lambda: scenario(table=table))
    assert (sent, getattr(ended, "task_id", None)) == (2, "a-task")
    ended, sent = run_virtually(scenario)
    assert (sent, type(ended)) == (1, InDoubt)


def test_a_redirected_create_is_in_doubt_and_carries_the_stop() -> None:
    async def scenario() -> object:
        return await outcome(virtual.create(client_of(VirtualVendor(lambda *_: "307"))))

    ended = run_virtually(scenario)
    assert isinstance(ended, GivenUp)
    assert (type(ended.error), type(ended.ends_run)) == (InDoubt, RunStopped)
    assert "307" in str(ended.ends_run)


def test_what_gives_up_only_for_want_of_retries_says_so() -> None:
    async def scenario() -> tuple[list[object], Client]:
        vendor = VirtualVendor(lambda kind, number: "503" if number % 5 < 2 else None)
        client = client_of(vendor, qps=1000)
        return [await outcome(virtual.search(client, number)) for number in range(400)], client

    ended, client = run_virtually(scenario)
    failed = [how for how in ended if isinstance(how, Exception)]
    assert failed
    assert all(isinstance(how, GivenUp) and isinstance(how.error, TryAgain) for how in failed)
    assert all(isinstance(how, GivenUp) and how.ends_run is None for how in failed)
    assert not client.retries_left
