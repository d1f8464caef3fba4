"""What is worked on first: what is paid and expires soonest; the rest in the job's order."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.errors import GivenUp, RunPaused, TryAgain
from pipeline.journal.journal import Journal
from pipeline.journal.sql.items import counts
from pipeline.models import HITS_LIFE_S, UPLOAD_LIFE_S, Calls, Item, Kind, Problem, State, Upload
from pipeline.sources.pictures import Picture
from tests.support.engine_runs import error, many, run_engine
from tests.support.fakes import (
    NOW,
    FakeVendor,
    admitted,
    dead_copy,
    engine_of,
    hits,
    item,
    job,
    look,
    open_journal,
    records,
    rows,
    states,
    url,
    work_of,
)

SEARCH, CREATE = Kind.SEARCH, Kind.CREATE
HOUR_S = 3600.0


async def searched(journal: Journal, number: int, *, hours_ago: float) -> None:
    """An item whose search an earlier run paid."""
    journal.steps.put_back(work_of(number, calls=Calls(search=1)), hits(at=NOW - hours_ago * HOUR_S))


def order(vendor: FakeVendor, kind: Kind) -> list[str]:
    return [where for sent, where in vendor.sent if sent is kind]


async def run_all(folder: Path, vendor: FakeVendor, journal: Journal, count: int, **changes: Any) -> None:
    """Run the items 1 to `count`, one after the other."""
    spec = job(folder, images=count, upload={"public": True}, api={"max_in_flight": 1})
    items: list[Item] = [item(number, **changes) for number in range(1, count + 1)]
    pictures = {one.source: Picture(one.source.encode(), "jpeg", "0" * 64) for one in items}
    engine = await engine_of(spec, journal, vendor, items, pictures=pictures)
    with anyio.fail_after(60):
        await engine.run()


@pytest.mark.anyio
async def test_paid_hits_go_first_the_oldest_before_all_others(tmp_path: Path) -> None:
    vendor = FakeVendor()
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, *range(1, 101))
        for number in range(2, 80):  # more than are taken at once; in another order than the job's
            await searched(journal, number, hours_ago=(number * 37) % 79 / 10)
        await run_all(tmp_path, vendor, journal, 100)
    creates = order(vendor, Kind.CREATE)
    by_age = sorted(range(2, 80), key=lambda number: -((number * 37) % 79))
    assert creates[:78] == [url(number) for number in by_age]
    assert creates[78:] == [url(number) for number in (1, *range(80, 101))]
    assert len(order(vendor, Kind.SEARCH)) == 22


@pytest.mark.anyio
async def test_among_the_rest_the_upload_that_expires_soonest_goes_first(tmp_path: Path) -> None:
    """The sixth upload is too old already: it is uploaded again in its turn."""
    vendor = FakeVendor()
    left_h = {4: 8.0, 2: 3.0, 7: 0.5, 6: 0.2}
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, *range(1, 9), local=True)
        for number, hours in left_h.items():
            journal.steps.uploaded(
                work_of(number), Upload(f"https://up.example/{number}", NOW + hours * HOUR_S), "0" * 64
            )
        await run_all(tmp_path, vendor, journal, 8, local=True)
    searches = order(vendor, Kind.SEARCH)
    assert searches[:3] == [f"https://up.example/{number}" for number in (7, 2, 4)]
    assert len(searches) == 8
    assert len(order(vendor, Kind.UPLOAD)) == 5
    assert set(states(tmp_path / "run").values()) == {State.TASKED}


@pytest.mark.anyio
async def test_hits_that_cannot_make_it_are_searched_again_once_and_counted(tmp_path: Path) -> None:
    vendor = FakeVendor()
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1, 2)
        await searched(journal, 1, hours_ago=8.76)  # less than 15 minutes left
        await searched(journal, 2, hours_ago=8.74)
        await run_all(tmp_path, vendor, journal, 2)
    assert order(vendor, Kind.SEARCH) == [url(1)]
    assert order(vendor, Kind.CREATE) == [url(2), url(1)]


@pytest.mark.anyio
@pytest.mark.parametrize(("waits", "state"), [(1, State.TASKED), (9, State.EXPIRED)])
async def test_hits_that_grow_too_old_while_the_create_waits_are_searched_once_more(
    tmp_path: Path, waits: int, state: State
) -> None:
    """The create waits longer than hits live, once or always; the first wait is on hits that an earlier run paid."""
    left = waits

    class Slow(FakeVendor):
        async def arriving(self, kind: Kind) -> None:
            nonlocal left
            if left and kind is Kind.CREATE:
                left -= 1
                self.now += HITS_LIFE_S

    vendor = Slow()
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        await searched(journal, 1, hours_ago=1.0)
        await run_all(tmp_path, vendor, journal, 1)
        assert await look(journal, lambda disk: counts(disk.db)) == {state: 1}
    assert order(vendor, Kind.SEARCH) == [url(1)]
    assert len(order(vendor, Kind.CREATE)) == (state is State.TASKED)


@pytest.mark.anyio
async def test_hits_that_replace_those_that_grew_too_old_survive_a_kill(tmp_path: Path) -> None:
    class Slow(FakeVendor):
        async def arriving(self, kind: Kind) -> None:
            if kind is Kind.CREATE and Kind.SEARCH not in dict(self.sent):
                self.now += HITS_LIFE_S

        async def answering(self, kind: Kind, where: str) -> None:
            if kind is Kind.CREATE:
                dead_copy(tmp_path / "run", tmp_path / "dead")

    vendor = Slow()
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        await searched(journal, 1, hours_ago=1.0)
        await run_all(tmp_path, vendor, journal, 1)
    async with open_journal(tmp_path / "dead", duplicates=1) as journal:
        [work] = await journal.waiting.take_doubtful(after=0, generation=1, now=vendor.now)
    assert work.hits is not None
    assert work.hits.at == vendor.now


@pytest.mark.anyio
async def test_an_item_whose_work_began_is_not_begun_again_when_the_rest_is_read(tmp_path: Path) -> None:
    """It still looks like one that waits: all that is known of it is its upload."""
    last_was_searched = anyio.Event()

    async def answering(kind: Kind, where: str) -> None:
        if kind is Kind.SEARCH:
            last_was_searched.set() if where == url(2) else await last_was_searched.wait()

    vendor = FakeVendor(pause=answering)
    spec = job(tmp_path, upload={"public": True}, api={"max_in_flight": 3})
    items = [item(1, source="a.jpg", local=True), item(2)]
    async with open_journal(tmp_path / "run") as journal:
        await journal.admit(items, generation=1, accept_changes=False)
        journal.steps.uploaded(work_of(1), Upload("https://up.example/1", NOW + 3 * HOUR_S), "0" * 64)
        with anyio.fail_after(60):
            await (await engine_of(spec, journal, vendor, items)).run()
    assert sorted(order(vendor, Kind.SEARCH)) == [url(2), "https://up.example/1"]


@pytest.mark.anyio
async def test_an_expired_item_is_searched_and_created_by_the_next_run(tmp_path: Path) -> None:
    vendor = FakeVendor()
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        [work] = await journal.waiting.take(State.PENDING, after=0, generation=1, now=NOW)
        problem = Problem("create", "expired", "the vendor's links expired before they were used", "retry", True)
        await journal.steps.leave_open(work, State.EXPIRED, problem, hits(at=NOW - UPLOAD_LIFE_S))
        assert await journal.requeue_failed() == 1
        await run_all(tmp_path, vendor, journal, 1)
    assert [kind for kind, _ in vendor.sent] == [Kind.SEARCH, Kind.CREATE]
    assert rows(tmp_path / "run", "state") == [(State.TASKED,)]


# --- the second pass ---


def given_up() -> GivenUp:
    return GivenUp(TryAgain("the vendor's service failed", code="68300008", attempts=4))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fails", "refilled", "tasked", "searches"),
    [
        pytest.param(1, True, 6, 9, id="they pass the second time"),
        pytest.param(2, True, 3, 9, id="they fail again and stay failed"),
        pytest.param(1, False, 3, 6, id="there are still too few retries"),
    ],
)
async def test_what_gave_up_for_want_of_retries_gets_one_more_pass_when_they_are_back(
    tmp_path: Path, fails: int, refilled: bool, tasked: int, searches: int
) -> None:
    scripts = {(Kind.SEARCH, url(number)): [given_up() for _ in range(fails)] for number in (1, 3, 5)}
    vendor = FakeVendor(scripts, retries_left=refilled)
    async with open_journal(tmp_path / "run") as journal:
        spec = job(tmp_path, images=6, api={"max_in_flight": 3})
        engine = await engine_of(spec, journal, vendor, [item(n) for n in range(1, 7)])
        with anyio.fail_after(60):
            await engine.run()
        counted = engine.items()
    found = list(states(tmp_path / "run").values())
    assert found.count(State.TASKED) == counted[State.TASKED] == tasked
    assert found.count(State.FAILED) == counted[State.FAILED] == 6 - tasked
    assert len(order(vendor, Kind.SEARCH)) == searches


@pytest.mark.anyio
async def test_the_second_pass_of_a_create_searches_nothing_again(tmp_path: Path) -> None:
    unsent = TryAgain("the vendor could not be reached", code="not_sent", sent=False)
    vendor = FakeVendor({(Kind.CREATE, url(1)): [GivenUp(unsent)]})
    async with open_journal(tmp_path / "run") as journal:
        await (await engine_of(job(tmp_path), journal, vendor, [item(1)])).run()
    assert vendor.sent == [(Kind.SEARCH, url(1)), (Kind.CREATE, url(1))]
    assert list(states(tmp_path / "run").values()) == [State.TASKED]


@pytest.mark.anyio
async def test_what_failed_for_another_reason_gets_no_second_pass(tmp_path: Path) -> None:
    vendor = FakeVendor({(Kind.SEARCH, url(1)): [TryAgain("four times", code="68300008", attempts=4)]})
    async with open_journal(tmp_path / "run") as journal:
        await (await engine_of(job(tmp_path), journal, vendor, [item(1)])).run()
    assert vendor.sent == [(Kind.SEARCH, url(1))]
    assert list(states(tmp_path / "run").values()) == [State.FAILED]


# --- over several runs ---


@pytest.mark.anyio
async def test_paid_searches_come_first(tmp_path: Path) -> None:
    """Their hits die after nine hours."""
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, 2, 3)
        journal.steps.put_back(work_of(3, calls=Calls(0, 1, 0)), hits())
        await look(journal, lambda disk: None)
    vendor = FakeVendor()
    engine = await run_engine(tmp_path, vendor, many(3), api={"max_in_flight": 1}, generation=1)
    assert engine.ended_by is None
    assert vendor.sent[0] == (CREATE, url(3))
    assert (SEARCH, url(3)) not in vendor.sent


@pytest.mark.anyio
async def test_paid_searches_are_found_also_when_the_last_run_ended_before_all_items_were_in(tmp_path: Path) -> None:
    """All items are read again then, and which of them are still listed is only known in the end."""
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, 2, 3)
        journal.steps.put_back(work_of(2, calls=Calls(0, 1, 0)), hits())
        await look(journal, lambda disk: None)
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, many(5), generation=2)
    assert list(states(tmp_path).values()) == [State.TASKED] * 5
    assert (SEARCH, url(2)) not in vendor.sent


@pytest.mark.anyio
async def test_hits_too_old_for_a_task_are_searched_again_in_the_same_run(tmp_path: Path) -> None:
    await run_engine(tmp_path, FakeVendor({(CREATE, url(1)): [error(RunPaused)]}), [item(1)])
    late = FakeVendor(now=NOW + 9 * 3600)
    await run_engine(tmp_path, late, [item(1)], generation=2)
    assert late.sent == [(SEARCH, url(1)), (CREATE, url(1))]
    assert records(tmp_path)[0]["calls"] == {"upload": 0, "search": 2, "create": 2}


@pytest.mark.anyio
async def test_settled_items_are_never_sent_again(tmp_path: Path) -> None:
    vendor = FakeVendor()
    for generation in (1, 2, 3):
        await run_engine(tmp_path, vendor, many(5), generation=generation)
    assert len(vendor.sent) == 10
    assert len(records(tmp_path)) == 5
