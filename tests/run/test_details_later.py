"""Details that a job asks for when its items are settled: they are added beside the records, and paid for once."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline import Plan, RecordView, RunOptions, plan_job, read_records, run_job
from pipeline.cli import main as cli
from pipeline.cli.commands import run as command
from pipeline.endpoints.details import Details, PatentDetail
from pipeline.engine import details, patent_batches
from pipeline.results.late_details import append
from pipeline.results.summary import RunSummary
from pipeline.run import details as running
from pipeline.sandbox.server import SandboxServer
from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, started, vendor
from tests.support.pages import Page
from tests.support.processes import until

BEST = {"top": 3, "above": 0.0}
FAMILY = {**BEST, "family": True}
ITEMS = 6


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no batch wait for long, and let records come in several portions."""
    monkeypatch.setattr(patent_batches, "LINGER_S", 0.02)
    monkeypatch.setattr(running, "_AT_ONCE", 2)
    monkeypatch.setattr(details, "MOST_LATE", 3)


def written(folder: Path, server: SandboxServer, wanted: dict[str, Any] | None = None, **parts: Any) -> Path:
    api = {"qps": {"search": 1000, "create": 1000, "upload": 1000, "details": 100}, **parts.pop("api", {})}
    return job(folder, url=server.url, pictures=ITEMS, api=api, **({"details": wanted} if wanted else {}), **parts)


def run(folder: Path, server: SandboxServer, wanted: dict[str, Any] | None = None, **parts: Any) -> RunSummary:
    return run_job(written(folder, server, wanted, **parts), options=RunOptions(environment=ACCOUNT))


def plan(folder: Path, server: SandboxServer, wanted: dict[str, Any] | None = None, **parts: Any) -> Plan:
    return plan_job(written(folder, server, wanted, **parts))


def records(folder: Path) -> list[RecordView]:
    return list(read_records(folder / "runs/job"))


def best_of(record: RecordView, top: int = 3) -> list[str]:
    return [hit["patent_id"] for hit in record.hits[:top]]


