"""Budgets that several machines spend: never above the cap, whoever draws, dies or loses an answer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.leases.folder_store import FolderStore
from pipeline.leases.money import CHUNK, LEAST_UNCAPPED, SharedBudget, chunk_of
from pipeline.leases.store import Store
from tests.support.lengths import THOROUGH
from tests.support.shared_store import MemoryStore

KIND, MONEY = "search_calls", "money"


def budget(store: Store, cap: int | str | None = 1000, kind: str = KIND, *, sharers: int = 16) -> SharedBudget:
    caps = {kind: None if cap is None else Decimal(cap)}
    return SharedBudget(store, "acme", "Autumn 2026", caps, sharers=lambda: sharers)


def total(store: MemoryStore) -> Decimal:
    (entries,) = store.entries.values()
    return Decimal(json.loads(entries[max(entries)])["total"])


def draw_all(one: SharedBudget, *, least: int = 1, most: int = 10**9) -> list[int]:
    """Draw until nothing is left; return the draws."""
    draws = []
    while count := one.draw(KIND, least, most):
        draws.append(count)
    return draws


@pytest.mark.parametrize("cap", [0, 1, 15, 64, 1000, 100_000])
def test_a_cap_is_drawn_to_the_last_call_and_not_beyond(cap: int) -> None:
    assert sum(draw_all(budget(MemoryStore(), cap))) == cap


def test_a_draw_is_a_chunk_and_smaller_near_the_end() -> None:
    draws = draw_all(budget(MemoryStore(), 100_000))
    assert draws[0] == 1000, "a hundredth of the rest"
    assert CHUNK in draws
    assert draws[-1] == 1, "nobody holds what another needs"
    assert len(draws) < 500, "few entries for many calls"


def test_a_draw_is_no_more_than_asked_for_unless_that_is_needed() -> None:
    one = budget(MemoryStore(), 10_000)
    assert (one.draw(KIND, 1, 10), one.draw(KIND, 90, 90), one.draw(KIND, 1, 500, held=60)) == (10, 90, 39)


def test_what_one_machine_drew_is_missing_for_the_other() -> None:
    store = MemoryStore()
    one, other = budget(store, 100), budget(store, 100)
    assert one.draw(KIND, 60, 60) == 60
    assert other.draw(KIND, 41, 41) == 0, "none is drawn where there are too few"
    assert other.draw(KIND, 40, 40) == 40
    assert one.draw(KIND, 1, 1) == 0


def test_each_machine_keeps_to_its_own_cap_and_a_raised_one_allows_more() -> None:
    store = MemoryStore()
    small, large = budget(store, 100), budget(store, 150)
    assert large.draw(KIND, 110, 110) == 110
    assert small.draw(KIND, 1, 1) == 0
    assert sum(draw_all(large)) == 40
    assert sum(draw_all(budget(store, 200))) == 50


def test_without_a_cap_what_is_drawn_is_counted_for_those_who_have_one() -> None:
    store = MemoryStore()
    free = budget(store, None)
    assert free.draw(KIND, 1, 10**9) == LEAST_UNCAPPED
    assert free.left(KIND) is free.fair(KIND) is None
    assert budget(store, LEAST_UNCAPPED).draw(KIND, 1, 1) == 0


def test_what_is_given_back_can_be_drawn_again() -> None:
    store = MemoryStore()
    one = budget(store, 100)
    one.draw(KIND, 100, 100)
    assert one.give_back(KIND, Decimal(30))
    assert sum(draw_all(budget(store, 100))) == 30


def test_what_is_given_back_after_the_store_lost_its_entries_takes_the_total_to_nothing_at_most() -> None:
    """The total began anew and does not hold those calls: below nothing it would let others draw beyond their cap."""
    store = MemoryStore()
    one, other = budget(store, 100), budget(store, 100)
    one.draw(KIND, 80, 80)
    store.entries.clear()
    assert (other.draw(KIND, 10, 10), other.draw(KIND, 10, 10)) == (10, 10)
    assert one.give_back(KIND, Decimal(80))
    assert total(store) == 0
    assert sum(draw_all(other)) == 100


def test_money_is_exact() -> None:
    store, price = MemoryStore(), Decimal("0.07")
    one = budget(store, "1.00", MONEY)
    drawn = 0
    while count := one.draw(MONEY, 1, 3, unit=price):
        drawn += count
    assert (drawn, total(store)) == (14, Decimal("0.98"))
    assert one.left(MONEY) == Decimal("0.02")


class TestSeed:
    """What a run directory spent before it shared its budgets."""

    def test_it_counts_and_the_parts_of_two_machines_add_up(self) -> None:
        store = MemoryStore()
        one, other = budget(store), budget(store)
        assert one.seed(KIND, spent=Decimal(300), unknown=Decimal(300))
        assert other.seed(KIND, spent=Decimal(200), unknown=Decimal(200))
        assert total(store) == 500

    def test_it_counts_once(self) -> None:
        store = MemoryStore()
        for unknown in (300, 0, 0):
            budget(store).seed(KIND, spent=Decimal(300), unknown=Decimal(unknown))
        assert total(store) == 300

    @pytest.mark.parametrize("lost", [[True, True], [True, True, True, True]])
    def test_it_counts_once_also_where_its_answer_was_lost_and_it_is_tried_again(self, lost: list[bool]) -> None:
        losing = iter(lost)
        store = MemoryStore(lambda: next(losing, False))
        one = budget(store, 100)
        tries = 1
        while not one.seed(KIND, spent=Decimal(90), unknown=Decimal(90)):
            tries += 1
        assert (tries > 1, total(store), one.left(KIND)) == (True, 90, 10)

    def test_what_it_counted_is_not_drawn_again_where_its_answer_was_lost(self) -> None:
        losing = iter([True, True])
        one = budget(MemoryStore(lambda: next(losing, False)), 100)
        assert not one.seed(KIND, spent=Decimal(60), unknown=Decimal(60))
        assert one.draw(KIND, 1, 50) <= 40

    def test_a_store_that_was_lost_begins_with_what_is_spent(self) -> None:
        store = MemoryStore()
        budget(store).seed(KIND, spent=Decimal(300), unknown=Decimal(0))
        assert total(store) == 300

    def test_it_may_be_more_than_the_cap(self) -> None:
        store = MemoryStore()
        one = budget(store, 100)
        one.seed(KIND, spent=Decimal(300), unknown=Decimal(300))
        assert (one.draw(KIND, 1, 1), one.left(KIND)) == (0, 0)


def test_of_the_rest_one_machine_counts_on_its_part() -> None:
    one = budget(MemoryStore(), 1000, sharers=4)
    one.draw(KIND, 200, 200)
    assert (one.left(KIND), one.fair(KIND), one.most_held(KIND)) == (800, (800 - 4 * CHUNK) / 8, 64)
    one.draw(KIND, 600, 600)
    assert (one.left(KIND), one.fair(KIND)) == (200, 0), "near the end nobody counts on what is not drawn"
    for alone in (0, 1):
        assert budget(MemoryStore(), 1000, sharers=alone).fair(KIND) == 1000 - 4 * CHUNK
        assert budget(MemoryStore(), 200, sharers=alone).fair(KIND) == 0, "another may have begun a moment ago"


def test_a_store_that_does_not_answer_is_asked_again_and_nothing_is_drawn_twice() -> None:
    losing = iter([True, True, False, False])
    store = MemoryStore(lambda: next(losing, False))
    one = budget(store, 100)
    assert one.draw(KIND, 10, 10) is None
    store.answers = False
    assert one.draw(KIND, 10, 10) is None
    store.answers = True
    assert (one.draw(KIND, 10, 10), total(store)) == (10, 10)


def test_a_draw_whose_answer_was_lost_is_given_back_with_the_rest() -> None:
    losing = iter([False, True, True])
    store = MemoryStore(lambda: next(losing, False))
    one = budget(store, 100)
    assert one.draw(KIND, 10, 10) == 10
    assert one.draw(KIND, 20, 20) is None
    assert one.give_back(KIND, Decimal(4))
    assert total(store) == 6


def test_it_lies_in_a_folder_under_names_that_give_nothing_away(tmp_path: Path) -> None:
    one, other = (budget(FolderStore.open(tmp_path), 100) for _ in range(2))
    assert (one.draw(KIND, 70, 70), other.draw(KIND, 31, 31), other.draw(KIND, 30, 30)) == (70, 0, 30)
    assert len(list(tmp_path.glob("b/acme/autumn-2026-*/search_calls.*"))) == 2


# --- any interleaving ---


@dataclass
class Machine:
    """A machine that spends; `spent` is what its journal has noted: all that was drawn when it was noted last."""

    budget: SharedBudget
    drawn: int = 0
    sent: int = 0

    @property
    def held(self) -> int:
        return self.drawn - self.sent


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["draw", "draw", "send", "send", "send", "kill", "end"]),
        st.integers(1, 40),
    ),
    max_size=80,
)


@settings(max_examples=1000 if THOROUGH else 100, deadline=None)
@given(steps=STEPS, cap=st.integers(0, 600), lost=st.lists(st.booleans(), max_size=60))
def test_whatever_four_machines_do_no_more_is_sent_than_drawn_nor_drawn_than_the_cap(
    steps: list[tuple[int, str, int]], cap: int, lost: list[bool]
) -> None:
    losing: Iterator[bool] = iter(lost)
    store = MemoryStore(lambda: next(losing, False))
    machines = [Machine(budget(store, cap)) for _ in range(4)]
    sent = deaths = 0
    for who, step, count in steps:
        one = machines[who]
        if step == "draw":
            one.drawn += one.budget.draw(KIND, 1, 10**9, held=one.held) or 0
            assert one.held <= chunk_of(cap)
        elif step == "send":
            now = min(count, one.held)
            one.sent += now
            sent += now
        else:
            if step == "kill":
                deaths += 1
            elif not one.budget.give_back(KIND, Decimal(one.held)):
                deaths += 1  # it stays spent
            machines[who] = Machine(budget(store, cap))
    held = sum(one.held for one in machines)
    drawn = total(store) if store.entries else 0
    assert sent + held <= drawn <= cap
    unknown = sum(one.budget._series[KIND].is_doubtful for one in machines)
    assert drawn - sent - held <= (deaths + unknown) * CHUNK
