"""Items that a person has tried again: those the run does not come to are what they were, also after a kill."""

from pathlib import Path

import pytest

from pipeline.journal.journal import Journal
from pipeline.journal.storage import open_disk
from pipeline.models import Problem, State
from tests.support.fakes import NOW, admitted, dead_copy, hits, look, open_journal, rows, states, work_of

pytestmark = pytest.mark.anyio

REFUSED = Problem("search", "68300010", "no picture", "fail", False)


async def chosen(journal: Journal) -> None:
    """Three items that were refused, and are tried again now; the third one has its hits."""
    await admitted(journal, 1, 2, 3)
    for number, paid in ((1, None), (2, None), (3, hits())):
        await journal.steps.leave_open(work_of(number), State.FAILED, REFUSED, paid)
    await journal.waiting.choose((1, 2, 3), risked=False)
    assert [State(state) for (state,) in await look(journal, waiting)] == [State.PENDING, State.PENDING, State.SEARCHED]


def waiting(disk: object) -> list[tuple[int]]:
    return disk.db.do("SELECT state FROM items ORDER BY ord").fetchall()  # type: ignore[attr-defined]


def after(folder: Path) -> list[tuple[State, bool]]:
    return [(State(state), problem is not None and "no picture" in problem) for state, problem in told(folder)]


def told(folder: Path) -> list[tuple[int, str | None]]:
    return rows(folder, "state, problem")


async def test_what_was_not_begun_is_what_it_was_when_the_run_ends(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await chosen(journal)
        counts, _ = await journal.finish()
    assert counts == {State.FAILED: 3}
    assert after(tmp_path / "run") == [(State.FAILED, True)] * 3


async def test_a_run_that_ends_without_a_summary_leaves_them_as_they_were_too(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await chosen(journal)
    assert after(tmp_path / "run") == [(State.FAILED, True)] * 3


async def test_after_a_kill_the_next_start_restores_them(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await chosen(journal)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    assert states(dead)["SKU-1"] is State.PENDING
    open_disk(dead, now=NOW).close()
    assert after(dead) == [(State.FAILED, True)] * 3


async def test_what_was_begun_stays_where_it_came_to(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await chosen(journal)
        journal.steps.put_back(work_of(1, hits=hits()), hits())  # its search is paid now
        await journal.steps.intend(work_of(3, hits=hits()), hits(), request_id="r", at=NOW)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    open_disk(dead, now=NOW).close()
    assert list(states(dead).values()) == [State.SEARCHED, State.FAILED, State.IN_DOUBT]
