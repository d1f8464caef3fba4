"""`method: submit`, end to end: one paid call an item, and everything behind it as with a search and a task."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline import read_records
from pipeline.engine import report_turns
from pipeline.errors import SpecError
from pipeline.results.summary import RunSummary
from pipeline.run.load import load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from pipeline.sandbox.fates import ReportPlan
from pipeline.sandbox.resources import resource
from pipeline.sandbox.tasks import read_tasks
from tests.support.jobs import ACCOUNT, FaultPlan, drawings, job, lines, pipeline, started, vendor
from tests.support.pages import Page
from tests.support.processes import ended, until

SUBMIT: dict[str, Any] = {"method": "submit", "search": {}, "task": {"country": ["US", "EU", "CN", "JP", "KR"]}}


@pytest.fixture(autouse=True)
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a report at once: these tests are not about the pace of questions."""
    monkeypatch.setattr(report_turns, "APART_S", 0.01)


def run(path: Path, **options: Any) -> RunSummary:
    return LocalExecutor().run(load(path, environment=ACCOUNT), RunOptions(environment=ACCOUNT, **options))


def submitted(folder: Path, url: str, **parts: Any) -> Path:
    return job(folder, url=url, **{**SUBMIT, **parts})


def results(folder: Path) -> list[dict[str, Any]]:
    return lines(folder / "runs" / "job" / "results.jsonl")


def open_ones(folder: Path) -> list[dict[str, Any]]:
    return lines(folder / "runs" / "job" / "open.jsonl")


def tasks(folder: Path) -> Counter[str]:
    """The executed creates by picture."""
    return Counter(task.urls[0] for task in read_tasks(folder / "vendor"))


def test_one_paid_call_an_item_brings_hits_comparisons_and_a_drawing(tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=0) as server:
        summary = run(submitted(tmp_path, server.url))
        assert server.stats.executed == {"token": 1, "create": 5, "query": server.stats.calls("query")}
    assert (summary.exit_code, summary.items["reported"]) == (0, 5)
    assert (summary.calls["create"].sent, summary.calls["search"].sent) == (5, 0)
    for record in results(tmp_path):
        assert (record["status"], record["search"]["endpoint"]) == ("reported", "AI39-submit")
        assert record["search"]["params"] == {"country": SUBMIT["task"]["country"]}
        assert record["hits"]
        assert record["task"]["hits"] == record["search"]["hits"] == len(record["hits"])
        assert [each["hit"] for each in record["comparisons"]] == [*range(len(record["hits"]))]
        drawing = (tmp_path / "runs" / "job" / record["line_drawing"]).read_bytes()
        assert drawing.startswith(b"\x89PNG")
        assert record["report"]["line_drawing_base64"] == f"sha256:{hashlib.sha256(drawing).hexdigest()}"
    page = Page(tmp_path / "runs" / "job" / "report.html")
    assert all(page.picture(one.rest["d"]) for one in page.products)
    views = list(read_records(tmp_path / "runs" / "job"))
    assert [view.line_drawing for view in views] == [record["line_drawing"] for record in results(tmp_path)]


@pytest.mark.proofs
def test_megabytes_of_answer_are_read(tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=0, reports=ReportPlan.parse("drawing=large")) as server:
        assert run(submitted(tmp_path, server.url, pictures=2)).items["reported"] == 2
    assert max(len(json.dumps(record)) for record in results(tmp_path)) < 500_000
    assert all(
        (tmp_path / "runs/job" / record["line_drawing"]).stat().st_size > 3_000_000 for record in results(tmp_path)
    )


@pytest.mark.proofs
def test_a_local_picture_is_uploaded_and_then_submitted(tmp_path: Path) -> None:
    products = resource("products")
    with vendor(tmp_path, report_after_s=0) as server:
        path = submitted(
            tmp_path, server.url, root=str(products), images=[{"path": "bag-0.jpg"}], upload={"public": True}
        )
        assert run(path).items["reported"] == 1
        assert server.stats.executed["upload"] == server.stats.executed["create"] == 1
    [record] = results(tmp_path)
    assert record["image"]["sha256"] == hashlib.sha256((products / "bag-0.jpg").read_bytes()).hexdigest()
    assert record["calls"]["upload"] == record["calls"]["create"] == 1


@pytest.mark.proofs
def test_a_picture_for_which_nothing_is_found_is_no_hits_with_its_task(tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=0) as server:
        path = submitted(tmp_path, server.url, pictures=2, search={"filters": {"loc_items": ["99-99"]}})
        summary = run(path)
        again = run(path)
        assert server.stats.executed["create"] == 2
    assert (summary.exit_code, summary.items["no_hits"], again.items["no_hits"]) == (0, 2, 2)
    assert all(record["task"]["task_id"] and record["hits"] == [] for record in results(tmp_path))


