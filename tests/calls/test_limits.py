"""The account's limit: a strict vendor next door, and what the client's own log says."""

from itertools import pairwise

import anyio
import pytest

from pipeline.calls.limiter import MARGIN_S
from pipeline.models import Kind
from tests.calls.conftest import FakeMeter, Start, client_at, search

pytestmark = pytest.mark.anyio

REFUSED = "67200002"


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


async def test_two_hundred_searches_at_the_limit_lose_none_and_are_hardly_ever_refused(sandbox: Start) -> None:
    server = sandbox(qps=50)
    log: list[float] = []
    meters = [FakeMeter() for _ in range(200)]
    async with client_at(server.url, qps=50, on_sent=lambda _, at: log.append(at)) as client:
        await search(client)  # the first one opens the gallery
        async with anyio.create_task_group() as calls:
            for meter in meters:
                calls.start_soon(search, client, meter)
    refused = client.stats.too_fast[Kind.SEARCH]
    assert server.stats.executed["search"] == 201
    # 1 %; but a server whose own clock comes late takes calls for closer together than they were sent.
    assert refused <= (2 if server.stats.lag_p99_s < MARGIN_S else 20)
    assert len(log) == 201 + refused == server.stats.calls("search") == sum(meter.total for meter in meters) + 1
    assert all(earlier <= later for earlier, later in pairwise(log))
    assert most_in_a_second(log) <= 50


async def test_asked_for_more_than_the_account_has_the_rate_falls_and_none_is_lost(sandbox: Start) -> None:
    server = sandbox(qps=40)
    log: list[float] = []
    meters = [FakeMeter() for _ in range(150)]
    async with client_at(server.url, qps=50, on_sent=lambda _, at: log.append(at)) as client:
        async with anyio.create_task_group() as calls:
            for meter in meters:
                calls.start_soon(search, client, meter)
        rate = client.limiters[Kind.SEARCH].rate
        others = {client.limiters[kind].rate for kind in (Kind.UPLOAD, Kind.CREATE)}
    outcomes = server.stats.outcomes["search"]
    assert outcomes["ok"] == 150
    assert outcomes.get(REFUSED, 0) == client.stats.too_fast[Kind.SEARCH] > 0
    assert server.stats.calls("search") == sum(meter.total for meter in meters) == len(log)
    assert 20.0 <= rate < 50.0
    assert others == {50.0}
    assert most_in_a_second(log) <= 50
