"""`pipeline collect`: reads the reports that a run left behind, and pays for nothing else."""

import json
from pathlib import Path

import pytest

from pipeline import RunOptions, run_job
from pipeline.cli import main as cli
from pipeline.models import State
from tests.support.fakes import states
from tests.support.jobs import ACCOUNT, job, lines, vendor


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.proofs
def test_what_a_run_left_behind_is_read_and_nothing_else_is_begun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path, report_after_s=3.0) as server:
        path = job(tmp_path, url=server.url, pictures=2, task={"report": "wait"}, api={"budget": {"query_calls": 1}})
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
        assert states(tmp_path / "runs/job") == {"P0000": State.REPORT_PENDING, "P0001": State.PENDING}
        assert summary.items["report_pending"] == 1
        (awaited,) = lines(tmp_path / "runs/job/open.jsonl")
        assert (awaited["status"], len(awaited["hits"])) == ("report_pending", 3)
        assert awaited["task"]["expires_at"]
        assert "asks for the report, which is paid already" in awaited["todo"]
        code = cli.run(["collect", str(tmp_path / "runs/job"), "--set", "api.budget.query_calls=99", "--json", "-q"])
        collected = json.loads(capsys.readouterr().out)
    assert (code, collected["items"]["reported"], collected["items"]["not_started"]) == (1, 1, 1)
    assert server.stats.calls("create") == 1
    (line,) = lines(tmp_path / "runs/job/results.jsonl")
    assert (line["status"], line["task"]["task_id"]) == ("reported", awaited["task"]["task_id"])


@pytest.mark.proofs
def test_a_run_that_waits_for_no_reports_says_what_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        run_job(path, options=RunOptions(environment=ACCOUNT))
        assert cli.run(["collect", str(path)]) == 2
    assert "this run waits for no reports: write `task: {report: wait}`" in capsys.readouterr().err


@pytest.mark.proofs
def test_an_account_without_permission_for_reports_is_told_what_to_do_and_its_tasks_stay_open(tmp_path: Path) -> None:
    with vendor(tmp_path, denied=frozenset({"AI39-2"})) as server:
        path = job(tmp_path, url=server.url, pictures=3, task={"report": "wait"})
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
    assert (summary.exit_code, summary.items["report_pending"]) == (3, server.stats.calls("create"))
    assert "67200004" in summary.exit_reason
    assert "no more tasks are paid for" in summary.exit_reason
    assert "`method: submit`" in summary.exit_reason
