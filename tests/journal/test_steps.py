"""An item's steps are durable when they return; of a group all at once or not at all, in the order that counts."""

import sqlite3
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import msgspec
import pytest

from pipeline.errors import JournalError
from pipeline.journal.journal import Journal
from pipeline.journal.spool import mark_of
from pipeline.journal.sql import changes, items
from pipeline.journal.sql.changes import MOST_STEPS, settled_step
from pipeline.journal.sql.database import DURABLE, UNSYNCED, Connection
from pipeline.journal.sql.rows import Line, SpoolRef, note_of
from pipeline.journal.storage import connect, open_disk
from pipeline.models import HITS_LIFE_S, Calls, Kind, Problem, State, Task, Upload
from pipeline.outcomes import Tasked
from pipeline.results.hits import choose
from pipeline.results.record import RecordLines
from tests.support.fakes import (
    NOW,
    admitted,
    assert_index_matches,
    dead_copy,
    hits,
    job,
    look,
    open_journal,
    records,
    rows,
    states,
    work_of,
)
from tests.support.processes import PATIENCE_S

pytestmark = pytest.mark.anyio

PASSING = Problem("search", "67200100", "busy", "retry", True)
LOST = Problem("create", "no_answer", "lost", "in_doubt", False)


async def test_intent_is_durable_with_its_hits_when_it_returns(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        await journal.steps.intend(work_of(1, calls=Calls(0, 1, 0)), hits(), request_id="asked", at=NOW)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    assert rows(dead, "state, intent, attempt, segment, calls") == [
        (2, "asked", 1, 1, '{"upload":0,"search":1,"create":1}')
    ]
    async with open_journal(dead) as journal:
        assert states(dead) == {"SKU-1": State.IN_DOUBT}
        ref = SpoolRef(*(rows(dead, "segment, spooled_at, spooled")[0]))
        assert await look(journal, lambda disk: disk.spool.read(ref, mark=mark_of(1, note_of(hits())))) == hits().array


async def test_hits_that_are_found_survive_a_kill_before_their_create_is_intended(tmp_path: Path) -> None:
    """The create may wait for its permit for long."""
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1, 2)
        journal.steps.found(work_of(1, calls=Calls(1, 2, 0)), hits())
        await look(journal, lambda disk: None)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead) as journal:
        assert states(dead) == {"SKU-1": State.SEARCHED, "SKU-2": State.PENDING}
        (work,) = await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert (work.hits, work.calls) == (hits(), Calls(1, 2, 0))


async def test_hits_that_are_found_ask_for_no_sync_and_the_next_intent_makes_them_durable(tmp_path: Path) -> None:
    synced: list[str] = []

    def watched(path: Path) -> Connection:
        connection = connect(path)
        connection.set_trace_callback(
            lambda sql: synced.append(sql) if sql.startswith(("PRAGMA s", "UPDATE")) else None
        )
        return connection

    async with open_journal(tmp_path, connect=watched) as journal:
        await admitted(journal, 1)
        synced.clear()
        journal.steps.found(work_of(1), hits())
        while DURABLE not in synced:  # without a change that somebody waits for
            await anyio.sleep(0.001)
        assert (synced[0], synced[-1]) == (UNSYNCED, DURABLE)
        assert {sql.split(" ")[0] for sql in synced[1:-1]} == {"UPDATE"}
        synced.clear()
        await journal.steps.intend(work_of(1), hits(), request_id="asked", at=NOW)
        assert {sql.split(" ")[0] for sql in synced} == {"UPDATE"}


async def test_hits_that_are_found_and_intended_in_one_group_are_written_once(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, *MANY)
        async with anyio.create_task_group() as tasks:
            for n in MANY:
                journal.steps.found(
                    work_of(n, calls=Calls(0, 1, 0)), msgspec.structs.replace(hits(), array=b"[%d]" % n)
                )
                tasks.start_soon(_intending(journal, n))  # type: ignore[arg-type]
        assert set(rows(tmp_path, "state, attempt")) == {(State.CREATING, 1)}
        await at_once(*(_settling(journal, n) for n in MANY[:30]))
        for n in MANY[30:]:
            journal.steps.put_back(work_of(n, calls=Calls(0, 1, 0)), hits())
        found = await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert [work.hits and work.hits.array for work in found] == [b"[%d]" % n for n in MANY[30:]]
        (segment,) = (tmp_path / "spool").iterdir()
        assert segment.stat().st_size == sum(4 + len(b"[%d]" % n) for n in MANY)


