"""What the engine is promised: budgets that hold over deaths, hits that are paid once, outcomes that stay."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import anyio
import pytest

from pipeline.errors import JournalError, RunPaused
from pipeline.journal import journal as journal_module
from pipeline.journal.budget import FIRST_LEASE, MAX_LEASE
from pipeline.journal.journal import Journal
from pipeline.journal.spool import mark_of
from pipeline.journal.sql.rows import SpoolRef, note_of
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, Calls, Kind, Problem, State, Task, Upload
from tests.support.fakes import (
    NOW,
    admitted,
    assert_index_matches,
    dead_copy,
    hits,
    look,
    open_journal,
    records,
    rows,
    states,
    work_of,
)

pytestmark = pytest.mark.anyio

SEARCH, CREATE = Kind.SEARCH, Kind.CREATE
PASSING = Problem("search", "67200100", "busy", "retry", True)
REFUSED = Problem("search", "68300010", "no", "fail", False)
LOST = Problem("create", "no_answer", "lost", "in_doubt", False)


@pytest.fixture
async def broken() -> AsyncIterator[AsyncExitStack]:
    """Closes journals whose writing has failed, which each of them says once more."""
    stack = AsyncExitStack()
    yield stack
    with suppress(JournalError):
        await stack.aclose()


async def spend(journal: Journal, kind: Kind, count: int) -> None:
    for _ in range(count):
        await journal.reserve(kind)
        journal.sent(kind)


async def spend_all(journal: Journal, kind: Kind, *, most: int = 10_000) -> int:
    """Spend until the budget stops it; return how many calls that were."""
    for count in range(most):
        try:
            await spend(journal, kind, 1)
        except RunPaused:
            return count
    raise AssertionError("the budget never stopped")


async def reserved_on_disk(journal: Journal, kind: Kind = SEARCH) -> int:
    return (await look(journal, lambda disk: disk.store.calls()))[kind][0]


# --- budgets ---


@pytest.mark.parametrize("cap", [0, 1, 15, 16, 17, 100, 2000])
async def test_budget_is_spent_to_the_last_call_and_not_beyond(cap: int, tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: cap}) as journal:
        assert await spend_all(journal, SEARCH) == cap
        assert journal.calls[SEARCH].sent == cap


async def test_used_up_budget_pauses_the_run_and_names_its_key(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={CREATE: 1200}) as journal:
        await spend(journal, CREATE, 1200)
        with pytest.raises(RunPaused, match=r"api\.budget\.create_calls is 1,200; raise it") as caught:
            await journal.reserve(CREATE)
    assert (caught.value.exit_code, caught.value.sent) == (4, False)


async def test_call_counts_on_disk_before_it_may_be_sent(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 3}) as journal:
        for count in (1, 2, 3):
            await journal.reserve(SEARCH)
            assert await reserved_on_disk(journal) >= count


async def test_released_call_can_be_spent_again(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 2}) as journal:
        for _ in range(10):
            await journal.reserve(SEARCH)
            journal.release(SEARCH)
        assert await spend_all(journal, SEARCH) == 2


async def test_kinds_have_budgets_of_their_own_and_none_is_no_cap(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={CREATE: 1}) as journal:
        assert await spend_all(journal, CREATE) == 1
        await spend(journal, SEARCH, 3 * MAX_LEASE)
        assert journal.calls[SEARCH].used == 3 * MAX_LEASE


async def test_budget_holds_when_many_ask_at_once(tmp_path: Path) -> None:
    granted = 0

    async def ask(journal: Journal) -> None:
        nonlocal granted
        try:
            await journal.reserve(SEARCH)
        except RunPaused:
            return
        granted += 1

    async with open_journal(tmp_path, budgets={SEARCH: 150}) as journal:
        async with anyio.create_task_group() as many:
            for _ in range(400):
                many.start_soon(ask, journal)
        assert granted == 150
        assert await reserved_on_disk(journal) == 150


async def test_budget_holds_over_a_clean_end_and_loses_nothing(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 100}) as journal:
        await spend(journal, SEARCH, 30)
    async with open_journal(tmp_path, budgets={SEARCH: 100}) as journal:
        assert journal.calls[SEARCH].sent == 30
        assert await spend_all(journal, SEARCH) == 70


async def test_after_a_death_everything_reserved_counts_as_spent(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run", budgets={SEARCH: 100}) as journal:
        await spend(journal, SEARCH, 30)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead, budgets={SEARCH: 100}) as journal:
        left = await spend_all(journal, SEARCH)
        assert 30 + left <= 100
        assert left >= 100 - 30 - MAX_LEASE


async def test_budget_holds_over_death_after_death(tmp_path: Path) -> None:
    folder, spent = tmp_path / "run", 0
    for death in range(12):
        async with open_journal(folder, budgets={SEARCH: 200}) as journal:
            for _ in range(23):
                try:
                    await spend(journal, SEARCH, 1)
                except RunPaused:
                    break
                spent += 1
            folder = dead_copy(folder, tmp_path / f"dead-{death}")
    assert 150 <= spent <= 200


async def test_counts_that_follow_to_disk_never_shrink_a_lease_that_is_on_its_way(tmp_path: Path) -> None:
    """The watcher notes counts once a second, also in the moment a lease is being written."""
    async with open_journal(tmp_path, linger_s=0.005) as journal:
        async with anyio.create_task_group() as around:
            around.start_soon(journal.reserve, SEARCH)
            await anyio.sleep(0)
            await anyio.sleep(0)
            journal.note_calls(0.0)
        assert journal.calls[SEARCH].used == 1
        assert await reserved_on_disk(journal) >= 1


async def test_sent_calls_follow_to_disk(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await spend(journal, SEARCH, 5)
        journal.note_calls(0.0)
        await look(journal, lambda disk: None)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead) as journal:
        assert (journal.calls[SEARCH].sent, journal.calls[SEARCH].used) == (5, FIRST_LEASE)


async def test_raised_budget_goes_on(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 10}) as journal:
        await spend_all(journal, SEARCH)
    async with open_journal(tmp_path, budgets={SEARCH: 15}) as journal:
        assert await spend_all(journal, SEARCH) == 5


async def test_lowered_budget_stops_at_once(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 10}) as journal:
        await spend_all(journal, SEARCH)
    async with open_journal(tmp_path, budgets={SEARCH: 5}) as journal:
        assert await spend_all(journal, SEARCH) == 0


# --- the way of an item ---


async def test_intent_is_durable_with_its_hits_when_it_returns(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        await journal.intend(work_of(1, calls=Calls(0, 1, 0)), hits(), request_id="asked", at=NOW)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    assert rows(dead, "state, intent, attempt, segment, calls") == [
        (2, "asked", 1, 1, '{"upload":0,"search":1,"create":1}')
    ]
    async with open_journal(dead) as journal:
        assert states(dead) == {"SKU-1": State.IN_DOUBT}
        ref = SpoolRef(*(rows(dead, "segment, spooled_at, spooled")[0]))
        assert await look(journal, lambda disk: disk.spool.read(ref, mark=mark_of(1, note_of(hits())))) == hits().array


async def test_settled_item_is_durable_line_and_state_when_it_returns(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        work = work_of(1, calls=Calls(0, 1, 1))
        await journal.intend(work, hits(), request_id="asked", at=NOW)
        await journal.settle(work, State.TASKED, b'{"item":"SKU-1"}\n', Task("t-1", NOW))
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
        id_, state, line, problem = await journal.standing(1)
        assert (id_, state, line, problem) == ("SKU-1", State.TASKED, b'{"item":"SKU-1"}\n', None)
    assert records(dead) == [{"item": "SKU-1"}]
    assert rows(dead, "state, task_id, segment") == [(10, "t-1", None)]
    assert_index_matches(dead)


async def test_open_item_is_durable_with_its_reason_and_its_hits_when_it_returns(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        await journal.leave_open(work_of(1, calls=Calls(0, 1, 0)), State.FAILED, PASSING, hits())
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead) as journal:
        assert (await journal.standing(1))[1:] == (State.FAILED, None, PASSING)
        assert await journal.requeue_failed() == 1
        (work,) = await journal.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert (work.hits, work.calls) == (hits(), Calls(0, 1, 0))


async def test_refused_change_latches_the_journal(tmp_path: Path, broken: AsyncExitStack) -> None:
    """What is in doubt can never be settled by a search alone."""
    journal = await broken.enter_async_context(open_journal(tmp_path))
    await admitted(journal, 1)
    await journal.intend(work_of(1), hits(), request_id="asked", at=NOW)
    await journal.leave_open(work_of(1), State.IN_DOUBT, LOST, hits())
    with pytest.raises(JournalError):
        await journal.settle(work_of(1), State.NO_HITS, b'{"item":"SKU-1"}\n', None)
    with pytest.raises(JournalError):
        await journal.reserve(SEARCH)
    with pytest.raises(JournalError):
        journal.put_back(work_of(1), None)
    assert states(tmp_path) == {"SKU-1": State.IN_DOUBT}


async def test_failed_journal_is_closed_all_the_same(tmp_path: Path, broken: AsyncExitStack) -> None:
    journal = await broken.enter_async_context(open_journal(tmp_path))
    with pytest.raises(JournalError):
        await journal.settle(work_of(77), State.NO_HITS, b"{}\n", None)
    with pytest.raises(JournalError):
        await broken.aclose()
    assert not journal._writer._thread.is_alive()


async def test_upload_is_remembered_for_the_next_run(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, local=True, source="a.jpg")
        journal.uploaded(work_of(1), Upload("https://up.example/1", NOW + 60), "ab")
    async with open_journal(tmp_path) as journal:
        (work,) = await journal.take(State.PENDING, after=0, generation=1, now=NOW)
        assert (work.upload, work.sha256) == (Upload("https://up.example/1", NOW + 60), "ab")


async def test_item_put_back_waits_with_its_hits_and_without_a_second_copy(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, 2, 3)
        journal.put_back(work_of(1), None)
        journal.put_back(work_of(2, calls=Calls(0, 1, 0)), hits())
        await journal.intend(work_of(3, calls=Calls(0, 1, 0)), hits(), request_id="r", at=NOW)
        journal.put_back(work_of(3, calls=Calls(0, 1, 0)), None)
        journal.put_back(work_of(3, calls=Calls(0, 1, 0)), hits())
        await look(journal, lambda disk: None)
        size = sum(path.stat().st_size for path in (tmp_path / "spool").iterdir())
        assert size == 2 * (4 + len(hits().array))
        assert [w.ord for w in await journal.take(State.PENDING, after=0, generation=1, now=NOW)] == [1]
        found = await journal.take(State.SEARCHED, after=0, generation=1, now=NOW)
    assert [(work.ord, work.hits) for work in found] == [(2, hits()), (3, hits())]


async def test_intent_is_not_spooled_again_after_a_refused_attempt(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        work = work_of(1, calls=Calls(0, 1, 0))
        for _ in range(3):
            await journal.intend(work, hits(), request_id="r", at=NOW)
            journal.put_back(work, None)
        await look(journal, lambda disk: None)
        (segment,) = (tmp_path / "spool").iterdir()
        assert segment.stat().st_size == 4 + len(hits().array)
    assert rows(tmp_path, "state, attempt") == [(1, 3)]


# --- hits that are paid already ---


async def paid_and_dead(tmp_path: Path, *, at: float = NOW) -> Path:
    """A directory in which the hits of item 1 are paid and the process died."""
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        journal.put_back(work_of(1, calls=Calls(0, 1, 0)), hits(at=at))
        await look(journal, lambda disk: None)
        return dead_copy(tmp_path / "run", tmp_path / "dead")


async def test_hits_survive_a_death(tmp_path: Path) -> None:
    async with open_journal(await paid_and_dead(tmp_path)) as journal:
        (work,) = await journal.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert (work.hits, work.calls) == (hits(), Calls(0, 1, 0))
        await journal.settle(work, State.NO_HITS, b'{"item":"SKU-1"}\n', None)
    assert list((tmp_path / "dead" / "spool").iterdir()) == []


LAST_MOMENT = NOW + HITS_LIFE_S - EXPIRY_MARGIN_S


@pytest.mark.parametrize(("now", "usable"), [(LAST_MOMENT, True), (LAST_MOMENT + 1, False)], ids=["young", "old"])
async def test_hits_too_old_for_a_task_are_forgotten_and_searched_again(
    now: float, usable: bool, tmp_path: Path
) -> None:
    dead = await paid_and_dead(tmp_path)
    async with open_journal(dead) as journal:
        (work,) = await journal.take(State.SEARCHED, after=0, generation=1, now=now)
        assert (work.hits is not None) is usable
        pending = await journal.take(State.PENDING, after=0, generation=1, now=now)
        assert [again.calls for again in pending] == ([] if usable else [Calls(0, 1, 0)])
        assert (dead / "spool" / "00000001.spool").exists() is usable


@pytest.mark.parametrize("loss", ["no file", "half a file"])
async def test_hits_that_a_power_loss_took_are_searched_again(loss: str, tmp_path: Path) -> None:
    dead = await paid_and_dead(tmp_path)
    segment = dead / "spool" / "00000001.spool"
    segment.unlink() if loss == "no file" else segment.write_bytes(segment.read_bytes()[:20])
    async with open_journal(dead) as journal:
        (work,) = await journal.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert work.hits is None
        assert len(await journal.take(State.PENDING, after=0, generation=1, now=NOW)) == 1


async def test_work_is_taken_in_batches_in_the_jobs_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_BATCH", {State.PENDING: 2, State.SEARCHED: 2})
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 4, 5, 6)
        first = await journal.take(State.PENDING, after=0, generation=1, now=NOW)
        rest = await journal.take(State.PENDING, after=first[-1].ord, generation=1, now=NOW)
        assert [w.item.id for w in (*first, *rest)] == ["SKU-4", "SKU-5", "SKU-6"]


# --- the end of a run, and the next one ---


@pytest.mark.parametrize(
    ("state", "problem", "again"),
    [
        pytest.param(State.FAILED, PASSING, True, id="failed-in-passing"),
        pytest.param(State.FAILED, REFUSED, False, id="refused-for-good"),
        pytest.param(State.IN_DOUBT, LOST, False, id="in-doubt"),
    ],
)
async def test_next_run_works_again_on_what_may_pass_only(
    state: State, problem: Problem, again: bool, tmp_path: Path
) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        await journal.intend(work_of(1), hits(), request_id="r", at=NOW)
        await journal.leave_open(work_of(1), state, problem, hits())
    async with open_journal(tmp_path) as journal:
        assert await journal.requeue_failed() == again
        taken = await journal.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert [work.hits for work in taken] == [hits()] * again


async def test_end_puts_unfinished_creates_in_doubt_and_counts_what_is_listed(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, 2, 3)
        await journal.intend(work_of(1), hits(), request_id="r", at=NOW)
        await journal.settle(work_of(2), State.NO_HITS, b'{"item":"SKU-2"}\n', None)
        again = await journal.admit([work_of(1).item, work_of(3).item], generation=2, accept_changes=False)
        assert (again.new, again.changes) == (0, ())
        assert await journal.finish(2) == ({State.IN_DOUBT: 1, State.PENDING: 1}, 1)
        assert await journal.finish(2) == ({State.IN_DOUBT: 1, State.PENDING: 1}, 1)
        ((work, state, problem),) = await journal.open_items(after=0)
        assert (work.item.id, state, problem.code) == ("SKU-1", State.IN_DOUBT, "interrupted")
        assert await journal.open_items(after=work.ord) == []


async def test_begin_counts_what_is_there(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, 2)
        await journal.settle(work_of(2), State.NO_HITS, b'{"item":"SKU-2"}\n', None)
        assert await journal.begin() == {State.PENDING: 1, State.NO_HITS: 1}


async def test_what_is_remembered_is_recalled_after_a_death(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await journal.remember({"asked": "this", "units": "1.5"})
        await journal.close_admission(3, "print")
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead) as journal:
        assert await journal.recall(["asked", "units", "generation", "admitted", "never"]) == {
            "asked": "this",
            "units": "1.5",
            "generation": "3",
            "admitted": "print",
            "never": None,
        }


async def test_twins_are_taken_with_the_item_they_follow(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        await admitted(journal, 2, source=work_of(1).item.source)
        assert [(work.ord, first) for work, first in await journal.take_twins(after=0, generation=1)] == [(2, 1)]
