"""Creates whose answer is lost: held, or made once more within `max_duplicates`; nothing else ever makes them again."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, RunSummary, run_job
from pipeline.journal.storage import connect
from pipeline.models import Kind
from pipeline.sandbox.tasks import read_tasks
from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, vendor

CREATE = Kind.CREATE
RETRY: dict[str, Any] = {"retry": 1, "max_duplicates": 100}
LOST_ALWAYS = FaultPlan.parse("create:lost=1")


def run(path: Path, *overrides: str, **options: Any) -> RunSummary:
    return run_job(path, overrides=overrides, options=RunOptions(environment=ACCOUNT, **options))


def executed(folder: Path) -> Counter[str]:
    """How often the vendor really created a task, per picture."""
    return Counter(task.urls[0] for task in read_tasks(folder / "vendor"))


def test_an_item_that_ends_in_doubt_is_created_once_more_in_the_same_run(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["ok", "lost", "lost"]})) as server:
        summary = run(job(tmp_path, url=server.url, pictures=5, api={"on_in_doubt": RETRY}))
    assert (summary.exit_code, summary.items["tasked"]) == (0, 5)
    assert summary.calls_this_run == {"upload": 0, "search": 5, "create": 7}
    assert sorted(executed(tmp_path).values()) == [1, 1, 1, 2, 2]
    spent = sorted(record["calls"]["create"] for record in lines(tmp_path / "runs/job/results.jsonl"))
    assert spent == [1, 1, 1, 2, 2]


def test_hold_never_creates_again(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["lost", "lost"]})) as server:
        path = job(tmp_path, url=server.url, pictures=3, api={"on_in_doubt": "hold"})
        first, second = run(path), run(path)
    assert (first.items["in_doubt"], second.items["in_doubt"]) == (2, 2)
    assert second.calls_this_run == {"upload": 0, "search": 0, "create": 0}


def test_what_a_start_finds_in_doubt_is_created_once_more_with_the_hits_that_are_paid(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["lost", "lost"]})) as server:
        path = job(tmp_path, url=server.url, pictures=3)
        assert run(path).items["in_doubt"] == 2
        summary = run(path, "api.on_in_doubt={retry: 1, max_duplicates: 2}")
    assert (summary.exit_code, summary.items["tasked"]) == (0, 3)
    assert summary.calls_this_run == {"upload": 0, "search": 0, "create": 2}


@pytest.mark.proofs
def test_never_more_than_max_duplicates_over_the_life_of_the_run_directory(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=LOST_ALWAYS) as server:
        path = job(tmp_path, url=server.url, pictures=4, api={"on_in_doubt": {"retry": 1, "max_duplicates": 3}})
        counts = [run(path).calls_this_run["create"], run(path).calls_this_run["create"]]
        more = run(path, "api.on_in_doubt={retry: 1, max_duplicates: 4}")
        again = run(path, "api.on_in_doubt={retry: 1, max_duplicates: 9}")
    assert counts == [4 + 3, 0]
    assert more.calls_this_run["create"] == 1
    assert again.calls_this_run["create"] == 0  # each item once
    assert again.items["in_doubt"] == 4
    assert sorted(executed(tmp_path).values()) == [2, 2, 2, 2]


def test_an_open_line_in_doubt_says_when_why_and_what_to_quote(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["67200100"]})) as server:
        run(job(tmp_path, url=server.url, pictures=1))
    [record] = lines(tmp_path / "runs/job/open.jsonl")
    error = record["error"]
    assert (error["stage"], error["code"], error["consequence"]) == ("create", "67200100", "in_doubt")
    assert "busy" in error["message"]
    assert "(sent 20" in error["message"]
    assert len(error["request_id"]) == 32
    assert error["correlation_id"]


@pytest.mark.proofs
def test_the_line_after_two_doubts_names_both_requests(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=LOST_ALWAYS) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        run(path)
        [first] = lines(tmp_path / "runs/job/open.jsonl")
        run(path, "api.on_in_doubt={retry: 1, max_duplicates: 1}")
    [record] = lines(tmp_path / "runs/job/open.jsonl")
    assert record["error"]["request_id"] != first["error"]["request_id"]
    assert first["error"]["request_id"] in record["error"]["message"]


@pytest.mark.proofs
def test_a_journal_of_the_first_version_learns_the_new_changes_of_state(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["lost"]})) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        run(path)
        journal = connect(tmp_path / "runs/job/journal.sqlite")
        for sql in ("DROP TABLE risks", "DROP TABLE decisions", "DELETE FROM legal WHERE old = 21"):
            journal.execute(sql)
        journal.close()
        assert run(path, "api.on_in_doubt={retry: 1, max_duplicates: 1}").exit_code == 0


# --- what a job may say of a create that may have been executed (api.errors) ---


def test_a_create_that_the_job_lets_be_sent_again_is_in_doubt_when_all_answers_are_lost(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=LOST_ALWAYS) as server:
        errors = {"no_answer": {"create": "retry", "attempts": 3, "base_s": 0}}
        path = job(tmp_path, url=server.url, pictures=1, api={"errors": errors})
        first, second = run(path), run(path)
    assert (first.items["in_doubt"], first.calls_this_run["create"]) == (1, 3)
    assert (second.items["in_doubt"], second.calls_this_run["create"]) == (1, 0)
    [record] = lines(tmp_path / "runs/job/open.jsonl")
    assert "it was sent 3 times" in record["error"]["message"]
    assert record["calls"]["create"] == 3


def test_a_create_that_is_sent_again_becomes_a_task(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["lost"]})) as server:
        errors = {"no_answer": {"create": "retry", "base_s": 0}}
        summary = run(job(tmp_path, url=server.url, pictures=1, api={"errors": errors}))
    assert (summary.exit_code, summary.items["tasked"], summary.calls_this_run["create"]) == (0, 1, 2)


@pytest.mark.proofs
def test_a_second_create_may_be_sent_again_too(tmp_path: Path) -> None:
    """The item is in doubt before; its doubt is taken up once, whatever the number of attempts."""
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["lost", "lost", "ok"]})) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        assert run(path).items["in_doubt"] == 1
        again = ("api.errors={no_answer: {create: retry, base_s: 0}}", "api.on_in_doubt={retry: 1, max_duplicates: 1}")
        summary = run(path, *again)
    assert (summary.exit_code, summary.items["tasked"], summary.calls_this_run["create"]) == (0, 1, 2)


@pytest.mark.proofs
def test_a_budget_that_ends_before_the_answer_came_leaves_the_item_in_doubt(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=LOST_ALWAYS) as server:
        api = {"errors": {"no_answer": {"create": "retry", "base_s": 0}}, "budget": {"create_calls": 2}}
        path = job(tmp_path, url=server.url, pictures=1, api=api)
        first, second = run(path), run(path, "api.budget.create_calls=9")
    assert (first.exit_code, first.items["in_doubt"]) == (4, 1)
    assert (second.exit_code, second.calls_this_run["create"]) == (1, 0)
