"""Masks: what a test hides is hidden in that test alone."""

import pytest

from pipeline.system.masking import hide, masked

SECRET = "a-word-that-two-tests-use"


@pytest.mark.parametrize("passing", [False, True])
@pytest.mark.parametrize("time", ["first", "second"])
def test_no_test_begins_with_what_another_one_hid(time: str, *, passing: bool) -> None:
    assert masked(SECRET) == SECRET
    hide([SECRET], passing=passing)
    assert masked(SECRET) == "***"
