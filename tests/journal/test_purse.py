"""A cap of money that holds over the life of a run directory, deaths included, whatever kind of call spends it."""

import threading
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from pipeline.errors import RunPaused
from pipeline.journal.journal import Journal
from pipeline.journal.purse import Tariff
from pipeline.journal.sql import money
from pipeline.journal.sql.calls import noted
from pipeline.models import Kind
from tests.support.fakes import dead_copy, look, open_journal

pytestmark = pytest.mark.anyio

UPLOAD, SEARCH, CREATE = Kind.UPLOAD, Kind.SEARCH, Kind.CREATE
PRICES = {UPLOAD: Decimal(0), SEARCH: Decimal("0.2"), CREATE: Decimal("1.5")}


def capped(cap: str, prices: dict[Kind, Decimal] = PRICES) -> Tariff:
    return Tariff(prices, Decimal(cap), "CNY")


async def spend(journal: Journal, *kinds: Kind, most: int = 10_000) -> int:
    """Spend calls of these kinds in turn until the money stops one; return how many calls that were."""
    for count in range(most):
        kind = kinds[count % len(kinds)]
        try:
            await journal.budget.reserve(kind)
        except RunPaused:
            return count
        journal.budget.sent(kind)
    return most


async def on_disk(journal: Journal) -> Decimal:
    rows = await look(journal, lambda disk: money.noted(disk.db))
    return sum((priced.amount for priced in rows.values()), Decimal(0))


@pytest.mark.proofs
@pytest.mark.parametrize(("cap", "calls"), [("0", 0), ("0.1", 0), ("0.2", 1), ("0.3", 1), ("20.1", 100), ("400", 2000)])
async def test_money_is_spent_to_the_last_call_and_not_beyond(cap: str, calls: int, tmp_path: Path) -> None:
    async with open_journal(tmp_path, tariff=capped(cap)) as journal:
        assert await spend(journal, SEARCH) == calls
        assert await on_disk(journal) == calls * Decimal("0.2")


async def test_one_tenth_ten_times_is_one(tmp_path: Path) -> None:
    """With floats the tenth call would cost a little more than is left."""
    async with open_journal(tmp_path, tariff=capped("1", {SEARCH: Decimal("0.1")})) as journal:
        assert await spend(journal, SEARCH) == 10


async def test_kinds_share_the_money_and_what_one_leased_and_did_not_use_is_there_for_the_other(tmp_path: Path) -> None:
    """Pairs of 1.7: however the leases fell, all pairs that the money allows are made."""
    for cap, pairs in (("17", 10), ("18.6", 10), ("34.1", 20), ("170", 100)):
        async with open_journal(tmp_path / cap, tariff=capped(cap)) as journal:
            assert await spend(journal, SEARCH, CREATE) // 2 == pairs


async def test_many_calls_that_cost_more_than_is_left_are_none_and_the_rest_is_for_others(tmp_path: Path) -> None:
    async with open_journal(tmp_path, tariff=capped("3")) as journal:
        assert journal.budget.affords(SEARCH, promised=Decimal(1)) == 10
        with pytest.raises(RunPaused, match=r"api\.budget\.money is 3"):
            await journal.budget.reserve(SEARCH, 16)
        assert journal.budget.money_left() == 3
        assert await spend(journal, CREATE) == 2


async def test_what_costs_nothing_goes_on_when_the_money_is_used_up(tmp_path: Path) -> None:
    async with open_journal(tmp_path, tariff=capped("0")) as journal:
        assert await spend(journal, UPLOAD, most=50) == 50


async def test_used_up_money_names_its_key_and_what_is_left(tmp_path: Path) -> None:
    async with open_journal(tmp_path, tariff=capped("1.6")) as journal:
        assert await spend(journal, CREATE) == 1
        with pytest.raises(
            RunPaused, match=r"api\.budget\.money is 1\.6 CNY, of which 0\.1 is left, too little .* under way; raise it"
        ) as caught:
            await journal.budget.reserve(CREATE)
    assert (caught.value.exit_code, caught.value.code) == (4, "budget")


async def test_budget_of_calls_still_holds_beside_the_money(tmp_path: Path) -> None:
    async with open_journal(tmp_path, tariff=capped("100"), budgets={SEARCH: 3}) as journal:
        assert await spend(journal, SEARCH) == 3
        with pytest.raises(RunPaused, match=r"api\.budget\.search_calls"):
            await journal.budget.reserve(SEARCH)


async def test_money_is_on_disk_before_its_call_may_be_sent(tmp_path: Path) -> None:
    async with open_journal(tmp_path, tariff=capped("100")) as journal:
        for count in range(1, 40):
            await journal.budget.reserve(CREATE)
            assert await on_disk(journal) >= count * Decimal("1.5")


