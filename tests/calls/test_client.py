"""What the client does about what it is told: wait, slow down, refresh, try again, give up, stop."""

import anyio
import pytest

from pipeline.calls.client import Client
from pipeline.calls.transport import PATIENCE_S
from pipeline.endpoints.interface import Creation
from pipeline.endpoints.patsnap.ai39_1 import TaskCreation
from pipeline.endpoints.patsnap.p009 import P009Filters, P009Search
from pipeline.endpoints.patsnap.p010 import PictureUpload
from pipeline.endpoints.patsnap.p060 import P060Search
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
from pipeline.models import PAID, Kind
from pipeline.results.hits import choose
from pipeline.sandbox.faults import FaultPlan
from pipeline.sources.pictures import Picture
from tests.calls.conftest import (
    CLIENT,
    CREATE,
    LATER_S,
    PRODUCT,
    SEARCH,
    Call,
    FakeMeter,
    Start,
    client_at,
    create,
    failure_of,
    search,
)
from tests.support import misbehaving as bad
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

pytestmark = pytest.mark.anyio

OK = {Kind.SEARCH: http(200, NO_HITS), Kind.CREATE: http(200, CREATED)}


def refused(code: int, *headers: str) -> bytes:
    return http(200, envelope(code), *headers)


# --- the whole way, against the sandbox ---


async def test_a_picture_goes_all_the_way_and_is_billed(sandbox: Start, product: bytes) -> None:
    server = sandbox()
    meter = FakeMeter()
    async with client_at(server.url, credentials=CLIENT) as client:
        upload = await client.call(PictureUpload(), Picture(product, "jpeg", ""), meter)
        hits = await client.call(P009Search(limit=5), upload.url, meter)
        rich = await client.call(P060Search(endpoint="P060", limit=5), upload.url, meter)
        choice = choose(hits, min_score=0.0, max_hits=5)
        assert choice is not None
        task = await client.call(TaskCreation("en", ["US"]), Creation(upload.url, choice), meter)
    assert task.task_id
    assert len(hits.scores) == len(rich.scores) == 5
    assert server.stats.executed == {"token": 1, "upload": 1, "search": 2, "create": 1}
    assert client.stats.sent == {Kind.TOKEN: 1, Kind.UPLOAD: 1, Kind.SEARCH: 2, Kind.CREATE: 1}
    assert meter.calls == {Kind.UPLOAD: 1, Kind.SEARCH: 2, Kind.CREATE: 1}
    assert client.stats.units == server.stats.units == 3
    assert meter.taken_back == []


async def test_every_parameter_of_p009_reaches_the_vendor(sandbox: Start) -> None:
    """The sandbox refuses what it does not know and what is out of range."""
    server = sandbox()
    filters = P009Filters(
        loc="(03-01 OR 01-01) NOT 99-00",
        assignees="Émile & Söhne + 50%",
        legal_status="1,2,3,8,11,13,14,15,16,21,22,23,24,30,222,223,224,225",
        apply_start_time="19000101",
        apply_end_time="20991231",
        public_start_time="19000101",
        public_end_time="20991231",
        offset=1000,
        field="APD",
        order="asc",
    )
    async with client_at(server.url) as client:
        hits = await client.call(P009Search(limit=100, filters=filters), PRODUCT, FakeMeter())
    assert hits.scores == ()
    assert server.stats.outcomes["search"] == {"ok": 1}


# --- too fast ---


@pytest.mark.parametrize(
    ("said", "rests", "call"),
    [
        pytest.param(refused(67200002), False, SEARCH, id="search-67200002"),
        pytest.param(refused(67200002), False, CREATE, id="create-67200002"),
        pytest.param(http(429, b"<html>", content_type="text/html"), False, SEARCH, id="search-429"),
        pytest.param(http(429, b"<html>", content_type="text/html"), False, CREATE, id="create-429"),
        pytest.param(http(429, b"", "Retry-After: 1"), True, SEARCH, id="search-Retry-After"),
        pytest.param(http(429, envelope(67200002), "Retry-After: 1"), True, CREATE, id="create-Retry-After"),
    ],
)
async def test_too_fast_slows_its_own_limiter_alone_and_spends_no_attempt(said: bytes, rests: bool, call: Call) -> None:
    meter = FakeMeter()
    async with Misbehaving(in_turn(said, OK[call.kind])) as server, client_at(server.url) as client:
        started = anyio.current_time()
        assert await call.make(client, meter)
        if rests:
            assert anyio.current_time() - started >= 1.0  # a permit never comes early
        rates = {kind: limiter.rate for kind, limiter in client.limiters.items()}
    assert rates == {kind: 900.0 if kind is call.kind else 1000.0 for kind in PAID}
    assert client.stats.too_fast[call.kind] == 1
    assert client.stats.retried == 0
    assert server.arrived == meter.total == 2
    assert meter.taken_back == [True]


