"""Budgets that hold over the life of a run directory, deaths included, and are spent to the last call."""

import threading
from pathlib import Path

import anyio
import pytest

from pipeline.errors import RunPaused
from pipeline.journal.budget import FIRST_LEASE, MAX_LEASE
from pipeline.journal.journal import Journal
from pipeline.journal.sql import calls
from pipeline.models import Kind
from tests.support.fakes import (
    dead_copy,
    look,
    open_journal,
)
from tests.support.processes import PATIENCE_S

pytestmark = pytest.mark.anyio

SEARCH, CREATE = Kind.SEARCH, Kind.CREATE


async def spend(journal: Journal, kind: Kind, count: int) -> None:
    for _ in range(count):
        await journal.budget.reserve(kind)
        journal.budget.sent(kind)


async def spend_all(journal: Journal, kind: Kind, *, most: int = 10_000) -> int:
    """Spend until the budget stops it; return how many calls that were."""
    for count in range(most):
        try:
            await spend(journal, kind, 1)
        except RunPaused:
            return count
    raise AssertionError("the budget never stopped")


async def reserved_on_disk(journal: Journal, kind: Kind = SEARCH) -> int:
    return (await look(journal, lambda disk: calls.noted(disk.db)))[kind][0]


@pytest.mark.parametrize("cap", [0, 1, 15, 16, 17, 100, 2000])
async def test_budget_is_spent_to_the_last_call_and_not_beyond(cap: int, tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: cap}) as journal:
        assert await spend_all(journal, SEARCH) == cap
        assert journal.budget.calls[SEARCH].sent == cap


@pytest.mark.parametrize(("beside", "left"), [(1, 39), (40, 0), (60, 0)])
async def test_calls_that_were_made_beside_count_under_the_same_cap(beside: int, left: int, tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 40, CREATE: 40}, beside={SEARCH: beside}) as journal:
        assert (journal.budget.left(SEARCH), journal.budget.left(CREATE)) == (40 - beside, 40)
        assert (await spend_all(journal, SEARCH), await spend_all(journal, CREATE)) == (left, 40)
        assert await reserved_on_disk(journal) == left


async def test_used_up_budget_pauses_the_run_and_names_its_key(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={CREATE: 1200}) as journal:
        await spend(journal, CREATE, 1200)
        with pytest.raises(RunPaused, match=r"api\.budget\.create_calls is 1,200; raise it") as caught:
            await journal.budget.reserve(CREATE)
    assert (caught.value.exit_code, caught.value.sent) == (4, False)


async def test_call_counts_on_disk_before_it_may_be_sent(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 3}) as journal:
        for count in (1, 2, 3):
            await journal.budget.reserve(SEARCH)
            assert await reserved_on_disk(journal) >= count


async def test_released_call_can_be_spent_again(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 2}) as journal:
        for _ in range(10):
            await journal.budget.reserve(SEARCH)
            journal.budget.release(SEARCH)
        assert await spend_all(journal, SEARCH) == 2


async def test_calls_given_back_at_the_end_of_a_budget_are_spent_again_and_no_more(tmp_path: Path) -> None:
    """Many are refused meanwhile: that makes the next lease no larger than what the budget has left."""
    async with open_journal(tmp_path, budgets={SEARCH: 20}) as journal:
        for _ in range(20):
            await journal.budget.reserve(SEARCH)
        for _ in range(12):
            with pytest.raises(RunPaused):
                await journal.budget.reserve(SEARCH)
        for _ in range(6):
            journal.budget.release(SEARCH)
        assert await spend_all(journal, SEARCH) == 6
        assert await reserved_on_disk(journal) == 20


async def test_caller_that_is_cancelled_while_it_waits_takes_the_lease_from_nobody_else(tmp_path: Path) -> None:
    disk_goes_on = threading.Event()
    async with open_journal(tmp_path, budgets={SEARCH: 5}) as journal:
        async with anyio.create_task_group() as callers:
            callers.start_soon(look, journal, lambda disk: disk_goes_on.wait(PATIENCE_S))
            callers.start_soon(journal.budget.reserve, SEARCH)
            with anyio.CancelScope() as given_up:

                async def give_up() -> None:
                    await anyio.wait_all_tasks_blocked()
                    given_up.cancel()
                    disk_goes_on.set()

                callers.start_soon(give_up)
                await journal.budget.reserve(SEARCH)
        assert given_up.cancelled_caught
        assert await spend_all(journal, SEARCH) == 4


async def test_many_calls_count_at_once_or_none_of_them(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 120}) as journal:
        await journal.budget.reserve(SEARCH, 100)
        assert await reserved_on_disk(journal) >= 100
        with pytest.raises(RunPaused, match=r"search_calls is 120"):
            await journal.budget.reserve(SEARCH, 21)
        assert journal.budget.left(SEARCH) == 20
        await journal.budget.reserve(SEARCH, 20)
        journal.budget.release(SEARCH, 2)
        assert await spend_all(journal, SEARCH) == 2


async def test_kinds_have_budgets_of_their_own_and_none_is_no_cap(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={CREATE: 1}) as journal:
        assert await spend_all(journal, CREATE) == 1
        await spend(journal, SEARCH, 3 * MAX_LEASE)
        assert journal.budget.calls[SEARCH].used == 3 * MAX_LEASE


@pytest.mark.proofs
async def test_budget_holds_when_many_ask_at_once(tmp_path: Path) -> None:
    granted = 0

    async def ask(journal: Journal) -> None:
        nonlocal granted
        try:
            await journal.budget.reserve(SEARCH)
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
        assert journal.budget.calls[SEARCH].sent == 30
        assert await spend_all(journal, SEARCH) == 70


async def test_after_a_death_everything_reserved_counts_as_spent(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run", budgets={SEARCH: 100}) as journal:
        await spend(journal, SEARCH, 30)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead, budgets={SEARCH: 100}) as journal:
        left = await spend_all(journal, SEARCH)
        assert 30 + left <= 100
        assert left >= 100 - 30 - MAX_LEASE


@pytest.mark.proofs
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
            around.start_soon(journal.budget.reserve, SEARCH)
            await anyio.sleep(0)
            await anyio.sleep(0)
            journal.budget.note_calls(0.0)
        assert journal.budget.calls[SEARCH].used == 1
        assert await reserved_on_disk(journal) >= 1


async def test_sent_calls_follow_to_disk(tmp_path: Path) -> None:
    async with open_journal(tmp_path / "run") as journal:
        await spend(journal, SEARCH, 5)
        journal.budget.note_calls(0.0)
        await look(journal, lambda disk: None)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
    async with open_journal(dead) as journal:
        assert (journal.budget.calls[SEARCH].sent, journal.budget.calls[SEARCH].used) == (5, FIRST_LEASE)


async def test_units_that_were_billed_add_up_over_the_runs_of_a_directory_deaths_included(tmp_path: Path) -> None:
    folder, billed = tmp_path / "run", 0.0
    for run, units in enumerate((2.5, 4.0, 1.0)):
        async with open_journal(folder) as journal:
            assert journal.budget.units_before == billed
            for part in (units / 2, units):  # each note is of the whole run so far
                journal.budget.note_calls(part)
                await look(journal, lambda disk: None)
            billed += units
            folder = dead_copy(folder, tmp_path / f"dead-{run}")
    async with open_journal(folder) as journal:
        assert journal.budget.units_before == billed == 7.5


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