async def test_money_holds_when_many_ask_at_once_for_calls_of_all_kinds(tmp_path: Path) -> None:
    granted = dict.fromkeys(PRICES, 0)

    async def ask(journal: Journal, kind: Kind) -> None:
        try:
            await journal.budget.reserve(kind)
        except RunPaused:
            return
        granted[kind] += 1

    async with open_journal(tmp_path, tariff=capped("60")) as journal:
        async with anyio.create_task_group() as many:
            for count in range(600):
                many.start_soon(ask, journal, (SEARCH, CREATE, UPLOAD)[count % 3])
        spent = sum(PRICES[kind] * count for kind, count in granted.items())
        assert Decimal("58.5") < spent <= 60, "all but less than a create costs"
        assert await on_disk(journal) <= 60


@pytest.mark.proofs
async def test_money_holds_over_deaths(tmp_path: Path) -> None:
    """Each life is killed in the middle: what it reserved counts as spent, and all lives together keep to the cap."""
    folder, sent = tmp_path / "0", Decimal(0)
    for life in range(1, 30):
        async with open_journal(folder, tariff=capped("50")) as journal:
            sent += sum(
                PRICES[(SEARCH, CREATE)[call % 2]] for call in range(await spend(journal, SEARCH, CREATE, most=7))
            )
            folder = dead_copy(folder, tmp_path / str(life))
    assert Decimal(15) < sent <= 50


async def test_released_call_gives_its_money_back(tmp_path: Path) -> None:
    async with open_journal(tmp_path, tariff=capped("3")) as journal:
        for _ in range(20):
            await journal.budget.reserve(CREATE)
            journal.budget.release(CREATE)
        assert await spend(journal, CREATE) == 2


async def test_price_that_changes_changes_nothing_of_what_was_spent(tmp_path: Path) -> None:
    async with open_journal(tmp_path, tariff=capped("10", {SEARCH: Decimal(1)})) as journal:
        assert await spend(journal, SEARCH, most=4) == 4
    async with open_journal(tmp_path, tariff=capped("10", {SEARCH: Decimal(2)})) as journal:
        assert await spend(journal, SEARCH) == 3
        assert journal.budget.costs() == {SEARCH: Decimal(10)}


async def test_calls_that_were_sent_without_a_price_cost_what_is_named_now(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        assert await spend(journal, SEARCH, most=7) == 7
    for _ in range(2):
        async with open_journal(tmp_path, tariff=capped("10", {SEARCH: Decimal(1)})) as journal:
            assert journal.budget.costs() == {SEARCH: Decimal(7)}
    async with open_journal(tmp_path, tariff=capped("10", {SEARCH: Decimal(1)})) as journal:
        assert await spend(journal, SEARCH) == 3


async def test_prices_without_a_cap_stop_nothing_and_are_counted(tmp_path: Path) -> None:
    async with open_journal(tmp_path, tariff=Tariff(PRICES)) as journal:
        assert await spend(journal, SEARCH, most=30) == 30
        assert (journal.budget.prices, journal.budget.costs()[SEARCH]) == ({}, Decimal(6))
    async with open_journal(tmp_path, tariff=Tariff(PRICES)) as journal:
        assert (await on_disk(journal), journal.budget.costs()[SEARCH]) == (Decimal(6), Decimal(6))


async def test_without_prices_no_money_is_written(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        assert await spend(journal, SEARCH, most=30) == 30
        assert await look(journal, lambda disk: money.noted(disk.db)) == {}
        assert (await look(journal, lambda disk: noted(disk.db)))[SEARCH][0] >= 30


async def test_a_lease_on_its_way_to_the_disk_is_not_taken_back_for_another_kind(tmp_path: Path) -> None:
    """Else its money would be spent twice: by its own calls, and by those it was taken for."""
    prices = {SEARCH: Decimal(1), CREATE: Decimal(90)}
    async with open_journal(tmp_path, tariff=capped("100", prices)) as journal:
        budget, goes_on = journal.budget, threading.Event()
        await budget.reserve(SEARCH)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look, journal, lambda disk: goes_on.wait())
            while (lease := budget.calls[SEARCH]).coming is None:
                await budget.reserve(SEARCH)
            assert lease.used < lease.reserved
            creates: list[int] = []

            async def create() -> None:
                with suppress(RunPaused):
                    await budget.reserve(CREATE)
                    creates.append(1)

            tasks.start_soon(create)
            await anyio.wait_all_tasks_blocked()
            goes_on.set()
        await spend(journal, SEARCH)
        spent = budget.calls[SEARCH].used + 90 * len(creates)
        assert spent <= 100
        assert await on_disk(journal) >= spent
