"""Runs beside one another: which one is the earlier one of a job."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SpecError
from pipeline.results.earlier_runs import earlier_run, runs_in


def run(folder: Path, name: str, day: int, **keys: Any) -> Path:
    place = folder / name
    place.mkdir()
    summary = {"job": "watch", "run": "moved", "started_at": f"2026-11-{day:02}T00:00:00Z", "vendor": "v", **keys}
    (place / "summary.json").write_text(json.dumps(summary))
    return place


def test_the_last_run_is_the_newest_earlier_one_of_the_same_job(tmp_path: Path) -> None:
    for name, day in (("watch-1", 1), ("watch-3", 3), ("watch-2", 2), ("watch-4", 4)):
        run(tmp_path, name, day)
    assert earlier_run(tmp_path / "watch-4", "last").name == "watch-3"
    assert earlier_run(tmp_path / "watch-3", "last").name == "watch-2"
    assert [one.run for one in runs_in(tmp_path)] == ["watch-4", "watch-3", "watch-2", "watch-1"]


@pytest.mark.parametrize("other", [{"job": "other"}, {"vendor": "sandbox"}, {"rehearsal": True}])
def test_a_run_of_another_job_or_vendor_or_a_rehearsal_is_no_earlier_one(tmp_path: Path, other: dict[str, Any]) -> None:
    run(tmp_path, "a", 1, **other)
    with pytest.raises(SpecError, match="no earlier run of watch") as refused:
        earlier_run(run(tmp_path, "b", 2), "last")
    assert refused.value.lines[0].fix == 'output: {run: "{name}-{month}"}'  # type: ignore[attr-defined]


def test_a_run_can_be_named_by_its_directory_or_its_path(tmp_path: Path) -> None:
    first, second = run(tmp_path, "a", 1), run(tmp_path, "b", 2)
    assert earlier_run(second, "a") == first
    assert earlier_run(second, str(first)) == first
    with pytest.raises(SpecError, match="no run to compare with"):
        earlier_run(second, "nowhere")


def test_a_directory_whose_summary_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    run(tmp_path, "a", 1)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "summary.json").write_text('{"job":')
    assert [one.run for one in runs_in(tmp_path)] == ["a"]
