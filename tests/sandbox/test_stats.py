"""Counts of what came to a sandbox."""

import aiohttp
import anyio
import pytest

from pipeline.sandbox.faults import FaultPlan
from tests.support.fixtures import Start
from tests.support.sandbox_calls import create, search


def scripted(**scripts: list[str]) -> FaultPlan:
    return FaultPlan.scripted(scripts)


@pytest.mark.anyio
class TestStats:
    async def test_arrivals_are_logged_per_endpoint_refused_ones_included(self, start: Start) -> None:
        server = start(qps=0.001)
        await search(server)
        await search(server)
        await create(server)
        first, second = server.stats.arrivals("search")
        assert first <= second
        assert (server.stats.calls("search"), server.stats.calls("create"), server.stats.calls("query")) == (2, 1, 0)
        assert server.stats.arrivals("query") == []

    async def test_outcomes_and_executions_are_told_apart(self, start: Start) -> None:
        server = start(faults=scripted(search=["http_502", "lost"]))
        await search(server)
        with pytest.raises(aiohttp.ClientError):
            await search(server)
        await search(server)
        assert server.stats.outcomes == {"search": {"http_502": 1, "reset.after": 1, "ok": 1}}
        assert server.stats.executed == {"search": 2}

    async def test_the_loops_lag_is_measured(self, start: Start) -> None:
        server = start()
        while server.stats.lag_max_s == 0.0:
            await anyio.sleep(0.01)
        assert 0 <= server.stats.lag_p99_s <= server.stats.lag_max_s

    def test_the_most_in_a_second_is_of_any_sliding_second(self) -> None:
        from pipeline.sandbox.stats import SandboxStats

        stats = SandboxStats()
        assert stats.most_in_a_second("search") == 0
        stats._arrivals["search"].extend([0.0, 0.9, 1.0, 1.8, 1.9, 5.0])
        assert stats.most_in_a_second("search") == 4
