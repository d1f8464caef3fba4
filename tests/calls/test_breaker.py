"""Reasons to stop asking: a vendor that is down, and codes that nobody knows."""

import pytest

from pipeline.calls.breaker import Breaker, UnknownCodes
from pipeline.errors import RunPaused, RunStopped


def seen(successes: int) -> Breaker:
    breaker = Breaker()
    for _ in range(successes):
        breaker.answered()
    return breaker


def opened() -> Breaker:
    """A breaker that opened at second 0."""
    breaker = seen(1)
    pauses = [breaker.failed(0.0, "down") for _ in range(20)]
    assert pauses == [0.0] * 19 + [30.0]
    return breaker


@pytest.mark.parametrize(
    ("successes", "failures", "opens"),
    [
        pytest.param(1, 19, False, id="too few to tell"),
        pytest.param(1, 20, True, id="20 of 21"),
        pytest.param(20, 20, True, id="half"),
        pytest.param(26, 24, False, id="less than half of the last 50"),
        pytest.param(25, 25, True, id="half of the last 50"),
        pytest.param(1000, 24, False, id="after a long time of success"),
        pytest.param(1000, 25, True, id="half of the last 50 after a long time of success"),
    ],
)
def test_calls_pause_when_half_of_the_last_ones_failed(successes: int, failures: int, opens: bool) -> None:
    breaker = seen(successes)
    pauses = [breaker.failed(0.0, "down") for _ in range(failures)]
    assert pauses[:-1] == [0.0] * (failures - 1)
    assert pauses[-1] == (30.0 if opens else 0.0)


def test_a_vendor_that_never_answered_pauses_the_run_at_once() -> None:
    breaker = Breaker()
    for _ in range(19):
        assert breaker.failed(0.0, "refused") == 0.0
    with pytest.raises(RunPaused, match="the vendor seems to be down: refused") as pause:
        breaker.failed(0.0, "refused")
    assert pause.value.code == "vendor_down"


def test_the_pause_doubles_up_to_5_minutes_while_the_probes_fail() -> None:
    breaker = opened()
    now, pauses = 30.0, []
    for _ in range(6):
        pauses.append(breaker.failed(now, "down"))
        now += pauses[-1]
    assert pauses == [60.0, 120.0, 240.0, 300.0, 300.0, 300.0]


def test_answers_to_calls_from_before_the_pause_do_not_prolong_it() -> None:
    """A hundred calls are under way when the vendor goes down; they fail together and say one thing."""
    breaker = opened()
    assert [breaker.failed(now, "down") for now in (0.0, 0.1, 5.0, 29.9)] == [0.0] * 4
    assert breaker.failed(30.0, "down") == 60.0


def test_one_success_closes_it_again() -> None:
    breaker = opened()
    breaker.answered()
    assert [breaker.failed(31.0, "down") for _ in range(19)] == [0.0] * 19
    assert breaker.failed(31.0, "down") == 30.0


def test_half_an_hour_without_a_success_pauses_the_run() -> None:
    breaker = opened()
    assert breaker.failed(1799.0, "down") > 0
    with pytest.raises(RunPaused):
        breaker.failed(2200.0, "down")


def test_half_an_hour_counts_from_the_first_failure_since_a_success() -> None:
    breaker = opened()
    breaker.answered()
    for _ in range(20):
        pause_s = breaker.failed(5000.0, "down")
    assert pause_s == 30.0


@pytest.mark.parametrize(
    ("times", "stops_at"),
    [
        pytest.param([0, 1, 2, 3], None, id="four"),
        pytest.param([0, 1, 2, 3, 60], 5, id="five within 60 s"),
        pytest.param([0, 1, 2, 3, 60.1], None, id="five in more than 60 s"),
        pytest.param([0, 50, 100, 101, 102, 103, 104], 6, id="a sliding minute"),
        pytest.param([n * 16.0 for n in range(100)], None, id="seldom, for long"),
    ],
)
def test_a_run_stops_when_nobody_knows_the_codes(times: list[float], stops_at: int | None) -> None:
    assert unknown(times) == stops_at


def unknown(times: list[float]) -> int | None:
    """See unknown codes at these times; return at which one the run stops."""
    guard = UnknownCodes()
    for number, now in enumerate(times, 1):
        try:
            guard.seen(now, "the vendor's service sent an undocumented code (68300099)")
        except RunStopped:
            return number
    return None


def test_the_stop_for_unknown_codes_names_the_code_and_the_way_out() -> None:
    guard = UnknownCodes()
    for _ in range(4):
        guard.seen(0.0, "an undocumented code (68300098)")
    with pytest.raises(RunStopped, match=r"68300099.*api\.errors"):
        guard.seen(0.0, "an undocumented code (68300099)")