async def test_item_in_doubt_stays_so_while_it_is_searched_again(tmp_path: Path) -> None:
    async with open_journal(tmp_path, duplicates=1) as journal:
        await admitted(journal, 1)
        await journal.steps.intend(work_of(1), hits(), request_id="asked", at=NOW)
        await journal.steps.leave_open(work_of(1), State.IN_DOUBT, LOST, None)
        journal.steps.forget(work_of(1, doubt=LOST))
        journal.steps.found(work_of(1, doubt=LOST, calls=Calls(0, 2, 1)), hits(0.7))
        await look(journal, lambda disk: None)
        assert states(tmp_path) == {"SKU-1": State.IN_DOUBT}
        dead = dead_copy(tmp_path, tmp_path.with_name("dead"))
    async with open_journal(dead, duplicates=1) as journal:
        (work,) = await journal.waiting.take_doubtful(after=0, generation=1, now=NOW)
        assert (work.hits, work.doubt) == (hits(0.7), LOST)


async def test_hits_found_anew_after_the_old_ones_expired_take_their_place(tmp_path: Path) -> None:
    old, new = hits(0.9, at=NOW - HITS_LIFE_S), hits(0.4)
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        journal.steps.found(work_of(1), old)
        assert [work.hits for work in await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=NOW)] == [
            None
        ]
        journal.steps.found(work_of(1), new)
        await journal.steps.intend(work_of(1), new, request_id="asked", at=NOW)
        journal.steps.put_back(work_of(1), new)
        (work,) = await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert work.hits == new


async def test_settled_item_is_durable_line_and_state_when_it_returns(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        work = work_of(1, calls=Calls(0, 1, 1))
        await journal.steps.intend(work, hits(), request_id="asked", at=NOW)
        await journal.steps.settle(work, State.TASKED, b'{"item":"SKU-1"}\n', Task("t-1", NOW))
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
        id_, state, line, problem = await journal.waiting.standing(1)
        assert (id_, state, line, problem) == ("SKU-1", State.TASKED, b'{"item":"SKU-1"}\n', None)
    assert records(dead) == [{"item": "SKU-1"}]
    assert rows(dead, "state, task_id, segment") == [(10, "t-1", None)]
    assert_index_matches(dead)


async def test_open_item_is_durable_with_its_reason_and_its_hits_when_it_returns(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        await journal.steps.leave_open(work_of(1, calls=Calls(0, 1, 0)), State.FAILED, PASSING, hits())
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead) as journal:
        assert (await journal.waiting.standing(1))[1:] == (State.FAILED, None, PASSING)
        assert await journal.requeue_failed() == 1
        (work,) = await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert (work.hits, work.calls) == (hits(), Calls(0, 1, 0))


async def on_slow_disk(journal: Journal, step: Callable[[], Awaitable[None]]) -> None:
    """Take a step while the disk stands still: it must not return before the disk goes on."""
    disk_goes_on, returned = threading.Event(), False

    async def take() -> None:
        nonlocal returned
        await step()
        returned = True

    journal._writer.post(lambda disk: disk_goes_on.wait(30))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await anyio.wait_all_tasks_blocked()
        early = returned
        disk_goes_on.set()
    assert not early


async def test_record_that_is_laid_by_is_durable_when_it_returns(tmp_path: Path) -> None:
    """A kill while its details are waited for leaves its task known, not in doubt."""
    work, choice = work_of(1, calls=Calls(0, 1, 1)), choose(hits(), min_score=0, max_hits=100)
    assert choice is not None
    outcome = Tasked(hits(), choice, Task("t-1", NOW))
    _, line, _ = RecordLines(job(tmp_path), "0" * 64).settled(work, outcome)
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        await journal.steps.intend(work, hits(), request_id="asked", at=NOW)
        await on_slow_disk(journal, lambda: journal.steps.lay_by(work, line))
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead):
        assert rows(dead, "state, task_id") == [(State.TASKED, "t-1")]
    assert_index_matches(dead)


async def test_upload_of_a_view_is_durable_when_it_returns(tmp_path: Path) -> None:
    upload = Upload("https://up.example/1", NOW + 60)
    async with open_journal(tmp_path / "run") as journal:
        await on_slow_disk(journal, lambda: journal.steps.view_uploaded("ab", upload))
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead) as journal:
        assert await journal.steps.view_upload("ab") == upload


