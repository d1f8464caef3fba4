"""Budgets that several machines spend: each call is drawn from all of them, then noted, then sent."""

import functools
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from pipeline.errors import MONEY, RunPaused
from pipeline.journal import drawing
from pipeline.journal.journal import Journal
from pipeline.journal.purse import Tariff
from pipeline.journal.sql import calls
from pipeline.journal.storage import open_disk
from pipeline.journal.writer import Writer
from pipeline.leases.money import CHUNK, SharedBudget
from pipeline.models import KINDS, Kind, budget_name
from tests.support.fakes import NOW, dead_copy, look, open_journal
from tests.support.processes import PATIENCE_S
from tests.support.shared_store import MemoryStore

pytestmark = pytest.mark.anyio

SEARCH, CREATE = Kind.SEARCH, Kind.CREATE


def of_all(store: MemoryStore, *, money: str | None = None, **caps: int) -> SharedBudget:
    """Make what one machine knows of the budgets of all; one other machine spends them, too."""
    names = {budget_name(kind): None for kind in (*KINDS, Kind.DETAILS)}
    given = {f"{kind}_calls": Decimal(cap) for kind, cap in caps.items()}
    all_caps = {**names, **given, MONEY: None if money is None else Decimal(money)}
    return SharedBudget(store, "acme", "autumn", all_caps, sharers=lambda: 2)


def drawn(store: MemoryStore, kind: Kind | str = SEARCH) -> Decimal:
    one = of_all(store)
    name = kind if kind == MONEY else budget_name(Kind(kind))
    one.seed(name, spent=Decimal(0), unknown=Decimal(0))
    return one._total(name)


async def spend(journal: Journal, kind: Kind = SEARCH, *, most: int = 10_000) -> int:
    """Spend up to so many calls; return how many the budget allowed."""
    for count in range(most):
        try:
            await journal.budget.reserve(kind)
        except RunPaused:
            return count
        journal.budget.sent(kind)
    return most


async def noted(journal: Journal, kind: Kind = SEARCH) -> int:
    return (await look(journal, lambda disk: calls.noted(disk.db)))[kind][0]


async def test_a_call_is_drawn_before_it_is_noted_and_noted_before_it_may_be_sent(tmp_path: Path) -> None:
    store = MemoryStore()
    async with open_journal(tmp_path, budgets={SEARCH: 1000}, shared=of_all(store, search=1000)) as journal:
        for count in range(1, 200):
            await journal.budget.reserve(SEARCH)
            assert count <= await noted(journal) <= drawn(store)


async def test_two_machines_spend_one_budget_to_the_last_call(tmp_path: Path) -> None:
    store = MemoryStore()
    async with (
        open_journal(tmp_path / "one", budgets={SEARCH: 500}, shared=of_all(store, search=500)) as one,
        open_journal(tmp_path / "two", budgets={SEARCH: 500}, shared=of_all(store, search=500)) as two,
    ):
        spent = await spend(one, most=200) + await spend(two, most=100)
        assert spent == 300
        spent += await spend(one) + await spend(two)
        assert 500 - CHUNK <= spent <= 500, "the other one may hold a chunk"
        spent += await spend(one) + await spend(two)
    async with open_journal(tmp_path / "three", budgets={SEARCH: 500}, shared=of_all(store, search=500)) as three:
        assert spent + await spend(three) == 500, "what was not used came back at the end"


async def test_after_a_death_what_one_machine_had_drawn_stays_spent_and_no_more(tmp_path: Path) -> None:
    store = MemoryStore()
    async with open_journal(tmp_path / "run", budgets={SEARCH: 1000}, shared=of_all(store, search=1000)) as journal:
        await spend(journal, most=150)
        dead = dead_copy(tmp_path / "run", tmp_path / "dead")
        left = {series: dict(entries) for series, entries in store.entries.items()}
    store.entries = left  # as it was at the death
    assert 150 <= drawn(store) <= 150 + CHUNK
    async with open_journal(dead, budgets={SEARCH: 1000}, shared=of_all(store, search=1000)) as journal:
        assert 1000 - 150 - CHUNK <= await spend(journal) <= 850


async def test_what_was_spent_before_budgets_were_shared_counts_once_for_all(tmp_path: Path) -> None:
    store = MemoryStore()
    for name, count in (("one", 30), ("two", 20)):
        async with open_journal(tmp_path / name, budgets={SEARCH: 100}) as alone:
            await spend(alone, most=count)
    for _ in range(2):
        for name in ("one", "two"):
            async with open_journal(tmp_path / name, budgets={SEARCH: 100}, shared=of_all(store, search=100)):
                pass
    assert drawn(store) == 50
    async with open_journal(tmp_path / "one", budgets={SEARCH: 100}) as alone:  # for a while without the others
        await spend(alone, most=10)
    async with open_journal(tmp_path / "one", budgets={SEARCH: 100}, shared=of_all(store, search=100)) as journal:
        assert drawn(store) == 60
        assert await spend(journal) == 40


