"""Text in cells: nothing is run, nothing is changed on the way there and back, everything fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.results.cells import LONGEST, looks_like_formula, meant, neutral, visible


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1", "'=1", "' =1"])
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert neutral(text) == "'" + text
    assert looks_like_formula(text)


@pytest.mark.parametrize("text", ["", "00042", "Lamp", "a=b", "'quoted'", "1-2", "台灯"])
def test_every_other_text_stays_as_it_is(text: str) -> None:
    assert neutral(text) == text
    assert not looks_like_formula(text)


@given(st.text(alphabet="'=+-@\t ab\uff1d"))
def test_a_text_comes_back_as_it_was_meant(text: str) -> None:
    assert meant(neutral(text)) == text


def test_what_nobody_can_see_is_left_out_and_what_is_too_long_is_cut() -> None:
    assert visible("a\x00b\u202ec\n d\ud800") == "abc d"
    assert visible("שלום 👨‍👩‍👧 00042") == "שלום 👨‍👩‍👧 00042"
    assert visible("x" * 40_000) == "x" * (LONGEST - 1) + "…"