@pytest.mark.proofs
def test_a_report_that_is_not_in_stays_open_with_its_task_and_the_next_run_reads_it(tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=3600) as server:
        path = submitted(tmp_path, server.url, pictures=3, api={"budget": {"query_calls": 4}})
        first = run(path)
    assert (first.exit_code, first.items["report_pending"]) == (1, 3)
    assert all(record["task"]["task_id"] and record["hits"] == [] for record in open_ones(tmp_path))
    with vendor(tmp_path, report_after_s=0) as server:
        second = run(submitted(tmp_path, server.url, pictures=3))
        assert server.stats.executed.get("create", 0) == 0
    assert (second.exit_code, second.items["reported"]) == (0, 3)
    assert set(tasks(tmp_path).values()) == {1}


@pytest.mark.proofs
@pytest.mark.parametrize("fault", ["create:lost@2", "create:67200100.after@2", "create:truncated@2"])
def test_a_submit_whose_answer_is_lost_is_in_doubt_and_not_sent_again(fault: str, tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=0, faults=FaultPlan.parse(fault)) as server:
        path = submitted(tmp_path, server.url, api={"max_in_flight": 1})
        summary, again = run(path), run(path)
        assert server.stats.executed["create"] == 5
    assert (summary.items["reported"], summary.items["in_doubt"]) == (4, 1)
    assert (again.items["reported"], again.items["in_doubt"]) == (4, 1)
    [doubt] = open_ones(tmp_path)
    assert (doubt["status"], doubt["hits"], "hits_lost" in doubt) == ("in_doubt", [], False)


@pytest.mark.proofs
def test_a_submit_that_was_provably_not_executed_waits_and_is_sent_by_the_next_run(tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=0, balance=2) as server:
        path = submitted(tmp_path, server.url, pictures=4, api={"max_in_flight": 1})
        first = run(path)
        assert first.exit_code == 4
    with vendor(tmp_path, report_after_s=0) as server:
        second = run(submitted(tmp_path, server.url, pictures=4))
    assert (second.exit_code, second.items["reported"]) == (0, 4)
    assert (len(tasks(tmp_path)), set(tasks(tmp_path).values())) == (4, {1})


def test_items_with_one_picture_share_one_submit(tmp_path: Path) -> None:
    [url] = drawings(1)
    with vendor(tmp_path, report_after_s=0) as server:
        assert run(submitted(tmp_path, server.url, pictures=[url, f"{url}#again"])).items["reported"] == 2
        assert server.stats.executed["create"] == 1
    first, second = results(tmp_path)
    assert second["same_as"] == first["item"]
    assert (second["line_drawing"], second["comparisons"]) == (first["line_drawing"], first["comparisons"])


@pytest.mark.proofs
def test_the_budget_of_creates_is_that_of_submits(tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=0) as server:
        summary = run(submitted(tmp_path, server.url, api={"budget": {"create_calls": 2}}))
        assert server.stats.executed["create"] == 2
    assert (summary.exit_code, summary.items["reported"], summary.items["not_started"]) == (4, 2, 3)


@pytest.mark.parametrize(
    ("method", "denied", "other"),
    [
        ("submit", "AI39-submit", "write `method: search-then-task`"),
        ("search-then-task", "AI39-1", "write `method: submit`"),
        ("search-then-task", "P009", "write `method: submit`"),
    ],
)
def test_an_account_that_lacks_one_method_is_told_the_other(
    method: str, denied: str, other: str, tmp_path: Path
) -> None:
    parts = SUBMIT if method == "submit" else {}
    with vendor(tmp_path, denied=frozenset({denied})) as server:
        summary = run(job(tmp_path, url=server.url, **parts))
    assert summary.exit_code == 3
    assert other in summary.exit_reason


@pytest.mark.proofs
def test_the_method_does_not_change_under_tasks_whose_reports_are_awaited(tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=3600) as server:
        run(submitted(tmp_path, server.url, pictures=2, api={"budget": {"query_calls": 2}}))
        path = job(tmp_path, url=server.url, pictures=2)
        with pytest.raises(SpecError, match="run the job with its method of before"):
            run(path, accept_changes=True)
        with pytest.raises(SpecError, match="asked something else before"):
            run(path)
        assert server.stats.executed["create"] == 2


