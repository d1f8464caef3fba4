"""Whole runs that end by themselves because going on would only cost money."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, RunSummary, run_job
from pipeline.cli.screen import Output, show_summary
from pipeline.errors import SpecError
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, started, vendor
from tests.support.lengths import only_short
from tests.support.pages import Page
from tests.support.processes import ended


def run(path: Path, *overrides: str, **options: Any) -> RunSummary:
    return run_job(path, overrides=overrides, options=RunOptions(environment=ACCOUNT, **options))


@contextmanager
def trouble(folder: Path, faults: str) -> Iterator[SandboxServer]:
    with vendor(folder, faults=FaultPlan.parse(faults)) as server:
        yield server


def nothing_lost(folder: Path, summary: RunSummary, pictures: int) -> None:
    """Check that every item is counted, and every task that exists is recorded or its item in doubt."""
    assert summary.items["settled"] + summary.items["open"] + summary.items["not_started"] == pictures
    created = {task.task_id for task in read_tasks(folder / "vendor")}
    known = {record["task"]["task_id"] for record in lines(folder / "runs/job/results.jsonl")}
    assert known <= created
    assert len(created - known) <= summary.items["in_doubt"]


@pytest.mark.proofs
def test_too_many_creates_in_doubt_stop_the_run(tmp_path: Path) -> None:
    with trouble(tmp_path, "create:http_502.after=0.5") as server:
        path = job(tmp_path, url=server.url, pictures=100, api={"max_in_flight": 4, "on_in_doubt": "hold"})
        summary = run(path)
    assert summary.exit_code == 3
    assert "creates are in doubt" in summary.exit_reason
    assert 20 <= summary.items["in_doubt"] <= 23  # what was in flight is still recorded
    nothing_lost(tmp_path, summary, 100)


@pytest.mark.parametrize(
    ("row", "exit_code", "searches"),
    [
        pytest.param("{search: fail, about_picture: true}", 1, 30, id="about the picture"),
        pytest.param("{search: fail}", 3, 10, id="about the job, for all that is known"),
    ],
)
def test_a_job_that_calls_a_new_code_one_about_pictures_goes_on_item_by_item(
    row: str, exit_code: int, searches: int, tmp_path: Path
) -> None:
    with trouble(tmp_path, "search:68300011=1") as server:
        path = job(tmp_path, url=server.url, pictures=30, api={"max_in_flight": 1})
        summary = run(path, f"api.errors={{68300011: {row}}}")
    assert summary.exit_code == exit_code
    assert summary.calls_this_run["search"] == searches
    assert summary.items["failed"] == searches
    page = Page(tmp_path / "runs/job/report.html")
    assert page.says("list another picture for it in") is (exit_code == 1)


@pytest.mark.proofs
def test_doubts_of_an_earlier_run_do_not_count(tmp_path: Path) -> None:
    with trouble(tmp_path, "create:lost@1-19") as server:
        path = job(tmp_path, url=server.url, pictures=40, api={"max_in_flight": 4})
        assert run(path, limit=19).items["in_doubt"] == 19
        assert run(path).exit_code == 1
    assert len(lines(tmp_path / "runs/job/results.jsonl")) == 21


@pytest.mark.proofs
def test_five_creates_in_a_row_without_a_task_id_stop_the_run(tmp_path: Path) -> None:
    with trouble(tmp_path, "create:no_data@4-40") as server:
        path = job(tmp_path, url=server.url, pictures=40, api={"max_in_flight": 2})
        summary = run(path)
    assert summary.exit_code == 3
    assert "without a task id" in summary.exit_reason
    assert 5 <= summary.items["in_doubt"] <= 6
    nothing_lost(tmp_path, summary, 40)


def test_a_redirected_create_is_in_doubt_and_the_run_stops(tmp_path: Path) -> None:
    with trouble(tmp_path, "create:redirect@3") as server:
        path = job(tmp_path, url=server.url, pictures=20, api={"max_in_flight": 1})
        summary = run(path)
        assert server.stats.calls("redirected") == 0
        assert server.stats.calls("create") == 3
    assert summary.exit_code == 3
    assert "redirect" in summary.exit_reason
    assert (summary.items["tasked"], summary.items["in_doubt"], summary.items["not_started"]) == (2, 1, 17)


def test_a_redirected_search_stops_the_run_and_fails_no_item(tmp_path: Path) -> None:
    with trouble(tmp_path, "search:redirect=1") as server:
        summary = run(job(tmp_path, url=server.url, pictures=5, api={"max_in_flight": 1}))
    assert (summary.exit_code, summary.items["open"], summary.items["not_started"]) == (3, 0, 5)


@pytest.mark.proofs
def test_codes_that_nobody_knows_stop_the_run(tmp_path: Path) -> None:
    with trouble(tmp_path, "search:68300099=1") as server:
        summary = run(job(tmp_path, url=server.url, pictures=30, api={"max_in_flight": 1}))
        assert server.stats.calls("search") == 5
    assert summary.exit_code == 3
    assert "68300099" in summary.exit_reason
    assert "api.errors" in summary.exit_reason


@pytest.mark.proofs
def test_a_job_that_explains_the_code_goes_on(tmp_path: Path) -> None:
    with trouble(tmp_path, "search:68300099@1-8") as server:
        path = job(
            tmp_path, url=server.url, pictures=20, api={"errors": {"68300099": {"search": "retry", "attempts": 10}}}
        )
        summary = run(path, "api.errors.68300099.base_s=0")
    assert (summary.exit_code, summary.items["tasked"]) == (0, 20)


@pytest.mark.proofs
@pytest.mark.parametrize("meter", only_short(["balance", "daily_limit"], "balance"))
def test_a_slow_refusal_for_money_is_followed_by_no_call_that_was_not_sent_before(tmp_path: Path, meter: str) -> None:
    """Twelve calls are in flight, and none more can be, until the first refusal is answered; then none follows.

    tests/calls/test_client_pauses.py shows the same for calls that wait for their permit, in virtual time.
    """
    with vendor(tmp_path, latency_s=1.0, **{meter: 0}) as server:
        path = job(tmp_path, url=server.url, pictures=300, api={"max_in_flight": 12})
        summary = run(path)
        assert 0 < server.stats.calls("search") <= 12
        assert server.stats.calls("create") == 0
        assert summary.calls_this_run["search"] == server.stats.calls("search")
    assert (summary.exit_code, summary.items["not_started"]) == (4, 300)


def test_waiting_for_the_quota_needs_to_know_until_when(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"api\.quota_resets_at"):
        run(job(tmp_path, url="https://connect.example.com", pictures=1), wait_quota=True)
    assert not (tmp_path / "runs").exists()


@pytest.mark.proofs
def test_ctrl_c_ends_the_wait_for_the_quota_at_once(tmp_path: Path) -> None:
    """With a drain of an hour, so that a wait that went on would be seen."""
    with vendor(tmp_path, daily_limit=5) as server:
        api = {"quota_resets_at": "23:59", "drain_s": 3600, "max_in_flight": 4}
        path = job(tmp_path, url=server.url, pictures=20, api=api)
        with started("run", path, "--wait-quota", cwd=tmp_path, **ACCOUNT) as process:
            assert process.stderr is not None
            assert any("nothing is sent until " in line for line in process.stderr)  # reads up to that line
            process.send_signal(signal.SIGINT)
            ended(process)
    assert process.returncode == 130
    summary = json.loads((tmp_path / "runs/job/summary.json").read_text())
    assert summary["items"]["settled"] + summary["items"]["not_started"] == 20


def test_a_share_of_too_few_calls_is_refused_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="less than one"):
        run(job(tmp_path, url="https://connect.example.com", pictures=1, api={"qps": 1}), share=0.5)
    assert not (tmp_path / "runs").exists()


@pytest.mark.proofs
def test_changed_rows_of_the_error_table_are_operational(tmp_path: Path) -> None:
    """They apply to the same run directory without a question, and are written down in the job as run."""
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2)
        assert run(path, limit=1).exit_code == 1  # the other item waits
        assert run(path, "api.errors={http_503: {search: fail}}").exit_code == 0
    assert "http_503" in (tmp_path / "runs/job/spec.yaml").read_text()
    assert json.loads((tmp_path / "runs/job/summary.json").read_text())["items"]["tasked"] == 2


@pytest.mark.proofs
@pytest.mark.parametrize("other", ["P060-beta", "P009-V2"])
def test_an_account_without_the_endpoint_is_told_which_do_the_same_job_and_the_line_to_write(
    tmp_path: Path, other: str
) -> None:
    with vendor(tmp_path, denied=frozenset({"P009", "P060"})) as server:
        path = job(tmp_path, url=server.url, pictures=5, known=False)
        denied = run(path)
        assert server.stats.calls("search") == 1
        allowed = run(path, f"search.endpoint={other}", accept_changes=True)
    assert denied.exit_code == 3
    assert denied.items["not_started"] == 5
    assert "P060-beta, P060 and P009-V2 can do the same job as P009" in denied.exit_reason
    assert (
        "write `search: {endpoint: P060-beta}` in the job file, and run it with --accept-changes" in denied.exit_reason
    )
    assert (allowed.exit_code, allowed.items["settled"]) == (0, 5)


def test_an_account_that_may_open_no_tasks_ends_after_one_search_and_is_told_to_search_alone(tmp_path: Path) -> None:
    """The one search is not lost: with the line that is told it becomes a record, and is not paid again."""
    with vendor(tmp_path, denied=frozenset({"AI39-1"})) as server:
        path = job(tmp_path, url=server.url, pictures=5, known=False)
        denied = run(path)
        allowed = run(path, "task.enabled=false", accept_changes=True)
    assert (denied.exit_code, denied.calls_this_run) == (3, {"upload": 0, "search": 1, "create": 1})
    assert "AI39-1" in denied.exit_reason
    assert "`task: {enabled: false}` in the job file, and run it with --accept-changes" in denied.exit_reason
    assert (allowed.exit_code, allowed.calls_this_run["search"], allowed.items["searched"]) == (0, 4, 5)


@pytest.mark.proofs
def test_an_answer_is_waited_for_as_long_as_the_job_says(tmp_path: Path) -> None:
    with trouble(tmp_path, "search:hang=1") as server:
        path = job(tmp_path, url=server.url, pictures=1, api={"errors": {"no_answer": {"search": "fail"}}})
        summary = run(path, "api.timeout_s={search: 1}")
    assert summary.items["failed"] == 1
    assert "no whole answer in 1 s" in summary.exit_reason


@pytest.mark.proofs
def test_units_that_the_vendor_does_not_say_are_not_called_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path, omit_headers=("x-openapi-amount",)) as server:
        path = job(tmp_path, url=server.url, pictures=2)
        first = run(path, limit=1)
        summary = run(path)
    assert (first.units_said.of, summary.units_said.by, summary.units_said.of) == (2, 0, 4)
    assert summary.billed.startswith("units billed: not said by 127.0.0.1:")
    assert summary.billed in (tmp_path / "runs/job/report.html").read_text()
    show_summary(summary, Output())
    assert summary.billed in capsys.readouterr().out


@pytest.mark.proofs
@pytest.mark.parametrize("shape", only_short(["no_hits", "null_hits", "absent_hits", "empty_hits"], "no_hits"))
def test_sixty_pictures_without_hits_are_settled_by_one_search_each(tmp_path: Path, shape: str) -> None:
    with trouble(tmp_path, f"search:{shape}=1") as server:
        summary = run(job(tmp_path, url=server.url, pictures=60))
    assert (summary.exit_code, summary.items["no_hits"]) == (0, 60)
    assert summary.calls_this_run["search"] == 60


@pytest.mark.proofs
@pytest.mark.parametrize(("fault", "tasked"), [("blank_task_id", 0), ("same_task_id", 1)])
def test_task_ids_that_are_none_or_another_items_stop_the_run_with_its_doubts(
    tmp_path: Path, fault: str, tasked: int
) -> None:
    with trouble(tmp_path, f"create:{fault}=1") as server:
        summary = run(job(tmp_path, url=server.url, pictures=30, api={"max_in_flight": 1}))
    assert summary.exit_code == 3
    assert "without a task id of their own" in summary.exit_reason
    assert (summary.items["tasked"], summary.items["in_doubt"]) == (tasked, 5)
