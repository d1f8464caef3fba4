"""Clocks: a jump is noticed, and summer time is none."""

import os
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.system.clock import Age, Clocks, Jump, Ticks, from_the_future, iso, steady


def test_the_steady_clock_counts_sleep_and_is_not_the_wall_clock() -> None:
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert abs(steady() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1.0
    assert abs(steady() - time.time()) > 86_400
    first = steady()
    assert steady() >= first


def test_summer_time_moves_nothing() -> None:
    """All times are UTC: the day the clocks change is 24 hours of 3,600 seconds like any other."""
    ticks = Ticks(Clocks())
    before = os.environ.get("TZ")
    try:
        for zone in ("UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia"):
            os.environ["TZ"] = zone
            time.tzset()
            assert ticks.tick() is None
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


def test_a_jump_says_what_happened() -> None:
    wall, passed = [1_000_000.0], [5_000.0]
    ticks = Ticks(Clocks(lambda: wall[0], lambda: passed[0]))
    wall[0] += 60
    passed[0] += 100
    assert ticks.tick() == Jump(-40.0, 100.0)
    assert ticks.tick() is None


@pytest.mark.parametrize(("wall", "passed", "age"), [(60, 60, 60), (-3600, 60, 60), (3600, 60, 3600), (-3600, 0, 0)])
def test_an_age_is_the_larger_of_what_both_clocks_say(wall: float, passed: float, age: float) -> None:
    now = [1_000_000.0, 5_000.0]
    came = Age(now[0], Clocks(lambda: now[0], lambda: now[1]))
    now[0] += wall
    now[1] += passed
    assert came.seconds == age


def test_a_time_ahead_of_the_clock_is_from_the_future_and_a_little_ahead_is_not() -> None:
    assert from_the_future(1_031.0, now=1_000.0)
    assert not from_the_future(1_029.0, now=1_000.0)


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert iso(0.0) == "1970-01-01T00:00:00.000Z"


@given(
    st.one_of(
        st.floats(-1e9, 4e9),
        st.builds(lambda whole, micros: whole + micros / 1e6, st.integers(0, 1 << 31), st.integers(0, 1_000_000)),
        st.builds(lambda whole, over: whole + over, st.integers(0, 1 << 31), st.sampled_from([0.9999995, 0.9999994])),
    )
)
def test_any_time_is_written_as_datetime_cuts_it_to_milliseconds(at: float) -> None:
    assert iso(at) == datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
