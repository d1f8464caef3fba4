"""One call for details: its place in the budget, and what its failures mean."""

from decimal import Decimal

import anyio
import pytest

from pipeline.endpoints.details import FAILED, NOT_ALLOWED, NOT_FOUND, OVER_BUDGET, PENDING
from pipeline.endpoints.patsnap.d301 import PatentDetails
from pipeline.engine.patent_asking import ENOUGH_FAILURES, _Meter
from pipeline.engine.patent_budget import PatentBudget
from pipeline.errors import CallError, GivenUp, RunPaused, RunStopped, Stopping, TryAgain
from pipeline.models import PAID, Kind
from pipeline.results.patent_counts import PatentCounts
from tests.support.patents import Asking, PatentPurse, PatentVendor, Remembered
from tests.support.refusals import error_for
from tests.support.virtual_time import run_virtually
from tests.support.virtual_vendor import VirtualVendor, client_of, outcome

pytestmark = pytest.mark.anyio


async def test_patents_that_are_not_found_are_not_billed() -> None:
    asked = Asking(PatentVendor(unknown={"b"}), cap=10)
    assert await asked.ask("a", "b", "c") == {"a": "", "b": NOT_FOUND, "c": ""}
    assert asked.counts == PatentCounts(calls=1, asked=3, found=2)
    assert (asked.purse.reserved, asked.purse.sent_) == (2, 2)


async def test_all_that_may_be_billed_is_reserved_durably_before_the_call_leaves() -> None:
    seen: list[int] = []

    async def answering() -> None:
        seen.append(asked.purse.reserved)

    asked = Asking(PatentVendor(unknown={"b"}, answering=answering), cap=10)
    await asked.ask("a", "b", "c")
    assert seen == [3]


async def test_the_budget_is_never_exceeded_and_its_end_is_said_once() -> None:
    asked = Asking(PatentVendor(), cap=3)
    assert await asked.ask("a", "b") == {"a": "", "b": ""}
    assert await asked.ask("c", "d", "e") == {"c": "", "d": OVER_BUDGET, "e": OVER_BUDGET}
    assert await asked.ask("f") == {"f": OVER_BUDGET}
    assert asked.vendor.calls == [("a", "b"), ("c",)]
    assert (asked.purse.reserved, len(asked.said)) == (3, 1)
    assert "the budget is used up: details" in asked.said[0]


async def test_money_that_is_promised_to_items_is_not_spent_on_details() -> None:
    asked = Asking(PatentVendor(), purse=PatentPurse(price=Decimal("0.5"), money=Decimal(3)))
    asked.budget.promised = lambda: Decimal(2)
    assert await asked.ask("a", "b", "c") == {"a": "", "b": "", "c": OVER_BUDGET}
    assert asked.purse.reserved == 2
    assert "the budget is used up: money" in asked.said[0]


async def test_without_permission_no_more_calls_are_made_and_one_remark_says_so() -> None:
    asked = Asking(PatentVendor(error_for(Kind.DETAILS, "67200004")))
    assert await asked.ask("a", "b") == {"a": NOT_ALLOWED, "b": NOT_ALLOWED}
    assert await asked.ask("c") == {"c": NOT_ALLOWED}
    assert len(asked.vendor.calls) == len(asked.said) == 1
    assert "67200004" in asked.said[0]
    assert "D301" in asked.said[0]


@pytest.mark.parametrize("code", ["67200005", "67200006", "67200007", "67200101"])
async def test_what_ends_a_run_elsewhere_ends_the_details_alone(code: str) -> None:
    error = error_for(Kind.DETAILS, code)
    assert isinstance(error, RunPaused | RunStopped)
    asked = Asking(PatentVendor(error))
    assert await asked.ask("a") == {"a": FAILED}
    assert await asked.ask("b") == {"b": FAILED}
    assert len(asked.vendor.calls) == len(asked.said) == 1


@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_vendor_that_does_not_answer_is_given_up_after_a_few_calls(wrapped: bool) -> None:
    error: CallError = error_for(Kind.DETAILS, "no_answer")
    assert isinstance(error, TryAgain)
    asked = Asking(PatentVendor(*[GivenUp(error) if wrapped else error] * 99))
    for at in range(10):
        assert await asked.ask(str(at)) == {str(at): FAILED}
    assert len(asked.vendor.calls) == ENOUGH_FAILURES
    assert len(asked.said) == 1


