"""A vendor that mixes its answers up: no report and no patent of somebody else comes into a record."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, run_job
from pipeline.calls import health
from pipeline.engine import patent_batches, report_turns
from pipeline.sandbox.tasks import read_tasks
from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, vendor

OPTIONS = RunOptions(environment=ACCOUNT)
AT_ONCE: dict[str, Any] = {"api": {"errors": {"of_another": {"base_s": 0}}}}
SUBMIT: dict[str, Any] = {"method": "submit", "search": {}, "task": {"country": ["US"]}}

pytestmark = pytest.mark.proofs


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask at once: these tests are not about the pace of questions."""
    for module in (report_turns, health):
        monkeypatch.setattr(module, "APART_S", 0.01)
    monkeypatch.setattr(patent_batches, "LINGER_S", 0.02)


@pytest.mark.parametrize("method", [{"task": {"report": "wait"}}, SUBMIT])
def test_a_report_of_another_task_is_asked_for_again(tmp_path: Path, method: dict[str, Any]) -> None:
    with vendor(tmp_path, report_after_s=0, faults=FaultPlan.parse("query:another@1-3")) as server:
        summary = run_job(job(tmp_path, url=server.url, pictures=2, **method, **AT_ONCE), options=OPTIONS)
        assert server.stats.calls("query") == 5
        own = {task.urls[0]: task.task_id for task in read_tasks(tmp_path / "vendor")}
    assert (summary.exit_code, summary.items["reported"], summary.answers_of_others) == (0, 2, 3)
    records = lines(tmp_path / "runs/job/results.jsonl")
    for record in records:
        assert record["report"]["task_id"] == record["task"]["task_id"] == own[record["image"]["source"]]
    assert sum(record["calls"]["query"] for record in records) == 5
    log = (tmp_path / "runs/job/run.log.jsonl").read_text()
    assert log.count("answer.of_another") == 3


def test_a_task_whose_answers_are_all_of_others_stays_paid_and_unread(tmp_path: Path) -> None:
    task = {"report": "wait", "settle_s": 1}
    budget = {"errors": AT_ONCE["api"]["errors"], "budget": {"query_calls": 40}}
    with vendor(tmp_path, report_after_s=0, faults=FaultPlan.parse("query:another=1")) as server:
        summary = run_job(job(tmp_path, url=server.url, pictures=1, task=task, api=budget), options=OPTIONS)
        assert server.stats.calls("create") == 1
    assert not lines(tmp_path / "runs/job/results.jsonl")
    assert (summary.exit_code, summary.items["open"]) == (1, 1)
    (open_,) = lines(tmp_path / "runs/job/open.jsonl")
    assert open_["task"]["task_id"]
    assert "report" not in open_


def test_details_of_other_patents_are_asked_for_again(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.parse("details:another@1")) as server:
        path = job(tmp_path, url=server.url, pictures=2, details={"top": 3, "above": 0.0}, **AT_ONCE)
        summary = run_job(path, options=OPTIONS)
        assert set(server.stats.patents_asked.values()) == {2}
    assert (summary.exit_code, summary.answers_of_others) == (0, 1)
    for record in lines(tmp_path / "runs/job/results.jsonl"):
        assert list(record["details"]) == [hit["patent_id"] for hit in record["hits"]]
        assert any(one.get("number") for one in record["details"].values())
