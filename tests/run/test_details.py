"""Details of hits in whole runs, on a vendor of our own: who is asked what, how often, and what records say."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, read_records, run_job
from pipeline.engine import details, patent_batches
from pipeline.engine.details import HitDetails
from pipeline.engine.patent_counts import META, counts_in
from pipeline.journal.storage import JOURNAL
from pipeline.results.summary import RunSummary
from pipeline.sandbox.server import SandboxServer
from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, started, vendor
from tests.support.processes import until

BEST = {"top": 3, "above": 0.0}
FAST = {"qps": {"search": 1000, "create": 1000, "upload": 1000, "details": 100}}
OPTIONS = RunOptions(environment=ACCOUNT)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no batch wait for long."""
    monkeypatch.setattr(patent_batches, "LINGER_S", 0.02)


def run(folder: Path, server: SandboxServer, *, pictures: int = 6, new: bool = False, **parts: Any) -> RunSummary:
    parts = {"details": BEST, **parts}
    path = job(folder, url=server.url, pictures=pictures, **{**parts, "api": {**FAST, **parts.get("api", {})}})
    return run_job(path, options=RunOptions(environment=ACCOUNT, new=new))


def records(folder: Path) -> list[dict[str, Any]]:
    return lines(folder / "runs/job/results.jsonl")


