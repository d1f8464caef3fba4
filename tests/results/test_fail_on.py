"""The condition of `--fail-on`: which products meet it."""

from pathlib import Path

import pytest

from pipeline.errors import SpecError
from pipeline.results.fail_on import Condition, about_matching, condition_of, judged, matching
from tests.support.summaries import run, summary_of


@pytest.fixture
def month(tmp_path: Path) -> Path:
    """A run after another one: A has a new hit, B the same, C one that rose, D a weak new one, E is a new item."""
    run(tmp_path, "oct", 1, A={"US1": 0.95}, B={"US2": 0.95}, C={"US3": 0.91}, D={"US4": 0.99})
    now = {"A": {"US1": 0.95, "US9": 0.93}, "B": {"US2": 0.95}, "C": {"US3": 0.95}, "D": {"US4": 0.99, "US8": 0.5}}
    return run(tmp_path, "nov", 2, **now, E={"US5": 0.97})


def test_new_counts_products_with_a_hit_that_is_new_or_has_risen(month: Path) -> None:
    assert matching(month, condition_of("new:0.9")) == 3  # A, C and E, which was never looked at before
    assert matching(month, condition_of("new:0.96")) == 1
    assert matching(month, condition_of("new:0.5")) == 4


def test_hit_counts_every_product_with_such_a_hit(month: Path) -> None:
    assert [matching(month, Condition(False, score)) for score in (0.9, 0.96, 1.0)] == [5, 2, 0]


def test_in_a_first_run_every_hit_is_new(tmp_path: Path) -> None:
    assert matching(run(tmp_path, "first", 1, A={"US1": 0.9}, B={"US2": 0.8}), condition_of("new:0.9")) == 1


def test_an_earlier_run_that_is_named_must_be_there(month: Path) -> None:
    with pytest.raises(SpecError, match="no run to compare with"):
        matching(month, condition_of("new:0.9", since="sep"))
    assert matching(month, condition_of("new:0.9", since="oct")) == 3


@pytest.mark.parametrize("text", ["", "new", "new:", "new:2", "new:1.5", "old:0.9", "hit:-1", "hit:0.9 ", "new:,9"])
def test_what_is_no_condition_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(SpecError, match="is no condition"):
        condition_of(text)


def test_the_condition_in_words() -> None:
    assert about_matching(1, condition_of("new:0.9")) == "1 product has a new or risen hit at or above 0.9 (--fail-on)"
    assert about_matching(2, condition_of("hit:1")) == "2 products have a hit at or above 1 (--fail-on)"


@pytest.mark.parametrize(("code", "judged_as"), [(0, 7), (1, 7), (2, 2), (3, 3), (4, 4), (5, 5), (130, 130)])
def test_only_a_run_that_came_to_its_end_gets_exit_code_7(month: Path, code: int, judged_as: int) -> None:
    found = judged(summary_of(month, code), condition_of("new:0.9"))
    assert found.exit_code == judged_as
    assert ("3 products have a new or risen hit" in found.exit_reason) is (judged_as == 7)


def test_a_run_without_such_a_hit_keeps_its_code(month: Path) -> None:
    assert judged(summary_of(month), condition_of("new:0.99")) == summary_of(month)
    assert judged(summary_of(month), None) == summary_of(month)


def test_what_cannot_be_judged_is_not_taken_for_nothing_new(month: Path) -> None:
    (month.parent / "oct" / "results.jsonl").write_bytes(b"no record\n")
    found = judged(summary_of(month), condition_of("new:0.99"))
    assert found.exit_code == 7
    assert "--fail-on could not be judged" in found.exit_reason
