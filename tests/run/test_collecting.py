"""What `collect` may spend, when it stands aside for a run, and how a job changes to and from `report: later`."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, SpecError, plan_job, read_records, run_job
from pipeline.calls.account import account_of, use_account
from pipeline.cli import main as cli
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.job.load import load_job
from pipeline.models import State, Task
from pipeline.offline.status import read_status
from pipeline.run.collect_by import CollectBy, clock_time, start_by
from pipeline.run.directory import lock
from pipeline.run.sent import find_sent
from pipeline.system.folders import state_folder
from tests.support.fakes import states
from tests.support.fates import tasks_fail
from tests.support.jobs import ACCOUNT, job, lines, vendor

LATER = {"report": "later"}
HOUR = 3600.0


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)


def ran(path: Path, **options: Any) -> Any:
    return run_job(path, options=RunOptions(environment=ACCOUNT, **options))


def later(tmp_path: Path, **api: Any) -> Any:
    return load_job(job(tmp_path, url="http://127.0.0.1:9", pictures=1, task=LATER, api=api))


def test_collecting_starts_early_enough_for_the_last_task_and_for_the_first_to_expire(tmp_path: Path) -> None:
    spec = later(tmp_path, qps={"query": 2})  # one task a second
    assert start_by(spec, []) is None
    assert start_by(spec, [0.0]) == 7 * HOUR - 1
    assert start_by(spec, [0.0] * 3600) == 6 * HOUR
    assert start_by(spec, [0.0, 10 * HOUR]) == 7 * HOUR - 1
    assert start_by(spec, [0.0, 1.0], before=5.0, read=10) == 5.0


def test_a_shard_names_the_run_to_be_collected_as_a_whole(tmp_path: Path) -> None:
    """`collect` takes no shard."""
    said: list[str] = []
    (tmp_path / "split.json").write_text("{}")
    shard = tmp_path / "shards" / "0000" / "e1"
    CollectBy(later(tmp_path), shard, [], expected=lambda: 0, say=said.append).paid(Task("T", 0.0))
    assert f"`pipeline collect {tmp_path}` must start by" in said[0]


@pytest.mark.proofs
def test_the_run_says_by_when_its_reports_must_begin_to_be_collected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2, task=LATER, api={"qps": {"query": 1}})
        plan = plan_job(path)
        assert (plan.questions, plan.collected) == (200, True)
        summary = ran(path, say=said.append)
        [line] = [line for line in said if "pipeline collect" in line]
        assert "this run reads no report" in line
        assert (summary.exit_code, summary.unread) == (0, 2)
        status = read_status(tmp_path / "runs/job")
        assert (status.unread, status.collect_by) == (2, summary.collect_by)
        assert clock_time(0.0).startswith("19")
        assert cli.run(["run", str(path)]) == 0
        out = capsys.readouterr().out
        assert "2 paid tasks are not read: `pipeline collect` must start by" in out
        assert f"next: pipeline collect {tmp_path / 'runs/job'}" in out
        assert cli.run(["collect", str(path), "-q"]) == 0
        assert (ran(path).unread, ran(path).collect_by, ran(path).items["reported"]) == (0, "", 2)


@pytest.mark.proofs
def test_questions_stay_within_their_budget_and_a_raised_one_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path, report_after_s=0.0) as server:
        path = job(tmp_path, url=server.url, pictures=3, task=LATER, api={"budget": {"query_calls": 2}})
        ran(path)
        assert cli.run(["collect", str(path)]) == 1
        assert server.stats.calls("query") == 2
        assert read_status(tmp_path / "runs/job").unread == 1
        out = capsys.readouterr().out
        assert f"next: pipeline collect {path} --set api.budget.query_calls=" in out
        assert cli.run(["collect", str(path), "-q", "--set", "api.budget.query_calls=9"]) == 0
    assert len(lines(tmp_path / "runs/job/reports.jsonl")) == 3


@pytest.mark.proofs
def test_one_cap_of_money_holds_for_the_run_and_its_questions_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = {"P009": 0, "AI39-1": 1, "AI39-2": 0.5, "P010": 0}
    run = tmp_path / "runs/job"
    with vendor(tmp_path, report_after_s=0.0) as server:
        path = job(tmp_path, url=server.url, pictures=2, task=LATER, prices=prices, api={"budget": {"money": 2.5}})
        ran(path)
        with lock(run):
            assert cli.run(["collect", str(path)]) == 6
        assert "api.budget.money is one cap for its calls and for questions" in capsys.readouterr().err
        assert server.stats.calls("query") == 0
        assert cli.run(["collect", str(path), "-q"]) == 1
        assert server.stats.calls("query") == 1
        again = ran(path)
        assert (str(again.money.spent), again.items["reported"], again.items["tasked"]) == ("2.5", 1, 1)
        assert again.calls["query"].sent == 1


@pytest.mark.proofs
def test_a_second_collect_and_a_second_asker_of_the_account_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "runs/job"
    state = state_folder()
    assert state is not None
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1, task=LATER)
        ran(path)
        with lock(run / "reports"):
            assert cli.run(["collect", str(path)]) == 6
        assert "in use by another process" in capsys.readouterr().err
        lane = account_of(server.url, Credentials(client_id="sandbox", client_secret="sandbox-secret")) + ".reports"
        with use_account(state / "accounts", lane, job="other", say=print):
            assert cli.run(["collect", str(path)]) == 6
            assert "the calls per second of this account are in use" in capsys.readouterr().err
            assert ran(path).exit_code == 0  # a run with `later` asks nothing
        assert server.stats.calls("query") == 0


@pytest.mark.proofs
def test_where_nothing_is_paid_nothing_is_asked_and_a_wrong_folder_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1, task=LATER, search={"limit": 3, "min_score": 1.0})
        ran(path)
        code = cli.run(["collect", str(path)])
        out = capsys.readouterr().out
        if states(tmp_path / "runs/job") == {"P0000": State.NO_HITS}:
            assert (code, server.stats.calls("query")) == (0, 0)
            assert "there is no paid task whose report could be read" in out
    assert cli.run(["collect", str(tmp_path / "vendor")]) == 2
    assert "no run here" in capsys.readouterr().err


@pytest.mark.proofs
def test_a_job_changes_the_way_of_reading_only_when_nothing_is_left_to_read_in_the_old_one(tmp_path: Path) -> None:
    def write(report: str) -> Path:
        return job(tmp_path, url=server.url, pictures=2, task={"report": report}, api={"budget": {"query_calls": 100}})

    with vendor(tmp_path, report_after_s=0.0) as server:
        assert ran(write("off")).exit_code == 0
        assert ran(write("later"), accept_changes=True).exit_code == 0
        with pytest.raises(SpecError, match="paid and not read yet"):
            ran(write("wait"))
        assert cli.run(["collect", str(tmp_path / "runs/job"), "-q"]) == 0  # tasks of before, too: they live
        assert ran(write("wait")).items["reported"] == 2
        assert server.stats.calls("create") == 2


@pytest.mark.proofs
def test_what_a_run_waits_for_is_read_before_the_job_leaves_reports_for_later(tmp_path: Path) -> None:
    def write(report: str) -> Path:
        return job(tmp_path, url=server.url, pictures=1, task={"report": report}, api={"budget": {"query_calls": 1}})

    with vendor(tmp_path, report_after_s=3.0) as server:
        assert ran(write("wait")).items["report_pending"] == 1
        with pytest.raises(SpecError, match="wait for their reports"):
            ran(write("later"))
        code = cli.run(["collect", str(tmp_path / "runs/job"), "-q", "--set", "api.budget.query_calls=50"])
        assert code == 0
        assert ran(write("later")).items["reported"] == 1


@pytest.mark.proofs
def test_a_submit_is_read_later_too_and_its_report_brings_hits_and_drawing(tmp_path: Path) -> None:
    run = tmp_path / "runs/job"
    with vendor(tmp_path, report_after_s=0.0) as server:
        task = {"report": "later", "country": ["US"]}
        path = job(tmp_path, url=server.url, pictures=2, method="submit", search={}, task=task)
        assert ran(path).items["tasked"] == 2
        assert [(line["search"], line["hits"]) for line in lines(run / "results.jsonl")] == [(None, [])] * 2
        assert cli.run(["collect", str(path), "-q"]) == 0
        assert (server.stats.calls("create"), server.stats.calls("search")) == (2, 0)
    for record in read_records(run):
        assert record.status == "reported"
        assert record.hits
        assert record.search is not None
        assert record.line_drawing == "" or (run / record.line_drawing).is_file()


@pytest.mark.proofs
def test_the_reports_are_verified_and_repaired_as_a_run_directory_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "runs/job"
    with vendor(tmp_path, report_after_s=0.0) as server:
        path = job(tmp_path, url=server.url, pictures=3, task=LATER)
        ran(path)
        assert cli.run(["collect", str(path), "-q"]) == 0
        asked = server.stats.calls("query")
        assert cli.run(["status", str(run), "--verify"]) == 0
        assert "all 3 lines of reports.jsonl" in capsys.readouterr().out
        written = (run / "reports.jsonl").read_bytes()
        (run / "reports.jsonl").write_bytes(b"x" + written[1:])
        assert cli.run(["status", str(run), "--verify"]) != 0
        assert f"pipeline repair {run / 'reports'}" in capsys.readouterr().err
        (run / "reports.jsonl").write_bytes(written)
        for part in (run / "reports").glob("journal.sqlite*"):
            part.unlink()
        assert cli.run(["collect", str(path), "-q"]) != 0
        assert cli.run(["repair", str(run / "reports")]) == 0
        assert (run / "reports.jsonl").read_bytes() == written
        capsys.readouterr()
        assert cli.run(["collect", str(path), "-q"]) == 0, capsys.readouterr().err
        assert server.stats.calls("query") == asked
    assert read_status(run).items["reported"] == 3


@pytest.mark.proofs
def test_the_job_of_this_way_of_use_is_collected_on_the_sandbox(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configs = Path(__file__).parents[2] / "configs"
    for name in ("reports-later.yaml", "portfolio.csv"):
        shutil.copy(configs / name, tmp_path)
    path = str(tmp_path / "reports-later.yaml")
    settings = ["--set", f"output.dir={tmp_path / 'runs'}"]
    cli.run(["run", path, "-q", "--limit", "2", *settings])
    [run] = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    assert cli.run(["collect", str(run), "-q"]) == 0, capsys.readouterr().err
    items = json.loads((run / "summary.json").read_text())["items"]
    assert (items["reported"], items["tasked"]) == (2, 0)


@pytest.mark.proofs
def test_the_plan_and_the_next_run_count_what_was_paid_anew_for_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = tasks_fail(monkeypatch)

    def write(pictures: int) -> Path:
        return job(tmp_path, url=server.url, pictures=pictures, task=LATER, api={"budget": {"create_calls": 3}})

    with vendor(tmp_path, report_after_s=0.0) as server:
        ran(write(2))
        assert cli.run(["collect", str(tmp_path / "runs/job"), "-q"]) == 1
        fails.clear()
        assert (
            cli.run(["retry", str(tmp_path / "runs/job"), "--only", "report-failed", "--limit", "1", "-y", "-q"]) == 1
        )
        plan = plan_job(write(3))
        assert (plan.calls["create"], plan.left_out) == (0, 1)
        summary = ran(write(3))
        assert (summary.exit_code, summary.items["not_started"], server.stats.calls("create")) == (4, 1, 3)
        assert summary.calls["create"].sent == 3


@pytest.mark.proofs
def test_the_directory_of_the_reports_is_looked_at_as_a_run_directory_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "runs/job"
    with vendor(tmp_path, report_after_s=0.0) as server:
        path = job(tmp_path, url=server.url, pictures=2, task=LATER)
        ran(path)
        assert cli.run(["collect", str(path), "-q"]) == 0
        sent = find_sent(run, account_of(server.url, Credentials(client_id="sandbox", client_secret="sandbox-secret")))
    assert str(run / "reports") in sent.runs
    assert {row.kind for row in sent.of_run} >= {"search", "create", "query"}
    assert cli.run(["status", str(run / "reports")]) == 0
    assert re.search(r"reported +2", capsys.readouterr().out)
    assert [record.status for record in read_records(run / "reports")] == ["reported", "reported"]