@pytest.mark.proofs
def test_a_search_that_is_paid_is_not_taken_for_hits_once_the_job_submits(tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=0, denied=frozenset({"AI39-1"})) as server:
        assert run(job(tmp_path, url=server.url, pictures=2)).items["settled"] == 0
        path = submitted(tmp_path, server.url, pictures=2, search={"filters": {"loc_items": ["99-99"]}})
        summary = run(path, accept_changes=True)
        assert server.stats.executed["create"] == 2
    assert (summary.exit_code, summary.items["no_hits"]) == (0, 2)
    assert {record["search"]["endpoint"] for record in results(tmp_path)} == {"AI39-submit"}


@pytest.mark.proofs
def test_kills_lose_no_submit_and_send_none_twice(tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=(0.0, 4.0), latency_s=(0.0, 0.1)) as server:
        path = submitted(tmp_path, server.url, pictures=40, api={"qps": 40, "max_in_flight": 12})
        for executed in (3, 12, 25, 40):
            with started("run", path, "--yes", cwd=tmp_path, **ACCOUNT) as process:
                until(lambda: server.stats.executed_creates >= executed or process.poll() is not None)  # noqa: B023
                process.kill()
                ended(process)
        summary = run(path)
    paid = {task.task_id: task.urls[0] for task in read_tasks(tmp_path / "vendor")}
    assert set(tasks(tmp_path).values()) == {1}
    assert summary.items["reported"] + summary.items["in_doubt"] == summary.items["all"] == 40
    doubtful = {record["image"]["source"] for record in open_ones(tmp_path)}
    reported = {record["task"]["task_id"] for record in results(tmp_path)}
    assert all(url in doubtful for task_id, url in paid.items() if task_id not in reported)
    assert reported <= set(paid)


@pytest.mark.proofs
def test_details_are_asked_for_once_the_report_has_brought_the_hits(tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=0) as server:
        summary = run(submitted(tmp_path, server.url, pictures=2, details={"top": 2, "above": 0.0}))
        assert server.stats.executed["details"] >= 1
    assert summary.items["reported"] == 2
    for record in results(tmp_path):
        asked = {hit["patent_id"] for hit in record["hits"][:2]}
        assert asked == {*record["details"]}
        assert any("as_of" in detail for detail in record["details"].values())


def test_views_are_refused_with_what_takes_them(tmp_path: Path) -> None:
    path = submitted(tmp_path, "sandbox", images=[{"id": "a", "views": drawings(2)}])
    with pytest.raises(SpecError, match="AI39-submit searches one picture at a time; write `method: search-then-task`"):
        run(path)


@pytest.mark.proofs
def test_the_task_of_a_doubt_that_a_person_found_is_asked_for_its_report(tmp_path: Path) -> None:
    with vendor(tmp_path, report_after_s=0, faults=FaultPlan.parse("create:lost@1")) as server:
        path = submitted(tmp_path, server.url, pictures=2, api={"max_in_flight": 1})
        assert run(path).items["in_doubt"] == 1
        [doubt] = open_ones(tmp_path)
        [task_id] = [
            task.task_id for task in read_tasks(tmp_path / "vendor") if task.urls == (doubt["image"]["source"],)
        ]
        done = pipeline("resolve", tmp_path / "runs/job", "--created", doubt["item"], task_id, cwd=tmp_path, **ACCOUNT)
        assert done.returncode == 0, done.stderr
        summary = run(path)
        assert server.stats.executed["create"] == 2
    assert (summary.exit_code, summary.items["reported"]) == (0, 2)
    assert all(record["hits"] and record["line_drawing"] for record in results(tmp_path))


@pytest.mark.proofs
def test_comparisons_without_the_hits_that_the_vendor_counts_are_read_and_the_record_says_so(tmp_path: Path) -> None:
    lost = ReportPlan.parse("lost_hits=1")
    task = {**SUBMIT["task"], "settle_s": 1}
    with vendor(tmp_path, report_after_s=0, reports=lost) as server:
        summary = run(submitted(tmp_path, server.url, pictures=2, task=task))
    assert (summary.exit_code, summary.items["reported"]) == (0, 2)
    for record in results(tmp_path):
        total = record["search"]["total"]
        assert (record["status"], record["hits"], record["hits_lost"], record["search"]["hits"]) == (
            "reported",
            [],
            True,
            0,
        )
        assert record["remark"] == f"the vendor counts {total:,} hits and sent none of them; its comparisons are here"
        assert record["comparisons"]
        assert record["report"]["report"]["comparisons"]
        assert record["line_drawing"]
    page = Page(tmp_path / "runs/job/report.html")
    assert all(one.rest["rm"].startswith("the vendor counts ") for one in page.products)
    assert all([place for place, *_ in page.comparisons(one)] == [-1, -1, -1] for one in page.products)
    views = list(read_records(tmp_path / "runs" / "job"))
    assert all(view.hits_lost and view.remark for view in views)
