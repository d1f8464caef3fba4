"""The next step about an open item: one answer, whoever asks, and one that changes something."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import Code
from pipeline.job.api import ApiSpec
from pipeline.models import Problem, State
from pipeline.offline.status import read_status
from pipeline.results.advice import about_not_started, todo_for
from pipeline.run.local import run_job
from pipeline.run.options import RunOptions
from tests.support.fakes import item, work_of
from tests.support.jobs import ACCOUNT, FaultPlan, drawings, job, lines, vendor
from tests.support.pages import Page

RUN = Path("runs/my job")


def todo(
    state: State,
    code: str,
    *,
    stage: str = "search",
    retryable: bool = False,
    consequence: str = "fail",
    origin: str = "p.csv:3",
    run: Path = RUN,
    **work: Any,
) -> str:
    problem = Problem(stage, code, "it went wrong", consequence, retryable)
    one = work_of(1, item=item(1, origin=origin), **work)
    return todo_for(one, state, problem, run=run, about_picture=ApiSpec().is_about_picture)


@pytest.mark.parametrize(
    ("code", "stage", "told"),
    [
        (Code.BAD_ROW, "read", "correct line 3 of p.csv"),
        (Code.ID_TWICE, "read", "give the item in line 3 of p.csv an id of its own"),
        (Code.PICTURE, "read", "mend or replace"),
        (Code.NOT_PUBLIC, "read", "`upload: {public: true}`"),
        ("past_the_end", "search", "lower search.filters.offset in the job file and run it with --accept-changes"),
        ("68300010", "upload", "list another picture for it in line 3 of p.csv (the id may stay)"),
        ("68300004", "search", "check the job's settings"),
    ],
)
def test_a_failure_has_advice_of_its_own_and_a_slip_in_a_list_is_no_matter_for_the_vendor(
    code: str, stage: str, told: str
) -> None:
    said = todo(State.FAILED, code, stage=stage)
    assert told in said
    assert ("ask the vendor" in said) is (code == "68300004")
    assert "pay for it once more" not in said or "pipeline retry 'runs/my job' --only failed --code 68300004" in said


@pytest.mark.parametrize("ended_by", ["", Code.BUDGET, Code.QUOTA, "67200005", "67200006", "no_answer"])
@pytest.mark.parametrize(
    ("command", "says"), [("run", "un the same job again: it"), ("work", "`pipeline work` the job file: it")]
)
def test_items_that_were_not_started_are_gone_on_with_by_the_command_of_their_run(
    ended_by: str, command: str, says: str
) -> None:
    assert says in about_not_started(ended_by, daily=ended_by in ("67200006", Code.QUOTA), command=command)


@pytest.mark.parametrize("place", ["", "shards/0001/e2"])
def test_a_run_that_machines_share_goes_on_by_work_and_is_named_as_a_whole(place: str, tmp_path: Path) -> None:
    """Whoever asks: its shards, whose run directories no command takes, or those who look at all of them."""
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / "split.json").write_text("{}")
    states = [(State.FAILED, Code.PICTURE), (State.FAILED, "68300010"), (State.FAILED, "68300004"), (State.EXPIRED, "")]
    said = [todo(state, code, run=tmp_path / place) for state, code in states]
    said += [todo(State.IN_DOUBT, "x", run=tmp_path / place, repeats=True)]
    said += [todo(State.FAILED, Code.PICTURE, run=tmp_path / place, listed=False)]
    assert all(f"pipeline retry {tmp_path} --only " in one for one in said[:4]), said
    assert not any("pipeline run" in one or "then `pipeline work`" in one for one in said[:5]), said
    assert f"pipeline resolve {tmp_path} --created" in said[4]
    waits = todo(State.REPORT_FAILED, "no_answer", run=tmp_path / place, consequence="retry")
    assert waits.startswith(f"`pipeline collect {tmp_path}` before the task expires: it asks for the report")
    assert "shards/" not in "".join(said)


@pytest.mark.parametrize("place", ["reports", "shards/0001/e2/reports"])
def test_a_report_that_was_collected_for_a_shard_names_the_run_and_no_command_that_is_refused(
    place: str, tmp_path: Path
) -> None:
    """`retry` pays for no task anew whose report was collected in a run that is split."""
    run = tmp_path / place
    if place != "reports":  # which is not there: it stands for those of all shards
        run.mkdir(parents=True)
        run.with_name("journal.sqlite").touch()
    (tmp_path / "split.json").write_text("{}")
    lost, failed = (todo(state, "x", run=run) for state in (State.REPORT_LOST, State.REPORT_FAILED))
    waits = todo(State.REPORT_FAILED, "x", run=run, consequence="retry")
    assert f"`pipeline collect {tmp_path}` before the task expires" in waits
    assert lost.startswith("to pay for a search and a task of it anew, list https://cdn.example/1.jpg in a job that is")
    assert failed.startswith("ask the vendor why the task failed")
    assert "pipeline" not in lost + failed


@pytest.mark.parametrize("code", ["hits_missing", "no_data"])
def test_an_answer_that_breaks_the_contract_is_asked_for_again_and_then_the_vendor(code: str) -> None:
    assert "ask the vendor" in todo(State.FAILED, code, retryable=True)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (Code.TASK_TWICE, "the one it named is another item's"),
        ("no_task_id", "its answer named none"),
        ("no_answer", "ask the vendor whether its task exists"),
    ],
)
def test_a_doubt_says_what_to_ask_the_vendor_and_what_to_type_then(code: str, told: str) -> None:
    said = todo(State.IN_DOUBT, code, stage="create")
    assert told in said
    for option in ("--created SKU-1 TASK", "--not-created SKU-1", "--retry SKU-1"):
        assert f"`pipeline resolve 'runs/my job' {option}`" in said


def test_an_open_item_that_is_listed_no_longer_is_to_be_listed_again_first() -> None:
    for state, code in ((State.FAILED, "68300004"), (State.EXPIRED, Code.EXPIRED)):
        said = todo(state, code, listed=False)
        assert said.startswith("the job lists it no longer")
        assert "list https://cdn.example/1.jpg again with the id SKU-1, then `pipeline run`" in said
    assert "only when https://cdn.example/1.jpg is listed again" in todo(State.IN_DOUBT, "no_answer", listed=False)


def test_a_doubt_that_the_job_repeats_says_so_first_and_how_to_decide_before_that() -> None:
    said = todo(State.IN_DOUBT, "no_answer", repeats=True)
    assert said.startswith("`pipeline run` creates it once more and may pay twice (api.on_in_doubt)")
    assert "--not-created SKU-1" in said


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        ("a:b.csv:12", "line 12 of a:b.csv"),
        ("images[3]", "images[3] of the job file"),
        ("p.xlsx:Spring 2026!12", "row 12 of the sheet 'Spring 2026' in p.xlsx"),
        ("stdin:4", "line 4 of 'runs/my job'/stdin.txt (the run goes on with this copy of the list)"),
    ],
)
def test_the_place_is_where_the_item_is_listed(origin: str, place: str) -> None:
    assert place in todo(State.FAILED, Code.BAD_ROW, stage="read", origin=origin)


def test_status_the_open_lines_the_page_and_the_last_line_of_a_run_give_the_same_advice(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"search": ["68300004"], "create": ["lost"]})) as server:
        path = job(tmp_path, url=server.url, pictures=[*drawings(3), "oops"], api={"max_in_flight": 1})
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
    folder = tmp_path / "runs/job"
    told = [line["todo"] for line in lines(folder / "open.jsonl")]
    assert len(told) == summary.items["open"] == 3
    assert [line.partition(" To do: ")[2] for line in read_status(folder).open_items] == told
    assert f"; to do: {told[0]};" in summary.exit_reason
    page = Page(folder / "report.html")
    assert sorted(one.rest["e"][1] for one in page.products if "e" in one.rest) == sorted(told)


def test_after_a_budget_nobody_says_run_again_and_after_a_refused_run_its_end_is_that_of_the_last(
    tmp_path: Path,
) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=4, api={"budget": {"search_calls": 2}})
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
        folder = tmp_path / "runs/job"
        assert (summary.ended_by, json.loads((folder / "summary.json").read_text())["ended_by"]) == ("budget",) * 2
        assert read_status(folder).not_started.startswith("Raise the budget that is used up")
        assert "budget" in [kind for kind, *_ in Page(folder / "report.html").run["steps"]]
        with pytest.raises(Exception, match="asked something else"):
            run_job(path, overrides=["search.limit=9"], options=RunOptions(environment=ACCOUNT))
    assert "the budget is used up" in read_status(folder).now
