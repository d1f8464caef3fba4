"""`task.report: later`: the run pays for tasks, and `pipeline collect` reads their reports, also beside it."""

import json
import re
import shlex
from pathlib import Path

import pytest

from pipeline import RunOptions, run_job
from pipeline.cli import main as cli
from pipeline.offline.status import read_status
from pipeline.results.records import read_records
from pipeline.sandbox.faults import FaultPlan
from tests.support.fates import tasks_fail
from tests.support.jobs import ACCOUNT, drawings, job, lines, vendor

pytestmark = pytest.mark.proofs
ONE = {"max_in_flight": 1}  # items come to their tasks in order


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)


def test_the_run_asks_for_nothing_and_collect_reads_each_task_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "runs/job"
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=4, task={"report": "later"})
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
        assert (summary.exit_code, summary.items["tasked"], server.stats.calls("query")) == (0, 4, 0)
        written = (run / "results.jsonl").read_bytes()
        assert cli.run(["collect", str(path), "--json", "-q"]) == 0
        collected = json.loads(capsys.readouterr().out)
        assert (collected["items"]["reported"], collected["results"]) == (4, str(run / "reports.jsonl"))
        questions = server.stats.calls("query")
        assert questions >= 4
        assert cli.run(["collect", str(run), "-q"]) == 0
        assert server.stats.calls("query") == questions
        assert server.stats.calls("create") == 4
    assert (run / "results.jsonl").read_bytes() == written
    records = lines(run / "reports.jsonl")
    tasks = {line["item"]: line["task"]["task_id"] for line in lines(run / "results.jsonl")}
    assert {record["item"]: record["task"]["task_id"] for record in records} == tasks
    for record in records:
        assert (record["status"], len(record["hits"]), record["calls"]["create"]) == ("reported", 3, 1)
        assert record["calls"]["query"] >= 1
        assert record["report"]
        assert record["comparisons"][0]["hit"] is not None


def test_a_task_paid_anew_that_is_in_doubt_is_created_once_more_by_the_command_that_is_advised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "runs/job"
    fails = tasks_fail(monkeypatch)
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["ok", "lost"]})) as server:
        path = job(tmp_path, url=server.url, pictures=1, task={"report": "later"}, api=ONE)
        assert run_job(path, options=RunOptions(environment=ACCOUNT)).exit_code == 0
        assert cli.run(["collect", str(run), "-q"]) == 1
        fails.clear()
        assert cli.run(["retry", str(run), "--only", "report-failed", "-y", "-q"]) == 1
        [told] = read_status(run).open_items
        assert told.startswith("in doubt: P0000")
        [advised] = re.findall(r"`pipeline (retry [^`]*)`", told)
        assert "--not-created" not in told
        assert cli.run(["resolve", str(run / "reports"), "--not-created", "P0000"]) == 2  # nothing would go on with it
        capsys.readouterr()
        assert cli.run([*shlex.split(advised), "-y", "-q"]) == 0
        assert server.stats.calls("create") == 3
    assert {one.status for one in read_records(run, include_open=True)} == {"reported"}


def test_reports_that_fail_or_are_lost_are_open_in_the_run_and_paid_anew_by_decision_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "runs/job"
    fails = tasks_fail(monkeypatch)
    pictures = drawings(3)
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=[*pictures, pictures[0]], task={"report": "later"}, api=ONE)
        assert run_job(path, options=RunOptions(environment=ACCOUNT)).exit_code == 0
        assert cli.run(["collect", str(run), "-q"]) == 1
        status = read_status(run)
        assert (status.items["tasked"], status.items["report_failed"], status.unread) == (0, 4, 0)
        assert "retry" in status.open_items[0]
        assert str(run / "reports") not in status.open_items[0]
        open_ = lines(run / "open.jsonl")
        assert [(one["item"], one["status"], len(one["hits"])) for one in open_] == [
            (item, "report_failed", 3) for item in ("P0000", "P0003", "P0001", "P0002")
        ]
        assert list(read_records(run)) == []
        assert {one.status for one in read_records(run, include_open=True)} == {"report_failed"}
        again = run_job(path, options=RunOptions(environment=ACCOUNT))
        assert (again.exit_code, again.items["report_failed"], again.items["tasked"]) == (1, 4, 0)
        assert server.stats.calls("create") == 3
        before = {one["item"]: one["task"]["task_id"] for one in open_}
        fails.clear()
        capsys.readouterr()
        assert cli.run(["retry", str(run), "--only", "report-failed", "--limit", "1", "-y"]) == 1
        assert "paid for a new task; the old one brought no report and stays paid" in capsys.readouterr().err
        assert server.stats.calls("create") == 4
    (line,) = lines(run / "reports.jsonl")
    assert (line["item"], line["status"], line["replaces"]) == ("P0000", "reported", before["P0000"])
    assert line["task"]["task_id"] != before["P0000"]
    assert (line["calls"]["create"], line["calls"]["search"]) == (2, 1)  # its hits live
    read = {one.item: one for one in read_records(run, include_open=True)}
    assert {item: one.status for item, one in read.items()} == {
        **dict.fromkeys(("P0000", "P0003"), "reported"),
        **dict.fromkeys(("P0001", "P0002"), "report_failed"),
    }
    twin = read["P0003"]
    assert (twin.same_as, twin.task, twin.report) == ("P0000", read["P0000"].task, read["P0000"].report)
    status = read_status(run)
    assert (status.items["reported"], status.items["report_failed"]) == (2, 2)
    assert "reported" in (run / "report.html").read_text()
