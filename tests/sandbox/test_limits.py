"""Limits of an account: calls a second, a day, and in all."""

import random

import pytest

from pipeline.sandbox.envelope import Refused
from pipeline.sandbox.limits import Limits
from tests.support.sandbox_calls import NOON


def limits(*, qps: float | None = None, daily_limit: int | None = None, balance: int | None = None) -> Limits:
    return Limits(qps=qps, daily_limit=daily_limit, balance=balance)


def passes(meter: Limits, endpoint: str = "search", *, at_s: float = 0.0, wall_s: float = NOON) -> bool:
    try:
        meter.admit(endpoint, monotonic_s=at_s, wall_s=wall_s)
    except Refused:
        return False
    return True


def code(meter: Limits, endpoint: str = "search", *, at_s: float = 0.0) -> int:
    with pytest.raises(Refused) as refusal:
        meter.admit(endpoint, monotonic_s=at_s, wall_s=NOON)
    return refusal.value.code


@pytest.mark.parametrize("qps", [1, 5, 40])
def test_no_sliding_second_holds_more_than_the_qps(qps: int) -> None:
    arrivals = random.Random(qps)
    meter = limits(qps=qps)
    times = sorted(arrivals.uniform(0, 20) for _ in range(3000))
    accepted = [at for at in times if passes(meter, at_s=at)]
    assert len(accepted) > 10 * qps
    assert all(late - early >= 1.0 for early, late in zip(accepted, accepted[qps:], strict=False))


def test_calls_at_exactly_the_qps_all_pass() -> None:
    meter = limits(qps=4)
    assert all(passes(meter, at_s=n * 0.25) for n in range(100))


def test_too_fast_is_67200002_and_does_not_prolong_itself() -> None:
    meter = limits(qps=1)
    assert passes(meter, at_s=0.0)
    assert code(meter, at_s=0.999) == 67200002
    assert passes(meter, at_s=1.0)


def test_a_rate_below_one_means_one_call_per_so_many_seconds() -> None:
    meter = limits(qps=0.5)
    assert passes(meter, at_s=0.0)
    assert not passes(meter, at_s=1.9)
    assert passes(meter, at_s=2.0)


def test_each_endpoint_has_a_second_of_its_own() -> None:
    meter = limits(qps=1)
    assert passes(meter, "search")
    assert passes(meter, "create")
    assert not passes(meter, "search")


def test_the_daily_limit_is_67200007_until_the_utc_day_turns() -> None:
    meter = limits(daily_limit=2)
    assert passes(meter, "search")
    assert passes(meter, "create")
    assert code(meter) == 67200007
    assert passes(meter, wall_s=NOON + 43_200)


def test_an_empty_balance_is_67200005() -> None:
    meter = limits(balance=1)
    assert passes(meter)
    assert code(meter) == 67200005
    assert meter.balance == 0


def test_a_refused_call_is_paid_back() -> None:
    meter = limits(balance=1, daily_limit=1)
    assert passes(meter)
    meter.give_back("search")
    assert passes(meter)


def test_uploads_cost_nothing() -> None:
    meter = limits(balance=0, daily_limit=0)
    assert passes(meter, "upload")
    meter.give_back("upload")
    assert meter.balance == 0
