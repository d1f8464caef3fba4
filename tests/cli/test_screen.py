"""The display of a run: its line while it goes on, and its table in the end."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pipeline.cli import screen
from pipeline.cli.screen import PLAIN_EVERY_S, LiveTable, Output, PlainLines, counts, one_line, show_summary
from pipeline.models import PAID, Kind, State
from pipeline.results.record import RecordLines
from pipeline.results.summary import Figures, RunSummary, build_summary, item_counts, to_json
from pipeline.run.progress import Flow, Progress
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
    return build_summary(folder / "runs" / "job", RecordLines(spec, "0" * 64), Figures(**plain | changes))


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


def progress(**changes: Any) -> Progress:
    flow = Flow(sent=30, per_s=4.0, limit_per_s=5, slowed_to_per_s=2.5, spent=31, budget=1_000)
    idle = Flow(sent=0, per_s=0.0, limit_per_s=5, slowed_to_per_s=5, spent=0, budget=None)
    plain: dict[str, Any] = {
        "elapsed_s": 65.0,
        "items": dict.fromkeys(State, 0) | {State.TASKED: 20, State.IN_DOUBT: 1, State.PENDING: 6, State.CREATING: 3},
        "in_flight": 4,
        "all_in": True,
        "flows": {Kind.UPLOAD: idle, Kind.SEARCH: flow},
        "units": 0.0,
        "paused_s": 0.0,
        "left_s": 90.0,
        "binds": "the limit of 2.5 search calls a second",
        "ending": None,
    }
    return Progress(**plain | changes)


def test_the_line_of_a_run_says_how_far_it_is_and_what_binds() -> None:
    assert one_line(progress()) == (
        "1 min 5 s: 20 tasked; 1 open; 4 in flight; 5 not started; search 30 calls at 4.0/s of 5/s, slowed to 2.5, "
        "31 of 1,000 spent; about 1 min 30 s left, bound by the limit of 2.5 search calls a second"
    )


def test_the_line_of_a_run_that_pauses_or_ends_says_so() -> None:
    line = one_line(progress(left_s=None, paused_s=31.0, ending="stopped by SIGINT"))
    assert line.endswith("; all calls pause for 31 s; ending: stopped by SIGINT")
    assert "left" not in line


@pytest.mark.parametrize("in_flight", [0, 4, 9, 50])
def test_the_counts_add_up_whatever_is_in_flight(in_flight: int) -> None:
    now = progress(in_flight=in_flight)
    assert sum(counts(now).values()) == sum(now.items.values())


def test_without_a_terminal_a_line_comes_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    lines = PlainLines(stream)
    for now[0] in (1.0, 9.9, PLAIN_EVERY_S, 10.3, 2 * PLAIN_EVERY_S):
        lines.update(progress())
    assert len(stream.getvalue().splitlines()) == 2


def test_the_preparation_of_the_gallery_is_one_plain_line() -> None:
    stream = io.StringIO()
    lines = PlainLines(stream)
    for done in range(3):
        lines.prepare(done, 3)
    assert stream.getvalue() == "preparing the sandbox's gallery, once: 3 drawings\n"


def test_on_a_terminal_the_preparation_of_the_gallery_counts() -> None:
    stream = io.StringIO()
    with LiveTable(Console(file=stream, force_terminal=True, width=100)) as table:
        table.prepare(120, 432)
    assert "preparing the sandbox's gallery, once: 120 of 432 drawings" in stream.getvalue()
