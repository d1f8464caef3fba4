"""The client against the sandbox next door, on real sockets and in real time."""

from itertools import pairwise

import anyio
import pytest

from pipeline.endpoints.interface import Creation
from pipeline.endpoints.patsnap.ai39_1 import TaskCreation
from pipeline.endpoints.patsnap.p009 import P009Filters, P009Search
from pipeline.endpoints.patsnap.p010 import PictureUpload
from pipeline.endpoints.patsnap.p060 import P060Search
from pipeline.models import Kind
from pipeline.results.hits import choose
from pipeline.sandbox.faults import FaultPlan
from pipeline.sources.pictures import Picture
from tests.support.clients import CLIENT, PRODUCT, FakeMeter, client_at, search
from tests.support.fixtures import Start

pytestmark = pytest.mark.anyio


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
    sent = {kind: count for kind, count in client.stats.sent.items() if count}
    assert sent == {Kind.TOKEN: 1, Kind.UPLOAD: 1, Kind.SEARCH: 2, Kind.CREATE: 1}
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


async def test_a_search_that_failed_in_passing_succeeds(sandbox: Start, no_jitter: None) -> None:
    script = ["67200100", "http_502", "lost", "ok"]
    server = sandbox(faults=FaultPlan.scripted({"search": script}))
    meter = FakeMeter()
    async with client_at(server.url) as client:
        hits = await search(client, meter)
    assert len(hits.scores) == 3
    assert server.stats.calls("search") == meter.total == 4
    assert hits.request_id == meter.noted[-1]


# --- the account's limit ---


def most_in_a_second(times: list[float]) -> int:
    """The largest number of calls in any sliding second."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_a_sliding_second_is_counted_right() -> None:
    assert most_in_a_second([0.0, 0.5, 0.999, 1.0, 1.4]) == 4
    assert most_in_a_second([0.0, 1.0, 2.0]) == 1


@pytest.mark.proofs
async def test_many_searches_at_the_limit_are_all_answered_and_counted(sandbox: Start) -> None:
    server = sandbox(qps=50)
    log: list[float] = []
    meters = [FakeMeter() for _ in range(99)]
    async with client_at(server.url, qps=50, on_sent=lambda _, at: log.append(at)) as client:
        await search(client)  # the first one opens the gallery
        async with anyio.create_task_group() as calls:
            for meter in meters:
                calls.start_soon(search, client, meter)
    refused = client.stats.too_fast[Kind.SEARCH]
    assert server.stats.executed["search"] == 100
    assert len(log) == 100 + refused == server.stats.calls("search") == sum(meter.total for meter in meters) + 1
    assert all(earlier <= later for earlier, later in pairwise(log))
    assert most_in_a_second(log) <= 50