async def test_a_store_that_was_lost_begins_with_what_the_journal_knows(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 100}, shared=of_all(MemoryStore(), search=100)) as journal:
        await spend(journal, most=60)
    store = MemoryStore()
    async with open_journal(tmp_path, budgets={SEARCH: 100}, shared=of_all(store, search=100)) as journal:
        assert drawn(store) == 60
        assert await spend(journal) == 40


async def test_a_start_that_never_reached_the_store_leaves_what_it_must_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_journal(tmp_path, budgets={SEARCH: 100}) as alone:
        await spend(alone, most=30)
    store = MemoryStore()
    store.answers = False
    monkeypatch.setattr(drawing, "PATIENCE_S", 0.0)
    monkeypatch.setattr(drawing, "AGAIN_S", 0.001)
    writer = Writer(functools.partial(open_disk, tmp_path, now=NOW))
    await writer.start()
    journal = Journal(writer, budgets={SEARCH: 100}, shared=of_all(store, search=100))
    with pytest.raises(RunPaused, match="does not answer"):
        await journal.begin()
    await journal.close()
    store.answers = True
    of_all(store, search=100).draw("search_calls", 50, 50)  # by another machine
    async with open_journal(tmp_path, budgets={SEARCH: 100}, shared=of_all(store, search=100)) as journal:
        assert drawn(store) == 80
        assert await spend(journal) == 20
    async with open_journal(tmp_path, budgets={SEARCH: 100}, shared=of_all(store, search=100)):
        assert drawn(store) == 100, "nor is it told twice"


async def test_a_call_that_is_not_sent_can_be_spent_again(tmp_path: Path) -> None:
    store = MemoryStore()
    async with open_journal(tmp_path, budgets={SEARCH: 2}, shared=of_all(store, search=2)) as journal:
        for _ in range(10):
            await journal.budget.reserve(SEARCH)
            journal.budget.release(SEARCH)
        assert await spend(journal) == 2


async def test_the_money_of_two_machines_is_one_cap_exactly(tmp_path: Path) -> None:
    store = MemoryStore()
    tariff = Tariff({SEARCH: Decimal("0.03"), CREATE: Decimal("0.5")}, Decimal("20.00"))
    made = []
    for name in ("one", "two"):
        async with open_journal(tmp_path / name, tariff=tariff, shared=of_all(store, money="20.00")) as journal:
            made.append((await spend(journal, most=100), await spend(journal, CREATE, most=15 + 100 * (name == "two"))))
            assert journal.budget.money_left() >= 0
    assert made == [(100, 15), (100, 13)]
    assert drawn(store, MONEY) == Decimal(200) * Decimal("0.03") + 28 * Decimal("0.5") == 20


async def test_money_that_others_spent_is_said_to_be_missing(tmp_path: Path) -> None:
    store, tariff = MemoryStore(), Tariff({SEARCH: Decimal(1)}, Decimal(10))
    async with open_journal(tmp_path / "one", tariff=tariff, shared=of_all(store, money="10")) as one:
        assert await spend(one, most=10) == 10
    async with open_journal(tmp_path / "two", tariff=tariff, shared=of_all(store, money="10")) as two:
        with pytest.raises(RunPaused, match=r"api\.budget\.money") as caught:
            await two.budget.reserve(SEARCH)
        assert (caught.value.exit_code, two.budget.money_left()) == (4, 0)


async def test_an_item_may_count_on_what_is_drawn_and_on_its_part_of_the_rest(tmp_path: Path) -> None:
    store, cap = MemoryStore(), 4 * CHUNK + 100
    async with open_journal(tmp_path, budgets={CREATE: cap}, shared=of_all(store, create=cap)) as journal:
        assert journal.budget.left(CREATE) == 25, "the other machine counts on as much"
        await spend(journal, CREATE, most=10)
        held = int(drawn(store, CREATE)) - 10
        assert journal.budget.left(CREATE) == held + (90 - held) // 4
        assert journal.budget.affords(CREATE, promised=Decimal(0)) == cap - 10
        of_all(store, create=cap).draw("create_calls", cap - 10 - held, cap)  # by the other machine
        assert await journal.budget.secure(CREATE, {CREATE: held + 1}, force=True) is False
        assert journal.budget.left(CREATE) == held


async def test_no_more_is_secured_for_items_than_one_machine_should_hold(tmp_path: Path) -> None:
    async with open_journal(tmp_path, budgets={CREATE: 1000}, shared=of_all(MemoryStore(), create=1000)) as journal:
        assert await journal.budget.secure(CREATE, {CREATE: CHUNK}, force=False)
        assert not await journal.budget.secure(CREATE, {CREATE: CHUNK + 1}, force=False)
        assert await journal.budget.secure(CREATE, {CREATE: CHUNK + 1}, force=True)