async def test_a_call_that_is_always_too_fast_gives_up_after_ten_deferrals(call: Call) -> None:
    meter = FakeMeter()
    async with Misbehaving(answers(refused(67200002))) as server, client_at(server.url) as client:
        error = await failure_of(client, call, meter)
    assert type(error) is SlowDown
    assert server.arrived == meter.total == 11
    assert meter.taken_back == [True] * 11
    assert client.stats.retried == 0


# --- the platform is full ---


@pytest.mark.parametrize("code", [67200000, 67200001])
async def test_a_full_platform_holds_all_calls(code: int, call: Call) -> None:
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
        held = client.paused_s
        client.stop()
    assert 15 < held <= 30
    assert server.arrived == meter.total == 1
    assert client.stats.retried == 0


async def test_a_platform_that_stays_full_for_an_hour_pauses_the_run(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.calls.pauses.GIVE_UP_S", -1.0)  # the hour is over
    meter = FakeMeter()
    async with Misbehaving(answers(refused(67200000))) as server, client_at(server.url) as client:
        error = await failure_of(client, call, meter)
    assert (type(error), error.code, error.exit_code) == (RunPaused, "67200000", 4)
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


async def test_a_search_that_failed_in_passing_succeeds(sandbox: Start, no_jitter: None) -> None:
    script = ["67200100", "http_502", "lost", "ok"]
    server = sandbox(faults=FaultPlan.scripted({"search": script}))
    meter = FakeMeter()
    async with client_at(server.url) as client:
        hits = await search(client, meter)
    assert len(hits.scores) == 3
    assert server.stats.calls("search") == meter.total == 4
    assert hits.request_id == meter.noted[-1]


async def test_a_503_with_retry_after_waits_at_least_that_long(no_jitter: None) -> None:
    async with (
        Misbehaving(in_turn(http(503, b"", "Retry-After: 1"), OK[Kind.SEARCH])) as server,
        client_at(server.url) as client,
    ):
        started = anyio.current_time()
        await search(client)
        assert anyio.current_time() - started >= 1.0
    assert client.stats.retried == 1


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


async def test_a_vendor_that_is_down_from_the_start_pauses_the_run_after_twenty_failures(
    call: Call, no_jitter: None
) -> None:
    paused: list[RunPaused] = []
    async with closed_port() as url, client_at(url) as client:
        for _ in range(10):
            error = await failure_of(client, call)
            if isinstance(error, RunPaused):
                paused.append(error)
                break
            assert type(error) is TryAgain
        failures = client.stats.retried
    (last,) = paused
    assert (last.code, last.exit_code) == ("vendor_down", 4)
    assert failures <= 20


async def test_a_vendor_that_goes_down_lets_all_calls_rest(no_jitter: None) -> None:
    good = [OK[Kind.SEARCH]]
    async with Misbehaving(in_turn(*good, refused(67200100))) as server, client_at(server.url) as client:
        await search(client)
        with anyio.move_on_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_rested, client, tasks.cancel_scope)
                for _ in range(20):
                    await failure_of(client, SEARCH)
        assert 15 < client.paused_s <= 30
        assert server.arrived <= 25
        client.stop()


async def _rested(client: Client, scope: anyio.CancelScope) -> None:
    for _ in range(1_000):
        await anyio.sleep(0.01)
        if client.paused_s > 0:
            scope.cancel()
            return


async def test_a_create_in_doubt_stays_in_doubt_when_the_vendor_goes_down(no_jitter: None) -> None:
    """What may be paid is recorded as such, even by the failure that would end the run."""
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


async def test_stop_reaches_calls_that_wait_for_their_permit_with_the_connection_open() -> None:
    meters = [FakeMeter() for _ in range(6)]
    stopped = 0
    async with Misbehaving(answers(OK[Kind.SEARCH])) as server, client_at(server.url, qps=1) as client:

        async def one(meter: FakeMeter) -> None:
            nonlocal stopped
            try:
                await search(client, meter)
            except Stopping:
                stopped += 1
                assert meter.log[-1] == "not_executed"

        with anyio.fail_after(10):
            async with anyio.create_task_group() as calls:
                for meter in meters:
                    calls.start_soon(one, meter)
                await anyio.sleep(0.3)
                client.stop()
    assert stopped == 5
    assert server.arrived == sum(meter.total for meter in meters) == 1
    assert any(meter.log == ["before", "not_executed"] for meter in meters)


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