def test_a_record_has_the_details_of_its_best_hits_by_patent_id(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        summary = run(tmp_path, server)
    assert summary.ok
    for record in records(tmp_path):
        assert list(record["details"]) == [hit["patent_id"] for hit in record["hits"][:3]]
    found = [one for record in records(tmp_path) for one in record["details"].values() if "missing" not in one]
    assert all(one["status"] and one["status_sent"] and one["as_of"] and one["number"] for one in found)
    assert {one["status"] for one in found} & {"active", "inactive", "pending"}
    assert any(one.get("owner") for one in found)
    missing = [one for record in records(tmp_path) for one in record["details"].values() if "missing" in one]
    assert all(one == {"missing": "not_found"} for one in missing)


def test_only_the_top_hits_that_score_enough_are_asked_for(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        run(tmp_path, server, details={"top": 2, "above": 0.96}, search={"limit": 10})
        asked = set(server.stats.patents_asked)
    best = [[hit for hit in record["hits"] if hit["score"] >= 0.96][:2] for record in records(tmp_path)]
    assert asked == {hit["patent_id"] for hits in best for hit in hits}
    assert any(len(hits) < 2 for hits in best)


@pytest.mark.proofs
def test_a_thousand_items_with_common_hits_ask_for_each_patent_once_and_a_second_run_asks_none(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        first = run(tmp_path, server, pictures=1000, details={"top": 5, "above": 0.5}, search={"limit": 20})
        asked = server.stats.patents_asked
        assert first.ok
        assert set(asked.values()) == {1}
        assert len(asked) <= 432
        second = run(tmp_path, server, pictures=1000, details={"top": 5, "above": 0.5}, search={"limit": 20}, new=True)
        assert second.ok
        assert server.stats.patents_asked == asked
    for place in ("job", "job.2"):
        for record in read_records(tmp_path / "runs" / place):
            best = [hit["patent_id"] for hit in record.hits if hit["score"] >= 0.5][:5]
            assert list(record.details) == best


def test_another_job_of_the_account_asks_for_none_of_them(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        run(tmp_path, server)
        asked = server.stats.patents_asked
        (tmp_path / "other").mkdir()
        run(tmp_path / "other", server)
        assert server.stats.patents_asked == asked
    assert set(asked.values()) == {1}


def test_a_job_without_details_does_nothing_new(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url)
        assert run_job(path, options=OPTIONS).ok
        assert server.stats.calls("details") == 0
    assert all("details" not in record and "designs" not in record for record in records(tmp_path))
    with closing(sqlite3.connect(tmp_path / "runs/job" / JOURNAL)) as journal:
        assert not journal.execute("SELECT * FROM meta WHERE key LIKE 'details%'").fetchall()
    assert not (tmp_path / "runs/job/details.jsonl").exists()


def test_without_permission_the_run_goes_on_and_says_it_once(tmp_path: Path) -> None:
    said: list[str] = []
    with vendor(tmp_path, denied=frozenset({"D301"})) as server:
        path = job(tmp_path, url=server.url, pictures=20, details=BEST, api=FAST)
        summary = run_job(path, options=RunOptions(environment=ACCOUNT, say=said.append))
        assert server.stats.outcomes["details"] == {"67200004": 1}
    assert summary.ok
    assert all(record["details"] == "not_allowed" for record in records(tmp_path))
    assert [record.details_state for record in read_records(tmp_path / "runs/job")] == ["not_allowed"] * 20
    (remark,) = [line for line in said if "details" in line]
    assert "67200004" in remark


def test_a_budget_that_is_used_up_is_one_remark(tmp_path: Path) -> None:
    said: list[str] = []
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=20, details=BEST, api={**FAST, "budget": {"details": 7}})
        summary = run_job(path, options=RunOptions(environment=ACCOUNT, say=said.append))
        details_units = server.stats.units - 40
    assert summary.ok
    assert details_units <= 7
    assert any("api.budget.details" in line for line in said)
    assert any(record["details"] == "over_budget" for record in records(tmp_path))
    with closing(sqlite3.connect(tmp_path / "runs/job" / JOURNAL)) as journal:
        (noted,) = journal.execute("SELECT value FROM meta WHERE key = ?", (META,)).fetchone()
    assert counts_in(noted).reserved <= 7


@pytest.mark.proofs
@pytest.mark.parametrize("fault", ["http_502=0.3", "hang@1", "garbage=0.3", "67200002=0.5", "truncated=0.2"])
def test_no_trouble_with_details_costs_an_item_or_a_call_of_another_kind(fault: str, tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.parse(f"details:{fault}", seed=3)) as server:
        summary = run(tmp_path, server, pictures=12, api={"timeout_s": {"details": 1}})
        assert server.stats.executed["search"] == server.stats.executed["create"] == 12
    assert summary.ok
    assert summary.items["tasked"] == 12


@pytest.mark.proofs
def test_a_vendor_of_details_that_is_down_ends_them_alone(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.parse("details:http_500=1")) as server:
        summary = run(tmp_path, server, pictures=60, api={"errors": {"http_5xx": {"base_s": 0}}})
        assert server.stats.calls("details") <= 12
    assert summary.ok
    assert {json.dumps(record["details"]) for record in records(tmp_path)} == {'"failed"'}


def test_a_copy_has_the_details_of_its_picture(tmp_path: Path) -> None:
    picture = "https://sandbox.invalid/gallery/bag-0-1.png?n=1"
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=[picture, picture], details=BEST, api=FAST)
        assert run_job(path, options=OPTIONS).ok
        assert set(server.stats.patents_asked.values()) == {1}
    first, second = records(tmp_path)
    assert second["same_as"] == first["item"]
    assert first["details"] == second["details"] != {}


class TestLate:
    """Details that come after their record, in this run or the next."""

    def test_they_are_pending_in_the_record_and_joined_from_their_own_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(details, "WAIT_S", 0.0)
        monkeypatch.setattr(HitDetails.finish, "__defaults__", (30.0,))
        with vendor(tmp_path, faults=replace(FaultPlan.parse("details:late@1-99"), late_s=0.2)) as server:
            summary = run(tmp_path, server)
        assert summary.ok
        assert all(record["details"] == "pending" for record in records(tmp_path))
        late = {line["item"]: line["details"] for line in lines(tmp_path / "runs/job/details.jsonl")}
        joined = list(read_records(tmp_path / "runs/job"))
        assert len(late) == len(joined) == 6
        assert all(record.details and not record.details_state for record in joined)
        with closing(sqlite3.connect(tmp_path / "runs/job" / JOURNAL)) as journal:
            assert journal.execute("SELECT value FROM meta WHERE key = 'details_pending'").fetchone() == ("0",)
            assert journal.execute("SELECT count(*) FROM laid_by").fetchone() == (0,)


@pytest.mark.proofs
def test_a_kill_while_records_wait_for_details_puts_nothing_in_doubt_and_the_next_run_asks_only_for_what_is_new(
    tmp_path: Path,
) -> None:
    with vendor(tmp_path, faults=FaultPlan.parse("details:hang@2-9")) as server:
        path = job(tmp_path, url=server.url, pictures=40, details=BEST, api=FAST, search={"limit": 3})
        with started("run", path, "--yes", cwd=tmp_path, **ACCOUNT) as process:
            until(lambda: server.stats.executed.get("create") == 40 and laid_by(tmp_path) > 0, by=process)
            until(lambda: server.stats.calls("details") >= 1, by=process)
            process.kill()
            process.wait()
        summary = run_job(path, options=OPTIONS)
        asked = server.stats.patents_asked
        assert server.stats.executed["create"] == 40
    assert summary.ok, summary
    assert summary.items["tasked"] == 40
    joined = list(read_records(tmp_path / "runs/job"))
    assert all(record.details for record in joined)
    lost = [id_ for id_, times in asked.items() if times > 1]  # those of the calls that never were answered
    assert all(times <= 2 for times in asked.values())
    assert len(lost) <= 100


def laid_by(folder: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{folder / 'runs/job' / JOURNAL}?mode=ro", uri=True)) as journal:
            return int(journal.execute("SELECT count(*) FROM laid_by").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
