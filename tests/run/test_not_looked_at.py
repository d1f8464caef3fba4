"""Things not looked at, after real runs: summary, screen and page say what the records say."""

import json
from pathlib import Path

import pytest

from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, pipeline, vendor
from tests.support.pages import Page


@pytest.mark.proofs
def test_a_job_that_was_changed_half_way_says_how_many_were_searched_otherwise(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"search": ["ok", "ok", "ok", "68300010"]})) as server:
        search = {"endpoint": "P060", "limit": 3}
        path = job(tmp_path, url=server.url, pictures=6, search=search, api={"max_in_flight": 1})
        pipeline("run", path, "--limit", "2", cwd=tmp_path, **ACCOUNT)
        search |= {"filters": {"simple_legal_status": 1}}
        path = job(tmp_path, url=server.url, pictures=6, search=search, api={"max_in_flight": 1})
        done = pipeline("run", path, "--limit", "3", "--accept-changes", cwd=tmp_path, **ACCOUNT)
    run = tmp_path / "runs" / "job"
    found = [
        "utility models",
        "patents that are not active (2 of 4 searched items)",
        "hits beyond the first 3 (4 of 4 searched items have more)",
        "1 open item that was not searched",
        "1 item that was not started",
    ]
    assert len(lines(run / "results.jsonl")) == 4
    assert json.loads((run / "summary.json").read_text())["not_looked_at"] == found
    told = Page(run / "report.html").run["notLookedAt"]
    assert [english for english, _, _ in told][: len(found)] == found
    assert all(chinese != english for english, chinese, _ in told)
    assert [line.removeprefix("Not looked at: ") for line in done.stdout.splitlines() if "Not looked" in line] == found
