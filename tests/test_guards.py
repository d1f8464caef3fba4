"""When the vendor counts as down, and when a job counts as wrong."""

import pytest

from pipeline.errors import RunPaused, RunStopped
from pipeline.guards import Breaker, Systemic


def seen(successes: int) -> Breaker:
    breaker = Breaker()
    for _ in range(successes):
        breaker.succeeded()
    return breaker


def opened() -> Breaker:
    """A breaker that opened at second 0."""
    breaker = seen(1)
    rests = [breaker.failed(0.0, "down") for _ in range(20)]
    assert rests == [0.0] * 19 + [30.0]
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
def test_calls_rest_when_half_of_the_last_ones_failed(successes: int, failures: int, opens: bool) -> None:
    breaker = seen(successes)
    rests = [breaker.failed(0.0, "down") for _ in range(failures)]
    assert rests[:-1] == [0.0] * (failures - 1)
    assert rests[-1] == (30.0 if opens else 0.0)


def test_a_vendor_that_never_answered_pauses_the_run_at_once() -> None:
    breaker = Breaker()
    for _ in range(19):
        assert breaker.failed(0.0, "refused") == 0.0
    with pytest.raises(RunPaused, match="the vendor seems to be down: refused") as pause:
        breaker.failed(0.0, "refused")
    assert pause.value.code == "vendor_down"


def test_the_rest_doubles_up_to_5_minutes_while_the_probes_fail() -> None:
    breaker = opened()
    now, rests = 30.0, []
    for _ in range(6):
        rests.append(breaker.failed(now, "down"))
        now += rests[-1]
    assert rests == [60.0, 120.0, 240.0, 300.0, 300.0, 300.0]


def test_answers_to_calls_from_before_the_rest_do_not_prolong_it() -> None:
    """A hundred calls are under way when the vendor goes down; they fail together and say one thing."""
    breaker = opened()
    assert [breaker.failed(now, "down") for now in (0.0, 0.1, 5.0, 29.9)] == [0.0] * 4
    assert breaker.failed(30.0, "down") == 60.0


def test_one_success_closes_it_again() -> None:
    breaker = opened()
    breaker.succeeded()
    assert [breaker.failed(31.0, "down") for _ in range(19)] == [0.0] * 19
    assert breaker.failed(31.0, "down") == 30.0


def test_half_an_hour_without_a_success_pauses_the_run() -> None:
    breaker = opened()
    assert breaker.failed(1799.0, "down") > 0
    with pytest.raises(RunPaused):
        breaker.failed(2200.0, "down")


def test_half_an_hour_counts_from_the_first_failure_since_a_success() -> None:
    breaker = opened()
    breaker.succeeded()
    for _ in range(20):
        rest_s = breaker.failed(5000.0, "down")
    assert rest_s == 30.0


def refuse(systemic: Systemic, codes: str) -> int | None:
    """Count items: `.` passed, any other letter refused with that code; return at which item the run stops."""
    for number, code in enumerate(codes, 1):
        if code == ".":
            systemic.passed()
            continue
        try:
            systemic.refused(code, "a parameter is invalid")
        except RunStopped:
            return number
    return None


@pytest.mark.parametrize(
    ("codes", "stops_at"),
    [
        pytest.param("a" * 10, 10, id="the first ten alike"),
        pytest.param("a" * 9 + "." * 41, None, id="nine of fifty"),
        pytest.param("a." * 10, 19, id="half of the first ones, from ten on"),
        pytest.param("." * 25 + "a" * 25, 45, id="twenty in a row come before half of fifty"),
        pytest.param("..a" * 16 + "..", None, id="a third"),
        pytest.param("ab" * 12, 19, id="two codes, each half"),
        pytest.param("abc" * 16, None, id="three codes, none half"),
        pytest.param("." * 50 + "a" * 19 + "." + "a" * 19, None, id="late, 19 in a row twice"),
        pytest.param("." * 50 + "a" * 20, 70, id="late, 20 in a row"),
        pytest.param("." * 50 + "a" * 19 + "b" + "a" * 19, None, id="late, another code between"),
        pytest.param("." * 50 + "a." * 500, None, id="late, half of them, never in a row"),
    ],
)
def test_a_run_stops_when_its_pictures_are_refused_alike(codes: str, stops_at: int | None) -> None:
    assert refuse(Systemic(), codes) == stops_at


def test_the_stop_says_how_many_and_why() -> None:
    systemic = Systemic()
    refuse(systemic, "." * 5 + "a" * 9)
    with pytest.raises(RunStopped, match="10 of the first 15 pictures were refused alike: no such loc") as stop:
        systemic.refused("a", "no such loc")
    assert stop.value.code == "a"
