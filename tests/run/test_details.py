"""Details of hits in whole runs, on a vendor of our own: who is asked what, how often, and what records say."""

import contextlib
import json
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import Plan, RunOptions, SpecError, plan_job, read_records, run_job
from pipeline.engine import details, patent_batches
from pipeline.engine.details import HitDetails
from pipeline.journal.places import JOURNAL
from pipeline.journal.sql import sent_calls
from pipeline.journal.storage import reading_only
from pipeline.offline.status import read_status
from pipeline.results.summary import RunSummary
from pipeline.run.load import load_spec
from pipeline.sandbox.patent_data import is_refused
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from pipeline.system.fault import Fault
from pipeline.system.folders import state_folder
from tests.support.accounts import used_by
from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, started, vendor
from tests.support.lengths import THOROUGH
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
def test_many_items_with_common_hits_ask_for_each_patent_once_and_a_second_run_asks_none(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        many = {"pictures": 1000 if THOROUGH else 120, "details": {"top": 5, "above": 0.5}, "search": {"limit": 20}}
        first = run(tmp_path, server, **many)
        asked = server.stats.patents_asked
        assert first.ok
        assert set(asked.values()) == {1}
        assert len(asked) <= 432
        second = run(tmp_path, server, **many, new=True)
        assert second.ok
        assert server.stats.patents_asked == asked
    for place in ("job", "job.2"):
        for record in read_records(tmp_path / "runs" / place):
            best = [hit["patent_id"] for hit in record.hits if hit["score"] >= 0.5][:5]
            assert list(record.details) == best


@pytest.mark.proofs
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
        assert not journal.execute("SELECT * FROM calls WHERE kind = 'details'").fetchall()
    assert not (tmp_path / "runs/job/details.jsonl").exists()


@pytest.mark.proofs
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


@pytest.mark.proofs
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
        (reserved,) = journal.execute("SELECT reserved FROM calls WHERE kind = 'details'").fetchone()
    assert reserved == details_units <= 7
    assert summary.details is not None
    assert (summary.details.found, summary.details.budget, summary.details.unknown) == (reserved, 7, 0)


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


@pytest.mark.proofs
def test_one_bad_id_costs_the_other_patents_nothing(tmp_path: Path) -> None:
    with vendor(tmp_path, refused_patents=0.12) as server:
        summary = run(tmp_path, server, pictures=8, details={"top": 10, "above": 0.0}, search={"limit": 10})
        units, asked = server.stats.units - 16, server.stats.patents_asked
    assert summary.ok
    details = {id_: one for record in records(tmp_path) for id_, one in record["details"].items()}
    refused = {id_ for id_ in details if is_refused(id_, 0.12)}
    assert refused == {id_ for id_, one in details.items() if one.get("missing") == "refused"} != set()
    assert {one.get("missing") for id_, one in details.items() if id_ not in refused} == {None, "not_found"}
    assert summary.details is not None
    assert summary.details.found == units == sum("missing" not in one for one in details.values())
    assert summary.details.unknown == 0
    assert all(asked[id_] > 1 for id_ in refused)


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
def test_a_kill_while_records_wait_for_details_puts_nothing_in_doubt_and_the_next_run_adds_them(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.parse("details:hang@1")) as server:
        path = job(tmp_path, url=server.url, pictures=30, details=BEST, api=FAST)
        with started("run", path, "--yes", cwd=tmp_path, **ACCOUNT) as process:
            until(lambda: laid_by(tmp_path) == 30 and server.stats.patents_asked, by=process)
            process.kill()
            process.wait()
        unanswered = Counter(server.stats.patents_asked)
        assert not (tmp_path / "runs/job/results.jsonl").read_bytes()
        standing = read_status(tmp_path / "runs/job").items
        assert (standing["tasked"], standing["in_doubt"]) == (30, 0)
        summary = run_job(path, options=OPTIONS)
        assert server.stats.executed["create"] == 30
        assert set((Counter(server.stats.patents_asked) - unanswered).values()) == {1}
    assert summary.ok, summary
    assert summary.items["tasked"] == 30
    assert {record["details"] for record in records(tmp_path)} == {"pending"}
    joined = list(read_records(tmp_path / "runs/job"))
    assert all(list(record.details) == [hit["patent_id"] for hit in record.hits][:3] for record in joined)


@pytest.mark.proofs
def test_what_was_answered_before_a_kill_is_asked_for_no_more(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        slowly = {"qps": {**FAST["qps"], "create": 1}, "max_in_flight": 30}
        path = job(tmp_path, url=server.url, pictures=30, details=BEST, api=slowly)
        with started("run", path, "--yes", cwd=tmp_path, **ACCOUNT) as process:
            until(lambda: kept() > 0 and server.stats.executed.get("search") == 30, by=process)
            process.kill()
            process.wait()
        assert (
            run_job(path, overrides=["api.qps.create=1000"], options=OPTIONS).items["tasked"] >= 26
        )  # creates at the door are in doubt
        assert set(server.stats.patents_asked.values()) == {1}


def kept() -> int:
    """Count the patents in the caches of this test's state folder."""
    state = state_folder()
    assert state is not None
    count = 0
    for cache in (state / "patents").glob("*.sqlite"):
        with contextlib.suppress(sqlite3.OperationalError), closing(sqlite3.connect(cache)) as db:
            count += db.execute("SELECT count(*) FROM patents").fetchone()[0]
    return count


def laid_by(folder: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{folder / 'runs/job' / JOURNAL}?mode=ro", uri=True)) as journal:
            return int(journal.execute("SELECT count(*) FROM laid_by").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.mark.proofs
def test_a_cap_of_money_holds_for_details_too_and_every_item_gets_its_task(tmp_path: Path) -> None:
    """Twenty items cost 3 each; 5 more are left for details at 0.5 a patent."""
    prices = {"P009": 1, "P010": 1, "AI39-1": 2, "D301": 0.5}
    with vendor(tmp_path) as server:
        summary = run(tmp_path, server, pictures=20, prices=prices, api={"budget": {"money": 65}})
        found = server.stats.units - 40
    assert summary.ok
    assert summary.money is not None
    assert float(summary.money.spent) == 60 + 0.5 * found <= 65
    assert float(summary.money.by["D301"]) == 0.5 * found
    assert summary.details is not None
    assert summary.details.found == found > 0


def test_a_price_is_asked_for_where_money_is_capped(tmp_path: Path) -> None:
    path = job(
        tmp_path,
        url="https://connect.patsnap.com",
        details={"family": True},
        api={"budget": {"money": 9}},
        prices={"P009": 1, "AI39-1": 1, "P010": 1},
        known=False,
    )
    with pytest.raises(SpecError, match="D301 and P014 have none"):
        load_spec(path)


class TestPlan:
    """The patents that `plan` names are never exceeded by the run."""

    def plan(self, folder: Path, server: SandboxServer, **parts: Any) -> Plan:
        return plan_job(job(folder, url=server.url, pictures=10, **{"details": BEST, "api": FAST, **parts}))

    @pytest.mark.proofs
    def test_it_says_of_how_many_patents_details_are_asked_for_at_most(self, tmp_path: Path) -> None:
        with vendor(tmp_path) as server:
            assert self.plan(tmp_path, server, details=None).details == 0
            assert self.plan(tmp_path, server).details == 30
            assert self.plan(tmp_path, server, details={**BEST, "family": True}).details == 60
            assert self.plan(tmp_path, server, api={**FAST, "budget": {"details": 7}}).details == 7
            run(tmp_path, server, pictures=10)
            assert sum(server.stats.patents_asked.values()) <= 30
            assert self.plan(tmp_path, server).details == 0

    def test_it_counts_their_money(self, tmp_path: Path) -> None:
        with vendor(tmp_path) as server:
            plan = self.plan(tmp_path, server, prices={"P009": 1, "AI39-1": 1, "D301": 0.5})
        assert plan.cost is not None
        assert float(plan.cost.by["D301"]) == 15.0


FAMILY = {"top": 10, "above": 0.0, "family": True}


class TestFamilies:
    """One design in several countries, told from different ones by P014."""

    @pytest.mark.proofs
    def test_hits_of_one_design_have_one_family_and_the_designs_are_counted(self, tmp_path: Path) -> None:
        with vendor(tmp_path) as server:
            run(tmp_path, server, details=FAMILY, search={"limit": 20})
            asked = dict(server.stats.patents_asked)
        several = 0
        for record in records(tmp_path):
            known = [one for one in record["details"].values() if "missing" not in one]
            assert record["designs"] == len({one["family"] for one in known}) <= len(known)
            several += record["designs"] < len(known)
            not_found = [id_ for id_, one in record["details"].items() if one.get("missing") == "not_found"]
            assert all(asked[id_] == 1 for id_ in not_found)  # no family is asked for where there are no details
        assert several
        assert max(asked.values()) == 2  # once for each endpoint

    def test_a_job_that_does_not_ask_for_families_calls_no_p014(self, tmp_path: Path) -> None:
        with vendor(tmp_path, denied=frozenset({"P014"})) as server:
            run(tmp_path, server)
            assert set(server.stats.outcomes["details"]) == {"ok"}
        assert all("designs" not in record for record in records(tmp_path))

    def test_without_the_permission_for_families_there_are_details_without_them(self, tmp_path: Path) -> None:
        said: list[str] = []
        with vendor(tmp_path, denied=frozenset({"P014"})) as server:
            path = job(tmp_path, url=server.url, details=FAMILY, api=FAST)
            summary = run_job(path, options=RunOptions(environment=ACCOUNT, say=said.append))
        assert summary.ok
        known = [one for record in records(tmp_path) for one in record["details"].values() if "missing" not in one]
        assert known
        assert not any("family" in one for one in known)
        assert all("designs" not in record for record in records(tmp_path))  # nobody knows how many they are
        (remark,) = [line for line in said if "families" in line]
        assert "P014 needs a permission of its own" in remark


@pytest.mark.proofs
def test_a_bill_does_not_take_patents_for_calls_that_nobody_noted(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        run(tmp_path, server)
        calls = server.stats.calls("details")
    with reading_only(tmp_path / "runs/job") as db:
        assert sent_calls.uncounted(db) == {}
        rows = db.do("SELECT path, sum(granted) FROM sent_calls WHERE kind = 'details' GROUP BY path").fetchall()
    assert rows == [("/basic-patent-data/patent-detail-aggregation", calls)]


def test_a_share_that_leaves_details_less_than_a_call_a_second_is_refused_in_one_line(tmp_path: Path) -> None:
    path = job(tmp_path, url="http://127.0.0.1:9", details=BEST, api={"qps": 10})
    with pytest.raises(SpecError, match="call for details a second is less than one") as refused:
        run_job(path, options=RunOptions(environment=ACCOUNT, share=0.4))
    (fault,) = refused.value.lines
    assert isinstance(fault, Fault)
    assert fault.fix == "api: {qps: {details: 3}}"
    assert not (tmp_path / "runs").exists()


@pytest.mark.proofs
def test_on_an_account_that_is_new_to_details_one_item_runs_alone_first(tmp_path: Path) -> None:
    said: list[str] = []
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, details=BEST, api=FAST)
        used_by(server.url, ACCOUNT).keep("D301", 0)
        assert run_job(path, options=RunOptions(environment=ACCOUNT, say=said.append)).ok
        first = server.stats.arrivals("details")[0]
        assert sum(at < first for at in server.stats.arrivals("search")) == 1
    assert any("has not used D301 on this machine before" in line for line in said)
    assert used_by(server.url, ACCOUNT).counts()["D301"] == 3


@pytest.mark.proofs
def test_kills_with_details_lose_no_task_create_none_twice_and_ask_for_nothing_that_is_known(tmp_path: Path) -> None:
    """Eight kills at any moment, 5 % of all calls go wrong: what the cache knew at a death is not asked for again."""
    faults = FaultPlan.parse("create:lost=0.01,search:http_502=0.02,details:http_502=0.03,details:lost=0.02", seed=7)
    moment = random.Random(7)
    with vendor(tmp_path, faults=faults) as server:
        api = {"qps": {"search": 60, "create": 60, "upload": 60, "details": 8}, "max_in_flight": 60}
        path = job(tmp_path, url=server.url, pictures=400, details=BEST, api=api, search={"limit": 20})
        for kill in range(8):
            with started("run", path, "--yes", cwd=tmp_path, **ACCOUNT) as process:
                before = server.stats.calls("search")
                until(lambda before=before: server.stats.calls("search") > before + 10, by=process)
                time.sleep(moment.uniform(0.0, 1.0))
                process.kill()
                process.wait()
            if kill % 2:
                known, asked = answered(), server.stats.patents_asked
                run_job(path, overrides=["api.max_in_flight=20"], options=RunOptions(environment=ACCOUNT, limit=30))
                assert {id_: server.stats.patents_asked[id_] for id_ in known} == {id_: asked[id_] for id_ in known}
        summary = run_job(path, options=OPTIONS)
        created = [task.task_id for task in read_tasks(tmp_path / "vendor")]
    settled = records(tmp_path)
    tasks = [record["task"]["task_id"] for record in settled if record["task"] is not None]
    assert len(tasks) == len(set(tasks))
    assert set(tasks) <= set(created)
    assert len(created) - len(tasks) <= summary.items["in_doubt"]
    assert summary.items["settled"] + summary.items["in_doubt"] == 400
    joined = list(read_records(tmp_path / "runs/job"))
    assert all(record.details for record in joined if record.hits)


def answered() -> set[str]:
    """Name the patents in the caches of this test's state folder."""
    state = state_folder()
    assert state is not None
    found: set[str] = set()
    for cache in (state / "patents").glob("*.sqlite"):
        with closing(sqlite3.connect(cache)) as db:
            found |= {id_ for (id_,) in db.execute("SELECT patent_id FROM patents").fetchall()}
    return found
