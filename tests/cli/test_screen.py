"""The outcome of a run as a person reads it."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.screen import Output, show_summary
from pipeline.journal.places import REPORT
from pipeline.models import PAID, Kind, State
from pipeline.results.record import RecordLines
from pipeline.results.summary import Figures, RunSummary, build_summary, item_counts, to_json
from tests.support.fakes import job

ENDED = "2026-11-21T12:00:00.000Z"


def summary(folder: Path, *, sandbox: bool = True, **changes: Any) -> RunSummary:
    spec = job(folder, api={"base_url": "sandbox" if sandbox else "https://connect.example.com"})
    plain: dict[str, Any] = {
        "started_at": ENDED,
        "finished_at": ENDED,
        "exit_code": 0,
        "exit_reason": "all items are settled",
        "items": item_counts({State.TASKED: 1_200, State.NO_HITS: 1}),
        "calls": dict.fromkeys(PAID, (7, 7)),
        "units": 14.0,
        "duration_s": 252.0,
    }
    run = folder / "runs" / "job"
    run.mkdir(parents=True, exist_ok=True)
    (run / REPORT).touch()
    return build_summary(run, RecordLines(spec, "0" * 64), Figures(**plain | changes))


def test_the_table_adds_up_and_says_where_to_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_summary(summary(tmp_path), Output())
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[:3] == ["tasked   1,200", "no hits  1", "all      1,201"]
    assert "calls so far: 7 upload, 7 search, 7 create; the sandbox billed 14 units" in out
    assert "sandbox's drawn gallery" in out
    assert "Not looked at: utility models" in out
    assert "all items are settled (4 min 12 s)" in out
    assert f"look at: {tmp_path}/runs/job/report.html" in out


def test_a_page_that_is_not_there_is_not_to_be_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = summary(tmp_path)
    (tmp_path / "runs" / "job" / REPORT).unlink()
    show_summary(ended, Output())
    out = capsys.readouterr().out
    assert ("look at" in out, "results: " in out) == (False, True)


def test_the_outcome_is_three_paragraphs_what_came_what_to_do_and_where_to_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_summary(summary(tmp_path), Output(), following="pipeline run job.yaml")
    came, to_do, look = capsys.readouterr().out.rstrip("\n").split("\n\n")
    assert came.startswith("tasked")
    assert to_do.splitlines() == ["all items are settled (4 min 12 s)", "next: pipeline run job.yaml"]
    assert [line.partition(":")[0] for line in look.splitlines()] == ["look at", "results"]


def test_calls_that_a_kill_left_uncounted_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_summary(summary(tmp_path, sandbox=False, calls={Kind.SEARCH: (16, 7)}), Output())
    out = capsys.readouterr().out
    assert "7 search, and up to 9 when the process was killed; connect.example.com billed" in out
    assert "gallery" not in out


@pytest.mark.parametrize(("code", "said"), [(0, ""), (4, "the daily limit is reached\n")])
def test_quiet_says_only_why_something_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int, said: str
) -> None:
    ended = summary(tmp_path, exit_code=code, exit_reason="the daily limit is reached")
    show_summary(ended, Output(quiet=True))
    assert capsys.readouterr() == ("", said)


def test_json_is_that_of_the_summary_file_also_when_quiet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_summary(summary(tmp_path), Output(as_json=True, quiet=True))
    out = capsys.readouterr().out
    assert out.encode() == to_json(summary(tmp_path))
    assert json.loads(out)["items"]["tasked"] == 1_200
