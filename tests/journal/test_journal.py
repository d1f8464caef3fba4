"""The beginning and the end of a run: items in, what is remembered, what waits again, what is put in doubt."""

import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import anyio
import pytest

from pipeline.errors import JournalError
from pipeline.models import PAID, Item, Kind, Problem, State
from tests.support.fakes import (
    NOW,
    admitted,
    dead_copy,
    hits,
    open_journal,
    work_of,
)
from tests.support.processes import PATIENCE_S

pytestmark = pytest.mark.anyio

SEARCH, CREATE = Kind.SEARCH, Kind.CREATE
PASSING = Problem("search", "67200100", "busy", "retry", True)
REFUSED = Problem("search", "68300010", "no", "fail", False)
LOST = Problem("create", "no_answer", "lost", "in_doubt", False)


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
        await journal.steps.intend(work_of(1), hits(), request_id="r", at=NOW)
        await journal.steps.leave_open(work_of(1), state, problem, hits())
    async with open_journal(tmp_path) as journal:
        assert await journal.requeue_failed() == again
        taken = await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert [work.hits for work in taken] == [hits()] * again


async def test_end_puts_unfinished_creates_in_doubt_and_counts_what_is_listed(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, 2, 3)
        await journal.steps.intend(work_of(1), hits(), request_id="r", at=NOW)
        await journal.steps.settle(work_of(2), State.NO_HITS, b'{"item":"SKU-2"}\n', None)
        again = await journal.admit([work_of(1).item, work_of(3).item], generation=2, accept_changes=False)
        assert (again.new, again.changes) == (0, ())
        assert await journal.finish() == ({State.IN_DOUBT: 1, State.PENDING: 1}, 1)
        assert await journal.finish() == ({State.IN_DOUBT: 1, State.PENDING: 1}, 1)
        ((work, state, problem),) = await journal.open_items(after=0)
        assert (work.item.id, state, problem.code) == ("SKU-1", State.IN_DOUBT, "interrupted")
        assert await journal.open_items(after=work.ord) == []


async def test_begin_counts_what_is_there(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, 2)
        await journal.steps.settle(work_of(2), State.NO_HITS, b'{"item":"SKU-2"}\n', None)
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


async def test_once_writing_has_failed_no_call_leaves_though_it_was_reserved(
    tmp_path: Path, broken: AsyncExitStack
) -> None:
    """A paid answer could not be kept any more; the last look is the one right before the first byte."""
    journal = await broken.enter_async_context(open_journal(tmp_path))
    for kind in PAID:
        await journal.budget.reserve(kind)
    with pytest.raises(JournalError):
        await journal.steps.settle(work_of(77), State.NO_HITS, b"{}\n", None)
    for kind in PAID:
        with pytest.raises(JournalError):
            journal.budget.sent(kind)
        assert journal.budget.calls[kind].sent == 0


async def test_failed_journal_is_closed_all_the_same(tmp_path: Path, broken: AsyncExitStack) -> None:
    journal = await broken.enter_async_context(open_journal(tmp_path))
    with pytest.raises(JournalError):
        await journal.steps.settle(work_of(77), State.NO_HITS, b"{}\n", None)
    with pytest.raises(JournalError):
        await broken.aclose()
    assert not journal._writer._thread.is_alive()


async def test_a_caller_that_is_cancelled_ends_the_reading_of_its_sources(tmp_path: Path) -> None:
    """Else a signal would wait until a million rows are read, and enter them."""
    read = 0
    begun, cancelled = threading.Event(), threading.Event()

    def batches() -> Iterator[list[Item]]:
        nonlocal read
        for read in range(1, 1001):
            begun.set()
            assert cancelled.wait(PATIENCE_S)
            yield [work_of(read).item]

    async with open_journal(tmp_path) as journal:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                partial(journal.admit_whole, batches(), generation=1, fingerprint="print", accept_changes=False)
            )
            await anyio.to_thread.run_sync(begun.wait)
            tasks.cancel_scope.cancel()
        cancelled.set()
        assert await journal.begin() == {}
    assert read < 1000