async def test_a_slow_store_holds_only_those_up_who_draw(tmp_path: Path) -> None:
    store, goes_on = MemoryStore(), threading.Event()
    async with open_journal(tmp_path, budgets={SEARCH: 100}, shared=of_all(store, search=100)) as journal:
        store.loses = lambda: not goes_on.wait(PATIENCE_S)
        async with anyio.create_task_group() as callers:
            callers.start_soon(journal.budget.reserve, SEARCH)
            for _ in range(100):
                await anyio.sleep(0)  # the loop goes on all the while
            assert journal.budget.calls[SEARCH].used == 0
            goes_on.set()
        assert journal.budget.calls[SEARCH].used == 1


async def test_a_store_that_answers_again_is_drawn_from_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "AGAIN_S", 0.001)
    store = MemoryStore()
    asked: list[int] = []

    def answers_at_the_third() -> bool:
        asked.append(1)
        return len(asked) < 5  # a put whose answer is lost is put twice at once

    async with open_journal(tmp_path, budgets={SEARCH: 3}, shared=of_all(store, search=3)) as journal:
        store.loses = answers_at_the_third
        assert await spend(journal) == 3
        assert drawn(store) == 3


async def test_a_store_that_stays_silent_ends_the_run_and_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "PATIENCE_S", 0.0)
    monkeypatch.setattr(drawing, "AGAIN_S", 0.001)
    store = MemoryStore()
    async with open_journal(tmp_path, budgets={SEARCH: 3}, shared=of_all(store, search=3)) as journal:
        store.answers = False
        with pytest.raises(RunPaused, match="does not answer") as caught:
            await journal.budget.reserve(SEARCH)
    assert (caught.value.code, caught.value.exit_code, caught.value.sent) == ("leases", 4, False)


async def test_caller_that_is_cancelled_while_it_draws_takes_nothing_from_others(tmp_path: Path) -> None:
    store, goes_on = MemoryStore(), threading.Event()
    waited: list[bool] = []

    def slow() -> bool:
        waited.append(goes_on.wait(PATIENCE_S))
        return not waited[-1]

    async with open_journal(tmp_path, budgets={SEARCH: 5}, shared=of_all(store, search=5)) as journal:
        store.loses = slow
        async with anyio.create_task_group() as callers:
            callers.start_soon(journal.budget.reserve, SEARCH)
            with anyio.CancelScope() as given_up:

                async def give_up() -> None:
                    await anyio.wait_all_tasks_blocked()
                    given_up.cancel()

                callers.start_soon(give_up)
                await journal.budget.reserve(SEARCH)
            assert given_up.cancelled_caught
            assert not waited, "who gives up does not wait for the store"
            goes_on.set()
        assert await spend(journal) == 4
    assert drawn(store) == 5


async def test_caller_that_is_cancelled_while_its_call_is_noted_takes_nothing_from_others(tmp_path: Path) -> None:
    disk_goes_on = threading.Event()
    async with open_journal(tmp_path, budgets={SEARCH: 5}, shared=of_all(MemoryStore(), search=5)) as journal:
        async with anyio.create_task_group() as callers:
            callers.start_soon(look, journal, lambda disk: disk_goes_on.wait(PATIENCE_S))
            with anyio.CancelScope() as given_up:

                async def give_up() -> None:
                    lease = journal.budget.calls[SEARCH]
                    while lease.coming is None:
                        await anyio.sleep(0.001)
                    given_up.cancel()

                callers.start_soon(give_up)
                await journal.budget.reserve(SEARCH)
            assert given_up.cancelled_caught
            disk_goes_on.set()
        assert await spend(journal) == 5


async def test_a_store_that_hangs_at_the_end_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "END_S", 0.05)
    store, hangs = MemoryStore(), threading.Event()
    with anyio.fail_after(60):
        async with open_journal(tmp_path, budgets={SEARCH: 500}, shared=of_all(store, search=500)) as journal:
            await spend(journal, most=3)
            store.loses = lambda: hangs.wait(300)
    assert not hangs.is_set()
    hangs.set()


@pytest.mark.proofs
@pytest.mark.parametrize("cap", [150, 151])
async def test_the_cap_holds_when_many_ask_at_two_machines_at_once(tmp_path: Path, cap: int) -> None:
    store, granted = MemoryStore(), 0

    async def ask(journal: Journal) -> None:
        nonlocal granted
        try:
            await journal.budget.reserve(SEARCH)
        except RunPaused:
            return
        granted += 1

    def shared() -> SharedBudget:
        return of_all(store, search=cap)

    async with (
        open_journal(tmp_path / "one", budgets={SEARCH: cap}, shared=shared()) as one,
        open_journal(tmp_path / "two", budgets={SEARCH: cap}, shared=shared()) as two,
    ):
        async with anyio.create_task_group() as many:
            for _ in range(150):
                many.start_soon(ask, one)
                many.start_soon(ask, two)
        assert cap - CHUNK <= granted <= cap
        granted += await spend(one) + await spend(two)
        assert granted == drawn(store) == cap


def test_the_names_are_those_of_the_job_file() -> None:
    names: Callable[[Kind], str] = budget_name
    assert [names(kind) for kind in (*KINDS, Kind.DETAILS)] == [
        "upload_calls",
        "search_calls",
        "create_calls",
        "query_calls",
        "details",
    ]