async def test_refused_change_latches_the_journal(tmp_path: Path, broken: AsyncExitStack) -> None:
    """What is in doubt can never be settled by a search alone."""
    journal = await broken.enter_async_context(open_journal(tmp_path))
    await admitted(journal, 1)
    await journal.steps.intend(work_of(1), hits(), request_id="asked", at=NOW)
    await journal.steps.leave_open(work_of(1), State.IN_DOUBT, LOST, hits())
    with pytest.raises(JournalError):
        await journal.steps.settle(work_of(1), State.NO_HITS, b'{"item":"SKU-1"}\n', None)
    with pytest.raises(JournalError):
        await journal.budget.reserve(Kind.SEARCH)
    with pytest.raises(JournalError):
        journal.steps.put_back(work_of(1), None)
    assert states(tmp_path) == {"SKU-1": State.IN_DOUBT}


async def test_upload_is_remembered_for_the_next_run(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, local=True, source="a.jpg")
        journal.steps.uploaded(work_of(1), Upload("https://up.example/1", NOW + 60), "ab")
    async with open_journal(tmp_path) as journal:
        (work,) = await journal.waiting.take(State.PENDING, after=0, generation=1, now=NOW)
        assert (work.upload, work.sha256) == (Upload("https://up.example/1", NOW + 60), "ab")


async def test_item_put_back_waits_with_its_hits_and_without_a_second_copy(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, 2, 3)
        journal.steps.put_back(work_of(1), None)
        journal.steps.put_back(work_of(2, calls=Calls(0, 1, 0)), hits())
        await journal.steps.intend(work_of(3, calls=Calls(0, 1, 0)), hits(), request_id="r", at=NOW)
        journal.steps.put_back(work_of(3, calls=Calls(0, 1, 0)), None)
        journal.steps.put_back(work_of(3, calls=Calls(0, 1, 0)), hits())
        await look(journal, lambda disk: None)
        size = sum(path.stat().st_size for path in (tmp_path / "spool").iterdir())
        assert size == 2 * (4 + len(hits().array))
        assert [w.ord for w in await journal.waiting.take(State.PENDING, after=0, generation=1, now=NOW)] == [1]
        found = await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=NOW)
    assert [(work.ord, work.hits) for work in found] == [(2, hits()), (3, hits())]


async def test_intent_is_not_spooled_again_after_a_refused_attempt(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        work = work_of(1, calls=Calls(0, 1, 0))
        for _ in range(3):
            await journal.steps.intend(work, hits(), request_id="r", at=NOW)
            journal.steps.put_back(work, None)
        await look(journal, lambda disk: None)
        (segment,) = (tmp_path / "spool").iterdir()
        assert segment.stat().st_size == 4 + len(hits().array)
    assert rows(tmp_path, "state, attempt") == [(1, 3)]


# --- many at once ---

MANY = range(1, 41)


async def at_once(*calls: Callable[[], object]) -> None:
    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(call)  # type: ignore[arg-type]


async def test_many_intents_in_one_group_each_keep_their_own_hits(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, *MANY)
        await at_once(*(_intending(journal, n) for n in MANY))
        found = rows(tmp_path, "ord, state, intent, intent_at, attempt, calls, spooled")
        assert [row[:5] for row in found] == [(n, 2, f"asked {n}", NOW + n / 8, 1) for n in MANY]
        assert {row[5] for row in found} == {'{"upload":0,"search":1,"create":1}'}
        for n in MANY:
            journal.steps.put_back(work_of(n, calls=Calls(0, 1, 1)), None)
        taken = []
        while batch := await journal.waiting.take(State.SEARCHED, after=len(taken), generation=1, now=NOW):
            taken += batch
    assert [work.hits and work.hits.array for work in taken] == [b"[%d]" % n for n in MANY]


def _intending(journal: Journal, n: int) -> Callable[[], object]:
    async def intend() -> None:
        await journal.steps.intend(
            work_of(n, calls=Calls(0, 1, 0)),
            msgspec.structs.replace(hits(), array=b"[%d]" % n),
            request_id=f"asked {n}",
            at=NOW + n / 8,
        )

    return intend


async def test_what_is_posted_between_two_changes_stays_between_them(tmp_path: Path) -> None:
    """An intent that is cut short is taken back in the same group, and must not be written after that."""
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, 2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_intending(journal, 1))  # type: ignore[arg-type]
            await anyio.lowlevel.checkpoint()
            journal.steps.put_back(work_of(1, calls=Calls(0, 1, 0)), None)
            tasks.start_soon(_intending(journal, 2))  # type: ignore[arg-type]
        assert list(states(tmp_path).values()) == [State.SEARCHED, State.CREATING]