@pytest.mark.parametrize(
    ("amounts", "units"),
    [
        (["1", "2", "0.5"], 3.5),
        (["", "x", "-1"], 0.0),
        (["²", "٣", "1²"], 0.0),
        (["1e9", "nan", "inf"], 0.0),
        (["1.", ".5", "1.2.3"], 1.5),
        (["\xff", "9" * 400, "3"], 3.0),
    ],
)
async def test_billed_units_are_summed_and_nonsense_costs_no_task(amounts: list[str], units: float) -> None:
    """A create has been paid when its headers are read: nothing in them may lose it."""

    async def vendor(caller: bad.Caller) -> None:
        for amount in amounts:
            await caller.request()
            raw = amount.encode("latin-1" if amount == "\xff" else "utf-8")
            await caller.say(http(200, CREATED, "x-openapi-amount: @").replace(b"@", raw))

    async with Misbehaving(vendor) as server, client_at(server.url) as client:
        for _ in amounts:
            assert (await create(client)).task_id == bad.TASK_ID
    assert client.stats.units == units
    assert server.arrived == len(amounts)


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"x" * 5_000], ids=["no UTF-8", "long"])
async def test_an_odd_correlation_id_can_be_written_down(raw: bytes) -> None:
    said = refused(68300004, "x-correlation-id: @").replace(b"@", raw)
    async with Misbehaving(answers(said)) as server, client_at(server.url) as client:
        error = await failure_of(client, SEARCH)
    assert error.correlation_id
    assert len(error.correlation_id.encode()) <= 600


async def test_the_patience_with_each_kind_is_as_agreed() -> None:
    assert PATIENCE_S == {Kind.UPLOAD: 60.0, Kind.SEARCH: 15.0, Kind.CREATE: 60.0, Kind.TOKEN: 15.0}


# --- slow limits ---


@pytest.fixture
def soon_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections grow old sooner than tests end."""
    monkeypatch.setattr("pipeline.calls.attempt.STALE_S", 0.6)


async def test_few_calls_a_second_still_go_out_one_after_another(soon_old: None) -> None:
    """Several connections wait for one permit a second; they may grow old, but the permits must not be wasted."""
    meters = [FakeMeter() for _ in range(3)]
    async with Misbehaving(answers(OK[Kind.SEARCH])) as server, client_at(server.url, qps=1) as client:
        with anyio.fail_after(12):
            async with anyio.create_task_group() as calls:
                for meter in meters:
                    calls.start_soon(search, client, meter)
    assert server.arrived == sum(meter.total for meter in meters) == 3
    assert client.limiters[Kind.SEARCH].sent == 3
    assert all(meter.log[-1] == "sent" for meter in meters)


async def test_a_limiter_that_was_slowed_down_far_keeps_its_rate(soon_old: None) -> None:
    """As many connections as the full rate needs wait; at a twentieth of it they all grow old."""
    meters = [FakeMeter() for _ in range(60)]
    done = 0
    async with Misbehaving(answers(OK[Kind.SEARCH])) as server, client_at(server.url, qps=500) as client:
        limiter = client.limiters[Kind.SEARCH]
        limiter.adaptive.rate = 15.0  # 40 after the first success

        async def one(meter: FakeMeter) -> None:
            nonlocal done
            await search(client, meter)
            done += 1

        with anyio.fail_after(12):
            async with anyio.create_task_group() as calls:
                for meter in meters:
                    calls.start_soon(one, meter)
    assert done == server.arrived == limiter.sent == 60


async def test_a_connection_that_grew_old_is_made_anew_before_anything_is_sent(soon_old: None) -> None:
    """A server closes idle connections; a create that meets the close would be in doubt for nothing."""
    meter = FakeMeter()
    async with Misbehaving(answers(OK[Kind.CREATE])) as server, client_at(server.url) as client:
        meter.on_before = lambda: client.limiters[Kind.CREATE].pause(0.8) if len(meter.noted) == 0 else None
        with anyio.fail_after(10):
            assert await create(client, meter)
    assert meter.log == ["before", "not_executed", "before", "sent"]
    assert meter.taken_back == [False]
    assert server.connections == 2
    assert server.arrived == client.limiters[Kind.CREATE].sent == 1
    assert client.stats.retried == 0


async def test_a_search_that_hangs_is_given_up_and_repeated(no_jitter: None) -> None:
    async with (
        Misbehaving(bad.hang, answers(OK[Kind.SEARCH])) as server,
        client_at(server.url, patience_s=LATER_S) as client,
    ):
        assert await search(client)
    assert (server.arrived, client.stats.retried) == (2, 1)
