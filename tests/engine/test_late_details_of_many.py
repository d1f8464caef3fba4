"""Details that come after their records, of several items at once: one that got none is not forgotten over others."""

import functools

import anyio
import pytest

from pipeline.endpoints.details import Details
from pipeline.engine.catching_up import gained
from pipeline.engine.details import HitDetails
from pipeline.engine.patent_budget import PatentBudget
from pipeline.results.patent_counts import PatentCounts
from tests.support.patents import MemoryCache, PatentPurse, PatentVendor, Remembered, batches_of

pytestmark = pytest.mark.anyio


async def test_an_item_that_got_none_while_another_was_written_is_left_to_the_next_run() -> None:
    begun, written = anyio.Event(), anyio.Event()

    async def late(item: str, found: Details) -> bool:
        assert item == "known"
        begun.set()
        await written.wait()
        return True

    budget = PatentBudget(PatentPurse(), Remembered(), PatentCounts())
    never = PatentVendor(answering=anyio.sleep_forever)
    async with batches_of(never, MemoryCache(a=b'{"number":"A"}')) as batches, anyio.create_task_group() as group:
        details = HitDetails(batches, None, budget=budget, top=1, above=0.0, late=late)
        await group.start(details.run)
        details.catch_up("unknown", ["b"], functools.partial(gained, {}, ["b"]))
        details.catch_up("known", ["a"], functools.partial(gained, {}, ["a"]))
        await begun.wait()
        details.stop()  # "b" gets no answer now
        await anyio.wait_all_tasks_blocked()
        written.set()
        assert await details.finish() is False
        group.cancel_scope.cancel()
