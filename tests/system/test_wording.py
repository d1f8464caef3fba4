"""Counts and durations in words."""

import pytest

from pipeline.system.wording import count, duration


def test_counts_have_the_right_number() -> None:
    assert [count(0, "hit"), count(1, "hit"), count(20_783, "hit")] == ["0 hits", "1 hit", "20,783 hits"]
    assert [count(n, "search", "searches") for n in (1, 2)] == ["1 search", "2 searches"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (8, "8 s"), (59.6, "1 min 0 s"), (252, "4 min 12 s"), (11_100, "3 h 5 min"), (4e6, "1,111 h 6 min")],
)
def test_a_duration_has_two_figures_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text