@pytest.mark.proofs
async def test_more_steps_than_fit_into_a_statement_come_in_one_rush_and_all_count(tmp_path: Path) -> None:
    many = 2 * MOST_STEPS + 1
    blocked, go_on = threading.Event(), threading.Event()

    def block(_: object) -> None:
        blocked.set()
        go_on.wait(PATIENCE_S)

    async with open_journal(tmp_path) as journal:
        await admitted(journal, *range(1, many + 1))
        # SQLite's own limit, which some systems raise.
        await look(journal, lambda disk: disk.db.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766))
        journal._writer.post(block)
        await anyio.to_thread.run_sync(blocked.wait, PATIENCE_S)
        for n in range(1, many + 1):
            journal.steps.found(work_of(n), hits(1))
        go_on.set()
        await look(journal, lambda disk: None)
        assert set(states(tmp_path).values()) == {State.SEARCHED}


async def test_one_illegal_settlement_in_a_group_commits_none_of_it(tmp_path: Path) -> None:
    disk = open_disk(tmp_path, now=NOW)
    disk.db.do(
        "INSERT INTO items (ord, id, source, local, origin, labels, source_key, generation, state) "
        "VALUES (1, 'a', 'u', 0, 'o', '{}', 1, 1, 0), (2, 'b', 'v', 0, 'o', '{}', 2, 1, 10)"
    )
    place = [Line(n, n, 1, 0) for n in range(2)]
    steps = [settled_step(n, State.TASKED, place[n - 1], Calls(0, 1, 1), Task(f"t{n}", NOW)) for n in (1, 2)]
    with pytest.raises(Exception, match="illegal change of state"):
        changes.advance(disk.db, steps)
    assert items.counts(disk.db) == {State.PENDING: 1, State.TASKED: 1}
    with pytest.raises(JournalError, match="refused a change"):
        changes.advance(disk.db, [steps[0], (7, *steps[1][1:])])  # nobody has this number
    assert items.counts(disk.db) == {State.PENDING: 1, State.TASKED: 1}
    disk.close(clean=False)


async def test_intents_and_settlements_of_one_group_keep_what_is_not_theirs(tmp_path: Path) -> None:
    """One statement changes both: an intent must not wipe out a task, nor a settlement what was asked."""
    async with open_journal(tmp_path) as journal:
        await admitted(journal, *MANY)
        for first, second in ((range(1, 21), ()), (range(21, 41), range(1, 21)), ((), range(21, 41))):
            settling = (_settling(journal, n) for n in second)
            await at_once(*(_intending(journal, n) for n in first), *settling)
    found = rows(tmp_path, "ord, state, intent, intent_at, attempt, calls, task_id, task_at, seq, spooled, problem")
    assert [row[:8] for row in found] == [
        (n, State.TASKED, f"asked {n}", NOW + n / 8, 1, '{"upload":0,"search":1,"create":1}', f"task {n}", NOW + n)
        for n in MANY
    ]
    assert sorted(row[8] for row in found) == list(range(40))
    assert {row[9:] for row in found} == {(None, None)}
    assert len((tmp_path / "results.jsonl").read_bytes().splitlines()) == len(MANY)


def _settling(journal: Journal, n: int) -> Callable[[], object]:
    async def settle() -> None:
        line = b'{"item":"%d"}\n' % n
        await journal.steps.settle(work_of(n, calls=Calls(0, 1, 1)), State.TASKED, line, Task(f"task {n}", NOW + n))

    return settle


async def test_a_second_create_by_itself_that_a_death_cuts_short_is_not_repeated_by_itself(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run", duplicates=1) as journal:
        await admitted(journal, 1)
        work = work_of(1)
        await journal.steps.intend(work, hits(), request_id="first", at=NOW)
        await journal.steps.leave_open(work, State.IN_DOUBT, LOST, None)
        (again,) = await journal.waiting.take_doubtful(after=0, generation=1, now=NOW)
        await journal.steps.intend(again, again.hits, request_id="second", at=NOW)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead, duplicates=1) as journal:
        assert states(dead) == {"SKU-1": State.IN_DOUBT}
        assert await journal.waiting.take_doubtful(after=0, generation=1, now=NOW) == []
