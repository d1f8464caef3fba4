"""Decisions of earlier runs: which of them hold no more, since a hit rose or came."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.results.decisions import Decision
from pipeline.results.earlier_runs import KnownRun
from pipeline.results.since import NEW, RISEN, SAME, read_earlier
from pipeline.results.standing import UNKNOWN, Standing, standing_of
from tests.support.summaries import run

HERE = KnownRun(job="watch", run="nov", started_at="2026-11-20T00:00:00Z")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three months; a dismissed hit of A creeps up, a little each month."""
    run(tmp_path, "sep", 1, A={"US1": 0.90, "US2": 0.95})
    run(tmp_path, "oct", 10, A={"US1": 0.915, "US2": 0.95})
    run(tmp_path, "nov", 20, A={"US1": 0.93, "US2": 0.95, "US3": 0.97})
    return tmp_path


def standing(runs: Path, *decisions: Decision, before: str = "oct") -> Standing:
    return standing_of(runs / "nov", HERE, decisions, read_earlier(runs / before))


def dismissed(patent_pn: str = "US1", **changes: Any) -> Decision:
    return Decision(**{"item": "A", "patent_pn": patent_pn, "decision": "dismiss", "at": "2026-11-02", **changes})


def test_a_dismissed_hit_is_to_be_decided_again_once_it_rose_since_it_was_dismissed(runs: Path) -> None:
    by_name = standing(runs, dismissed(run="sep"))
    assert by_name.again("A", "US1", 9300, SAME) == 9000
    assert by_name.again("A", "US1", 9199, SAME) is None
    assert standing(runs, dismissed(run="oct")).again("A", "US1", 9300, SAME) is None


@pytest.mark.parametrize(
    ("at", "was"), [("2026-11-02", 9000), ("2026-11-10", None), ("2026-11-15T10:00:00Z", None), ("2026-11-21", None)]
)
def test_a_decision_without_a_run_is_of_the_one_that_had_begun_by_then(runs: Path, at: str, was: int | None) -> None:
    assert standing(runs, dismissed(at=at)).again("A", "US1", 9300, SAME) == was
    assert standing(runs, dismissed(at=at, run="cleaned away")).again("A", "US1", 9300, SAME) == was


def test_what_is_decided_in_this_run_holds(runs: Path) -> None:
    for one in (dismissed(run="nov"), dismissed("", run="nov")):
        assert standing(runs, one).again("A", "US1", 9999, RISEN) is None


def test_a_decision_about_the_product_does_not_hold_for_hits_that_came_later(runs: Path) -> None:
    for word in ("dismiss", "watch", "escalate"):
        found = standing(runs, dismissed("", run="sep", decision=word))
        assert found.again("A", "US3", 9700, NEW) == UNKNOWN
        assert found.again("A", "US1", 9300, SAME) == 9000
        assert found.again("A", "US2", 9500, SAME) is None
    own = standing(runs, dismissed("", run="sep"), dismissed("US3", run="sep", decision="watch"))
    assert own.again("A", "US3", 9700, NEW) is None


def test_only_what_was_dismissed_comes_back(runs: Path) -> None:
    for word in ("watch", "escalate", ""):
        assert standing(runs, dismissed(run="sep", decision=word)).again("A", "US1", 9999, RISEN) is None


def test_where_the_score_of_then_is_not_known_the_run_before_tells(runs: Path) -> None:
    (runs / "sep" / "results.jsonl").write_text("no record\n")
    found = standing(runs, dismissed(run="sep"), dismissed("", run="sep"))
    assert found.again("A", "US1", 9300, SAME) is None
    assert found.again("A", "US1", 9300, RISEN) == UNKNOWN
    assert (found.again("A", "US3", 9700, NEW), found.again("A", "US2", 9500, SAME)) == (UNKNOWN, None)
    never = standing(runs, dismissed(at="2026-01-01"))
    assert (never.again("A", "US1", 9300, SAME), never.again("A", "US1", 9300, RISEN)) == (None, UNKNOWN)


def test_runs_of_which_nothing_is_decided_are_not_read(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    earlier = read_earlier(runs / "oct")
    monkeypatch.setattr("pipeline.results.standing.read_earlier", lambda folder, only: read.append(folder.name))
    for decisions in ([], [dismissed(run="nov")], [dismissed(run="oct")], [dismissed(decision="watch", run="sep")]):
        standing_of(runs / "nov", HERE, decisions, earlier)
    assert read == []
    standing_of(runs / "nov", HERE, [dismissed(run="sep"), dismissed("US2", run="sep")], earlier)
    assert read == ["sep"]


def test_it_is_empty_without_decisions_of_earlier_runs(runs: Path) -> None:
    assert not standing(runs, dismissed(run="nov"))
    assert standing(runs, dismissed(run="sep"))
