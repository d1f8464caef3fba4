"""A call that the vendor refuses for one bad id: that one alone is left out, and it costs a few calls at most."""

from collections.abc import Sequence

import anyio
import pytest

from pipeline.endpoints.details import FAILED, OVER_BUDGET, PENDING, REFUSED
from pipeline.engine import patent_batches
from pipeline.engine.patent_asking import ENOUGH_FAILURES
from pipeline.engine.patent_batches import Answered
from pipeline.engine.patent_halves import MOST_QUESTIONS, without_refused
from pipeline.errors import ItemRefused
from tests.support.patents import Asking, MemoryCache, PatentVendor, all_of, batches_of
from tests.support.processes import PATIENCE_S

pytestmark = pytest.mark.anyio

HUNDRED = [f"p{number}" for number in range(100)]


@pytest.mark.parametrize("bad", [0, 1, 31, 49, 50, 98, 99])
async def test_one_bad_id_among_a_hundred_is_found_in_ten_calls_and_the_others_are_read(bad: int) -> None:
    asked = Asking(PatentVendor(refused={f"p{bad}"}), cap=100)
    assert await asked.ask(*HUNDRED) == {**dict.fromkeys(HUNDRED, ""), f"p{bad}": REFUSED}
    assert len(asked.vendor.calls) <= 10
    assert (f"p{bad}",) in asked.vendor.calls  # alone, so that it is certain
    answered = [id_ for call in asked.vendor.calls if f"p{bad}" not in call for id_ in call]
    assert sorted(answered) == sorted(set(answered))  # none is paid twice
    counts = asked.budget.counts
    assert (asked.purse.reserved, counts.found, counts.calls) == (99, 99, len(asked.vendor.calls))
    assert not asked.said


async def test_a_bad_id_that_is_alone_costs_no_further_question() -> None:
    asked = Asking(PatentVendor(refused={"a"}))
    assert await asked.ask("a") == {"a": REFUSED}
    assert asked.vendor.calls == [("a",)]


async def test_several_bad_ids_are_found_as_long_as_questions_are_left() -> None:
    asked = Asking(PatentVendor(refused={"p3", "p77"}))
    assert await asked.ask(*HUNDRED) == {**dict.fromkeys(HUNDRED, ""), "p3": REFUSED, "p77": REFUSED}


async def test_many_bad_ids_cost_no_more_than_the_cap_and_what_was_not_asked_for_has_failed() -> None:
    bad = set(HUNDRED[::2])
    asked = Asking(PatentVendor(refused=bad))
    said = await asked.ask(*HUNDRED)
    assert len(asked.vendor.calls) == 1 + MOST_QUESTIONS
    assert {why for id_, why in said.items() if id_ in bad} <= {REFUSED, FAILED}
    assert {why for id_, why in said.items() if id_ not in bad} == {"", FAILED}
    assert asked.purse.reserved == list(said.values()).count("")


async def test_a_vendor_that_refuses_everything_is_given_up_after_a_few_calls() -> None:
    asked = Asking(PatentVendor(refused=HUNDRED))
    for _ in range(10):
        assert set((await asked.ask(*HUNDRED)).values()) <= {REFUSED, FAILED}
    assert len(asked.vendor.calls) <= ENOUGH_FAILURES * (1 + MOST_QUESTIONS)
    assert len(asked.said) == 1


async def test_halves_stay_within_the_budget() -> None:
    asked = Asking(PatentVendor(refused={"p9"}), cap=4)
    said = await asked.ask(*HUNDRED[:10])
    assert list(said.values()).count("") == asked.purse.reserved <= 4
    assert said["p8"] == OVER_BUDGET


async def test_the_end_of_the_run_ends_the_search_for_a_bad_id() -> None:
    calls: list[Sequence[str]] = []

    async def ask(ids: Sequence[str]) -> Answered:
        calls.append(ids)
        if len(calls) == 1:
            raise ItemRefused("no", code="68300004")
        return Answered({}, dict.fromkeys(ids, PENDING))

    async def tell(_: Answered) -> None: ...

    assert await without_refused(["a", "b", "c", "d"], ask, tell) == (False, dict.fromkeys("abcd", PENDING))
    assert len(calls) == 2


async def test_what_each_half_answers_is_kept_before_the_next_one_is_asked_for() -> None:
    cache, kept = MemoryCache(), []

    async def answering() -> None:
        kept.append(len(cache.answers))

    async with batches_of(PatentVendor(refused={"p7"}, answering=answering), cache) as batches:
        await all_of(batches.want(HUNDRED[:8]))
    assert kept == [0, 0, 4, 6, 6 + 1]
    assert cache.given_back == ["p7"]


async def test_a_bad_id_is_not_asked_for_again_in_this_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patent_batches, "LINGER_S", 0.01)
    vendor, cache = PatentVendor(refused={"b"}), MemoryCache()
    async with batches_of(vendor, cache) as batches:
        first = await all_of(batches.want(["a", "b"]))
        asked = vendor.asked["b"]
        with anyio.fail_after(PATIENCE_S):
            second = await all_of(batches.want(["b", "c"]))
    assert [one.missing for one in (*first, *second)] == ["", REFUSED, REFUSED, ""]
    assert vendor.asked["b"] == asked
