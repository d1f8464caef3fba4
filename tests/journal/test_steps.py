"""A group's intents and settlements at once: the same as one by one, in the order that counts, or not at all."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from pipeline.errors import JournalError
from pipeline.journal.journal import Journal
from pipeline.journal.results_file import Line
from pipeline.journal.sql.database import settled_step
from pipeline.journal.storage import open_disk
from pipeline.models import Calls, State, Task
from tests.support.fakes import NOW, admitted, hits, open_journal, rows, states, work_of

pytestmark = pytest.mark.anyio

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
            journal.put_back(work_of(n, calls=Calls(0, 1, 1)), None)
        taken = []
        while batch := await journal.take(State.SEARCHED, after=len(taken), generation=1, now=NOW):
            taken += batch
    assert [work.hits and work.hits.array for work in taken] == [b"[%d]" % n for n in MANY]


def _intending(journal: Journal, n: int) -> Callable[[], object]:
    async def intend() -> None:
        await journal.intend(
            work_of(n, calls=Calls(0, 1, 0)),
            replace(hits(), array=b"[%d]" % n),
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
            journal.put_back(work_of(1, calls=Calls(0, 1, 0)), None)
            tasks.start_soon(_intending(journal, 2))  # type: ignore[arg-type]
        assert list(states(tmp_path).values()) == [State.SEARCHED, State.CREATING]


async def test_one_illegal_settlement_in_a_group_commits_none_of_it(tmp_path: Path) -> None:
    disk = open_disk(tmp_path, now=NOW)
    disk.store.do(
        "INSERT INTO items (ord, id, source, local, origin, labels, source_key, generation, state) "
        "VALUES (1, 'a', 'u', 0, 'o', '{}', 1, 1, 0), (2, 'b', 'v', 0, 'o', '{}', 2, 1, 10)"
    )
    place = [Line(n, n, 1, 0) for n in range(2)]
    steps = [settled_step(n, State.TASKED, place[n - 1], Calls(0, 1, 1), Task(f"t{n}", NOW)) for n in (1, 2)]
    with pytest.raises(Exception, match="illegal change of state"):
        disk.store.advance(steps)
    assert disk.store.counts() == {State.PENDING: 1, State.TASKED: 1}
    with pytest.raises(JournalError, match="refused a change"):
        disk.store.advance([steps[0], (7, *steps[1][1:])])  # nobody has this number
    assert disk.store.counts() == {State.PENDING: 1, State.TASKED: 1}
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
        await journal.settle(work_of(n, calls=Calls(0, 1, 1)), State.TASKED, line, Task(f"task {n}", NOW + n))

    return settle
