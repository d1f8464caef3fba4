"""The decision to retry, and the budget of retries."""

import pytest

from pipeline.calls.retry import CAP_S, MAX_DEFERRALS, RetryBudget, Tries, delay_s
from pipeline.errors import CallError, HoldAll, InDoubt, ItemRefused, RefreshToken, RunPaused, SlowDown, TryAgain


def again(attempts: int = 4, base_s: float = 1.0, retry_after_s: float | None = None) -> TryAgain:
    return TryAgain("x", code="x", attempts=attempts, base_s=base_s, retry_after_s=retry_after_s)


@pytest.mark.parametrize(
    ("attempt", "base_s", "jitter", "expected"),
    [
        pytest.param(1, 1.0, 0.5, 0.5, id="half of the base"),
        pytest.param(2, 1.0, 0.5, 1.0, id="doubled"),
        pytest.param(3, 1.0, 0.5, 2.0, id="doubled again"),
        pytest.param(1, 0.05, 0.5, 0.025, id="a small base"),
        pytest.param(2, 1.0, 0.0, 0.0, id="full jitter reaches zero"),
        pytest.param(9, 1.0, 0.5, CAP_S / 2, id="capped at 20 s"),
        pytest.param(3, 50.0, 0.999, CAP_S * 0.999, id="never above the cap"),
    ],
)
def test_the_wait_doubles_with_full_jitter_up_to_the_cap(
    attempt: int, base_s: float, jitter: float, expected: float
) -> None:
    assert delay_s(attempt, again(attempts=99, base_s=base_s), jitter=jitter) == pytest.approx(expected)


@pytest.mark.parametrize(("attempts", "tried"), [(1, 0), (2, 1), (4, 3)])
def test_a_call_is_tried_as_often_as_its_error_says_and_no_more(attempts: int, tried: int) -> None:
    delays = [delay_s(attempt, again(attempts), jitter=0.5) for attempt in range(1, 8)]
    assert [delay is not None for delay in delays] == [True] * tried + [False] * (7 - tried)


@pytest.mark.parametrize(
    ("retry_after_s", "expected"),
    [(None, 0.5), (0.0, 0.5), (0.1, 0.5), (7.0, 7.0), (300.0, 300.0), (86_400.0, 300.0)],
)
def test_what_the_vendor_asks_for_is_the_least_that_is_waited_up_to_5_minutes(
    retry_after_s: float | None, expected: float
) -> None:
    assert delay_s(1, again(retry_after_s=retry_after_s), jitter=0.5) == expected


@pytest.mark.parametrize("kind", [InDoubt, ItemRefused, SlowDown, HoldAll, RefreshToken, RunPaused])
def test_nothing_but_a_passing_failure_is_tried_again(kind: type[CallError]) -> None:
    assert delay_s(1, kind("x", code="x", attempts=99), jitter=0.5) is None


def test_50_retries_go_in_a_burst_and_then_one_for_ten_successes() -> None:
    budget = RetryBudget()
    assert [budget.spend() for _ in range(51)] == [True] * 50 + [False]
    for _ in range(9):
        budget.answered()
    assert not budget.spend()
    budget.answered()
    budget.answered()  # ten tenths are a hair less than one
    assert budget.spend()
    assert not budget.spend()


def test_successes_are_not_saved_up_beyond_the_burst() -> None:
    budget = RetryBudget()
    for _ in range(10_000):
        budget.answered()
    assert sum(budget.spend() for _ in range(200)) == 50


def test_while_the_account_accepts_no_other_call_no_refusal_for_speed_counts_also_after_one_that_did() -> None:
    tries = Tries(accepted=5)
    assert tries.too_fast(6) == 0.0
    assert [tries.too_fast(6) for _ in range(2 * MAX_DEFERRALS)] == [0.0] * (2 * MAX_DEFERRALS)
    assert tries.deferrals == 1