def test_settled_records_get_the_details_that_a_job_asks_for_later(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        assert run(tmp_path, server).ok
        before = (tmp_path / "runs/job/results.jsonl").read_bytes()
        assert plan(tmp_path, server, BEST).details == 3 * ITEMS
        assert run(tmp_path, server, BEST).ok
        assert server.stats.executed["create"] == server.stats.executed["search"] == ITEMS
        assert set(server.stats.patents_asked.values()) == {1}
        assert plan(tmp_path, server, BEST).details == 0
        calls = server.stats.calls("details")
        assert run(tmp_path, server, BEST).ok
        assert server.stats.calls("details") == calls
    assert (tmp_path / "runs/job/results.jsonl").read_bytes() == before
    assert len(lines(tmp_path / "runs/job/details.jsonl")) == ITEMS
    for record in records(tmp_path):
        assert list(record.details) == best_of(record)
        assert any(one.known for one in record.details.values())
    page = Page(tmp_path / "runs/job/report.html")
    assert any(hit.legal for product in page.products for hit in product.hits)


@pytest.mark.proofs
def test_families_are_added_later_too_and_details_that_are_known_are_paid_no_more(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        run(tmp_path, server, BEST)
        once = Counter(server.stats.patents_asked)
        assert plan(tmp_path, server, FAMILY).details == 6 * ITEMS
        run(tmp_path, server, FAMILY)
        twice = Counter(server.stats.patents_asked)
        assert plan(tmp_path, server, FAMILY).details == 0
    found = {id_ for record in records(tmp_path) for id_, one in record.details.items() if one.known}
    assert twice - once == dict.fromkeys(found, 1)  # P014 alone
    for record in records(tmp_path):
        assert record.designs == len({one.family for one in record.details.values() if one.known})


@pytest.mark.proofs
def test_more_hits_of_each_item_cost_these_alone(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        run(tmp_path, server, {**BEST, "top": 1})
        assert plan(tmp_path, server, BEST).details == 2 * ITEMS
        run(tmp_path, server, BEST)
        assert set(server.stats.patents_asked.values()) == {1}
        run(tmp_path, server, {**BEST, "top": 2})  # fewer take nothing away
    assert all(list(record.details) == best_of(record) for record in records(tmp_path))


@pytest.mark.proofs
def test_details_that_come_in_parts_stand_in_the_order_of_the_hits(tmp_path: Path) -> None:
    """The second best hit of one item may be the best of another, and be known long before."""
    known = {"as_of": "2026-11-27T00:00:00Z"}
    with vendor(tmp_path) as server:
        run(tmp_path, server)
        for record in records(tmp_path):
            late = Details({best_of(record)[1]: PatentDetail(**known)})
            append(tmp_path / "runs/job/details.jsonl", record.item, late, at=0.0)
        run(tmp_path, server, BEST)
    assert all(list(record.details) == best_of(record) for record in records(tmp_path))


@pytest.mark.proofs
def test_what_is_settled_while_a_job_asks_for_none_is_not_forgotten(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        for wanted, limit in ((BEST, 2), (None, 2), (BEST, None)):
            options = RunOptions(environment=ACCOUNT, limit=limit)
            run_job(written(tmp_path, server, wanted), options=options)
    assert [list(record.details) for record in records(tmp_path)] == [best_of(record) for record in records(tmp_path)]


@pytest.mark.proofs
def test_a_budget_that_is_used_up_leaves_records_as_they_were_and_more_of_it_goes_on(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        run(tmp_path, server)
        few = {"budget": {"details": 4}}
        assert plan(tmp_path, server, BEST, api=few).details == 4
        run(tmp_path, server, BEST, api=few)
        assert server.stats.units - 2 * ITEMS <= 4
        assert all(
            one.known or one.missing == "not_found" for record in records(tmp_path) for one in record.details.values()
        )
        run(tmp_path, server, BEST)
        assert set(server.stats.patents_asked.values()) <= {1, 2}  # one that was not there is free
    assert all(list(record.details) == best_of(record) for record in records(tmp_path))


@pytest.mark.proofs
@pytest.mark.parametrize(("budget", "faults"), [({"details": 4}, ""), ({}, "details:67200004@1")])
def test_records_that_say_what_they_lack_get_it_once_more_may_be_asked_for(
    budget: dict[str, int], faults: str, tmp_path: Path
) -> None:
    """They were settled by a run that wanted details, and had no budget, or no permission, for all of them."""
    with vendor(tmp_path, faults=FaultPlan.parse(faults)) as server:
        run(tmp_path, server, BEST, api={"budget": budget})
        assert any(record.details_state for record in records(tmp_path))
        assert plan(tmp_path, server, BEST).details > 0
        run(tmp_path, server, BEST)
        assert plan(tmp_path, server, BEST).details == 0
        paid = server.stats.units
        run(tmp_path, server, BEST)
        assert server.stats.units == paid
    assert [list(record.details) for record in records(tmp_path)] == [best_of(record) for record in records(tmp_path)]
    said = [one for record in records(tmp_path) for one in record.details.values()]
    assert all(one.known or one.missing == "not_found" for one in said)


@pytest.mark.proofs
def test_the_question_before_paying_names_details_alone_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(command, "on_a_terminal", lambda **_: True)
    monkeypatch.setattr(command, "ask", lambda text, **_: asked.append(text))
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    with vendor(tmp_path) as server:
        run(tmp_path, server)
        assert cli.run(["run", str(written(tmp_path, server, BEST)), "-q"]) == 0
        assert cli.run(["run", str(written(tmp_path, server, BEST)), "-q"]) == 0
    (text,) = asked
    assert f"and asked for details of {3 * ITEMS} patents at most, which the account pays for" in text


@pytest.mark.proofs
def test_a_kill_in_between_leaves_the_records_and_the_next_run_adds_what_is_lacking(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.parse("details:hang@1")) as server:
        run(tmp_path, server)
        path = written(tmp_path, server, BEST)
        with started("run", path, "--yes", cwd=tmp_path, **ACCOUNT) as process:
            until(lambda: server.stats.patents_asked, by=process)
            process.kill()
            process.wait()
        unanswered = Counter(server.stats.patents_asked)
        assert plan_job(path).details == 3 * ITEMS
        assert run_job(path, options=RunOptions(environment=ACCOUNT)).ok
        assert server.stats.executed["create"] == ITEMS
        assert set((Counter(server.stats.patents_asked) - unanswered).values()) == {1}
    assert all(list(record.details) == best_of(record) for record in records(tmp_path))