async def test_what_the_end_of_the_run_leaves_is_pending() -> None:
    class Ending(PatentVendor):
        async def call(self, endpoint: object, asked: tuple[str, ...], meter: object) -> None:
            raise Stopping("the run is ending")

    asked = Asking(Ending())
    assert await asked.ask("a") == {"a": PENDING}
    assert not asked.said


@pytest.mark.parametrize(
    ("code", "billed"),
    [(67200002, False), (67200004, False), (68300004, False), (68300008, True), (67200100, True)],
)
def test_an_attempt_that_the_gateway_refused_costs_nothing_and_an_unclear_one_does(code: int, billed: bool) -> None:
    async def scenario() -> tuple[PatentPurse, VirtualVendor]:
        vendor, purse = VirtualVendor(lambda *_: code), PatentPurse()
        meter = _Meter(PatentBudget(purse, Remembered(), PatentCounts()), 3, lambda: None)
        client = client_of(vendor, kinds=(*PAID, Kind.DETAILS))
        assert isinstance(await outcome(client.call(PatentDetails(), ("a", "b", "c"), meter)), CallError | GivenUp)
        return purse, vendor

    purse, vendor = run_virtually(scenario)
    assert vendor.sent
    assert purse.reserved == purse.sent_ == (3 * len(vendor.sent) if billed else 0)


async def test_an_attempt_that_never_left_costs_nothing() -> None:
    purse = PatentPurse(3)
    budget = PatentBudget(purse, Remembered(), PatentCounts())
    meter = _Meter(budget, 3, lambda: None)
    for _ in range(2):
        await meter.before(Kind.DETAILS, "1")
        meter.not_executed(Kind.DETAILS)
    assert (purse.reserved, purse.sent_) == (0, 0)


async def test_a_repetition_needs_room_in_the_budget_of_its_own() -> None:
    purse = PatentPurse(5)
    budget = PatentBudget(purse, Remembered(), PatentCounts())
    meter = _Meter(budget, 3, lambda: None)
    await meter.before(Kind.DETAILS, "1")
    meter.sent(Kind.DETAILS)
    meter.not_executed(Kind.DETAILS)
    with pytest.raises(RunPaused):
        await meter.before(Kind.DETAILS, "2")
    assert purse.reserved == 3


async def test_calls_go_one_at_a_time_until_one_went_well_and_since_one_failed() -> None:
    under_way: list[int] = []

    async def answering() -> None:
        under_way.append(under_way[-1] + 1 if under_way else 1)
        await anyio.sleep(0.01)
        under_way.append(under_way[-1] - 1)

    async def most_of_three(asked: Asking) -> int:
        under_way.clear()
        async with anyio.create_task_group() as group:
            for id_ in "abc":
                group.start_soon(asked.ask, id_)
        return max(under_way)

    asked = Asking(PatentVendor(*[None] * 5, error_for(Kind.DETAILS, "no_answer"), answering=answering))
    assert await most_of_three(asked) == 1
    assert await most_of_three(asked) == 3
    assert await most_of_three(asked) == 1


def test_patents_that_nobody_asked_for_are_no_answer_and_those_asked_for_count_as_billed() -> None:
    others, mixed = ({"data": [{"patent_id": id_, "pn": id_} for id_ in ids]} for ids in ("xy", "xb"))

    async def scenario() -> tuple[Asking, dict[str, str]]:
        vendor = VirtualVendor(lambda _, number: others if number == 1 else mixed)
        asked = Asking(client_of(vendor, kinds=(*PAID, Kind.DETAILS)))  # type: ignore[arg-type]
        return asked, await asked.ask("a", "b")

    asked, said = run_virtually(scenario)
    assert said == {"a": NOT_FOUND, "b": ""}
    assert asked.counts == PatentCounts(calls=2, asked=4, found=1)
    assert asked.purse.reserved == 3  # both patents of the call that was answered for somebody else, and the one found
