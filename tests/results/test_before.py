"""The run that results are compared with: the last one, one by name, or none."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from pipeline.errors import SpecError
from pipeline.results.before import NO_EARLIER, NOT_WANTED, UNREADABLE, read_before
from pipeline.results.summary import RunSummary
from tests.support.summaries import run, summary_of


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name, day in (("sep", 1), ("oct", 10), ("nov", 20)):
        run(tmp_path, name, day, A={"US1": 0.9})
    return tmp_path


def summary(place: Path) -> RunSummary:
    """The summary of a run of the same job, as it is known when its page is written."""
    return replace(summary_of(place), started_at="2026-11-20T00:00:00Z", vendor="")


@pytest.mark.parametrize(("since", "name"), [(None, "oct"), ("last", "oct"), ("sep", "sep"), ("none", "")])
def test_it_is_the_last_one_unless_another_is_named_or_none_is_wanted(runs: Path, since: str, name: str) -> None:
    before = read_before(runs / "nov", summary(runs / "nov"), since)
    assert (before.name, before.why_not) == (name, "" if name else NOT_WANTED)
    assert before.at == {"oct": "2026-11-10T00:00:00Z", "sep": "2026-11-01T00:00:00Z", "": ""}[name]
    assert before.earlier is None if not name else len(before.earlier or []) == 1  # type: ignore[arg-type]


def test_without_an_earlier_run_nothing_is_compared_unless_it_was_asked_for(tmp_path: Path) -> None:
    only = run(tmp_path, "nov", 20, A={"US1": 0.9})
    assert read_before(only, summary(only), None).why_not == NO_EARLIER
    for since, what in (("last", "no earlier run of watch"), ("nowhere", "no run to compare with"), ("nov", "itself")):
        with pytest.raises(SpecError, match=what):
            read_before(only, summary(only), since)


def test_a_run_that_settled_nothing_is_passed_over(runs: Path) -> None:
    text = (runs / "oct" / "summary.json").read_text()
    (runs / "oct" / "summary.json").write_text(text.replace("{", '{"items": {"all": 3, "settled": 0},', 1))
    assert read_before(runs / "nov", summary(runs / "nov"), None).name == "sep"


def test_an_earlier_run_that_cannot_be_read_is_said(runs: Path) -> None:
    (runs / "oct" / "results.jsonl").write_text("no record\n")
    before = read_before(runs / "nov", summary(runs / "nov"), "last")
    assert (before.name, before.earlier, before.why_not) == ("", None, UNREADABLE)
