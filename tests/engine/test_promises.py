"""Calls promised to items: the budgets are used up to the end, and nothing is begun that they do not let finish."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.endpoints.interface import Endpoint
from pipeline.engine.promises import Promises
from pipeline.errors import MONEY
from pipeline.journal.purse import Tariff
from pipeline.leases.money import CHUNK, SharedBudget
from pipeline.models import KINDS, Kind, State, budget_name
from pipeline.ports import Meter
from pipeline.sources.pictures import Picture
from tests.support.engine_runs import many, run_engine
from tests.support.fakes import NOTHING, FakeVendor, item, open_journal, states, url, work_of
from tests.support.processes import PATIENCE_S
from tests.support.shared_store import MemoryStore

pytestmark = pytest.mark.anyio

UPLOAD, SEARCH, CREATE, QUERY = Kind.UPLOAD, Kind.SEARCH, Kind.CREATE, Kind.QUERY


def sent(vendor: FakeVendor) -> tuple[int, ...]:
    kinds = [kind for kind, _ in vendor.sent]
    return tuple(kinds.count(kind) for kind in (UPLOAD, SEARCH, CREATE))


async def step(kind: Kind, url: str) -> None:
    for _ in range(5):
        await anyio.sleep(0)


@pytest.mark.parametrize("in_flight", [1, 7, 40])
@pytest.mark.parametrize("scarce", [SEARCH, CREATE, UPLOAD])
async def test_as_many_pictures_are_uploaded_as_are_searched_and_made_tasks_of(
    tmp_path: Path, scarce: Kind, in_flight: int
) -> None:
    vendor = FakeVendor(pause=step)
    pictures = {f"{n}.jpg": Picture(b"%d" % n, "jpeg", f"{n:064}") for n in range(30)}
    items = [item(n, source=f"{n}.jpg", local=True) for n in range(30)]
    api = {"max_in_flight": in_flight}
    engine = await run_engine(
        tmp_path, vendor, items, pictures=pictures, budgets={scarce: 6}, api=api, upload={"public": True}
    )
    assert (sent(vendor), engine.ended_by.code) == ((6, 6, 6), "budget")
    assert list(states(tmp_path).values()).count(State.TASKED) == 6


async def test_what_items_under_way_turn_out_not_to_need_is_waited_for_and_used(tmp_path: Path) -> None:
    """Of twelve pictures five have no hits: seven creates are enough for all of them."""
    vendor = FakeVendor({(SEARCH, url(n)): [NOTHING] for n in (1, 2, 3, 5, 8)}, pause=step)
    engine = await run_engine(tmp_path, vendor, many(12), budgets={CREATE: 7}, api={"max_in_flight": 12})
    assert (engine.ended_by, sent(vendor)) == (None, (0, 12, 7))


async def test_a_repetition_takes_one_call_and_the_others_use_the_rest_of_the_budget(tmp_path: Path) -> None:
    """However many items are ready to be begun: the budget is used to its last call."""

    repeated = anyio.Event()

    class Repeating(FakeVendor):
        async def call(self, endpoint: Endpoint[Any, Any], asked: Any, meter: Meter) -> Any:
            if endpoint.kind is not SEARCH or asked != url(1):
                return await super().call(endpoint, asked, meter)
            await meter.before(SEARCH, "first")
            meter.sent(SEARCH)
            self.sent.append((SEARCH, asked))
            while self.most_under_way < 4:
                await anyio.sleep(0)
            await step(SEARCH, asked)
            meter.not_executed(SEARCH)
            repeated.set()
            return await super().call(endpoint, asked, meter)

    async def answering(kind: Kind, picture: str) -> None:
        await repeated.wait()

    vendor = Repeating(pause=answering)
    engine = await run_engine(tmp_path, vendor, many(20), budgets={SEARCH: 10}, api={"max_in_flight": 5})
    assert (engine.ended_by.code, sent(vendor)) == ("budget", (0, 10, 9))
    assert list(states(tmp_path).values()).count(State.TASKED) == 9


async def test_a_repeated_call_takes_nothing_that_is_promised_to_another_item(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 2, CREATE: 5}) as journal:
        promises = Promises(journal.budget, tasks=True)
        assert [await promises.make(work_of(n)) for n in (1, 2)] == [None, None]
        assert promises.claim(1, SEARCH) is None
        await journal.budget.reserve(SEARCH)
        promises.counted(1, SEARCH)
        assert promises.claim(1, SEARCH) is SEARCH, "the one that is left is promised to the other"
        promises.end(2)
        assert promises.claim(1, SEARCH) is None


async def test_once_no_question_is_asked_any_more_no_item_is_begun_that_waits_for_its_report(tmp_path: Path) -> None:
    """The questions that are left over are for the next run: this one would pay for a task that it does not read."""
    async with open_journal(tmp_path, budgets={QUERY: 4}) as journal:
        promises = Promises(journal.budget, tasks=True, reports=True)
        assert await promises.make(work_of(1)) is None
        promises.end_questions()
        promises.await_report(1)
        assert journal.budget.left(QUERY) == 4
        assert await promises.make(work_of(2)) is QUERY


async def test_nobody_waits_for_money_that_is_held_for_questions_which_are_not_asked_any_more(tmp_path: Path) -> None:
    prices = {SEARCH: Decimal(1), CREATE: Decimal(1), QUERY: Decimal(1)}
    lacking: list[str | None] = []
    async with open_journal(tmp_path, tariff=Tariff(prices, Decimal(4))) as journal:
        promises = Promises(journal.budget, tasks=True, reports=True)

        async def make() -> None:
            lacking.append(await promises.make(work_of(2)))

        assert await promises.make(work_of(1)) is None
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                group.start_soon(make)
                await anyio.wait_all_tasks_blocked()
                assert not lacking
                assert promises.claim(1, QUERY) is promises.claim(3, QUERY) is None
                promises.end_questions()
        assert lacking == [MONEY]
        promises.end(3)
        promises.await_report(1)
        assert promises.money() == 0, "what no question costs is there for others"


async def test_an_unsent_call_stays_promised_to_its_item(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 1}) as journal:
        promises = Promises(journal.budget, tasks=False)
        assert await promises.make(work_of(1)) is None
        assert promises.claim(1, SEARCH) is None
        await journal.budget.reserve(SEARCH)
        promises.counted(1, SEARCH)
        journal.budget.release(SEARCH)
        promises.not_counted(1, SEARCH)
        assert promises.claim(2, SEARCH) is SEARCH
        assert promises.claim(1, SEARCH) is None


async def test_two_machines_begin_no_item_that_the_other_one_leaves_no_create_for(tmp_path: Path) -> None:
    """All creates of the budget are made, and no search is paid that no create follows."""
    store, vendors = MemoryStore(), [FakeVendor(pause=step), FakeVendor(pause=step)]
    caps = dict.fromkeys((*map(budget_name, (*KINDS, Kind.DETAILS)), MONEY)) | {"create_calls": Decimal(90)}
    ended: list[Any] = []

    async def machine(number: int) -> None:
        shared = SharedBudget(store, "acme", "autumn", caps, sharers=lambda: 2)
        engine = await run_engine(
            tmp_path / str(number),
            vendors[number],
            many(200, start=1 + 200 * number),
            budgets={CREATE: 90},
            api={"max_in_flight": 30},
            shared=shared,
        )
        ended.append(engine.ended_by.code)

    async with anyio.create_task_group() as both:
        both.start_soon(machine, 0)
        both.start_soon(machine, 1)
    uploads, searches, creates = (sum(counts) for counts in zip(*map(sent, vendors), strict=True))
    assert ended == ["budget", "budget"]
    assert (uploads, creates) == (0, searches)
    assert 90 - CHUNK <= creates <= 90, "who ends last may leave what the other one gave back"
