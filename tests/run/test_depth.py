"""A search deeper than a hundred hits, in whole runs: what it pays, and what a kill between its pages costs."""

import json
from pathlib import Path

import pytest

from pipeline import RunOptions, plan_job, run_job
from pipeline.cli import main as cli
from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, pipeline, started, vendor
from tests.support.journal_rows import pages_kept
from tests.support.processes import until

DEEP = {"depth": 300}


def test_depth_300_pays_three_pages_and_the_task_holds_the_best_hundred(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2, search=DEEP)
        plan = plan_job(path)
        assert (plan.calls, plan.at_most) == ({"upload": 0, "search": 6, "create": 2}, ["search"])
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
        assert server.stats.calls("search") == 6
        tasks = [json.loads(line) for line in (tmp_path / "vendor/tasks.jsonl").read_text().splitlines()]
    assert summary.items["tasked"] == 2
    for record, task in zip(lines(tmp_path / "runs/job/results.jsonl"), tasks, strict=True):
        scores = [hit["score"] for hit in record["hits"]]
        assert (len(scores), record["search"]["total"], record["task"]["hits"]) == (300, 432, 100)
        assert scores == sorted(scores, reverse=True)
        best = [hit["patent_id"] for hit in record["hits"][:100]]
        assert [patent["patent_id"] for patent in task["patents"]] == best


@pytest.mark.proofs
@pytest.mark.parametrize("endpoint", ["P009", "P009-V2", "P060", "P060-beta"])
def test_a_kill_between_pages_pays_no_page_again(tmp_path: Path, endpoint: str) -> None:
    """Two pages are answered and the third hangs: that one alone is asked for twice."""
    run = tmp_path / "runs/job"
    with vendor(tmp_path, faults=FaultPlan.parse("search:hang.before@3", seed=1)) as server:
        path = job(tmp_path, url=server.url, pictures=1, search={**DEEP, "endpoint": endpoint})
        with started("run", path, "--yes", cwd=tmp_path, **ACCOUNT) as process:
            until(lambda: server.stats.calls("search") == 3, by=process)
            until(lambda: pages_kept(run) == [2], by=process)
            process.kill()
        assert plan_job(path).calls == {"upload": 0, "search": 1, "create": 1}
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
        assert (server.stats.calls("search"), server.stats.executed) == (4, {"token": 2, "search": 3, "create": 1})
    assert summary.items["tasked"] == 1
    [record] = lines(run / "results.jsonl")
    assert len({hit["patent_id"] for hit in record["hits"]}) == 300


def test_a_plan_says_that_pages_are_counted_at_most(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = job(tmp_path, url="sandbox", pictures=1, search=DEEP)
    assert cli.run(["plan", str(path)]) == 0
    out = capsys.readouterr().out
    assert "search calls, without retries, at most" in out
    assert "Not looked at: hits beyond the first 300" in out


@pytest.mark.proofs
def test_a_retry_counts_the_pages_that_are_still_to_be_asked_for(tmp_path: Path) -> None:
    """One item is refused at its first page, one at its second."""
    faults = FaultPlan.scripted({"search": ["68300010", "ok", "68300010"]})
    with vendor(tmp_path, faults=faults) as server:
        path = job(tmp_path, url=server.url, pictures=2, search=DEEP, api={"max_in_flight": 1})
        assert run_job(path, options=RunOptions(environment=ACCOUNT)).items["failed"] == 2
        done = pipeline("retry", tmp_path / "runs/job", "--only", "failed", "--yes", cwd=tmp_path, **ACCOUNT)
    assert "tried again with at most 7 calls (0 upload, 5 search, 2 create)" in done.stderr + done.stdout
    assert server.stats.executed["search"] == 6
