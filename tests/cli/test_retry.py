"""`pipeline retry`: pays for exactly the items it names, and says how many before it does."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, RunSummary, run_job
from pipeline.cli import main as cli
from pipeline.journal.storage import connect
from pipeline.models import State
from pipeline.run.load import Job
from pipeline.run.local import LocalExecutor
from pipeline.sandbox.resources import resource
from pipeline.sandbox.tasks import read_tasks
from tests.support.fakes import assert_index_matches, assert_settled_once, states
from tests.support.jobs import ACCOUNT, FaultPlan, drawings, job, lines, vendor
from tests.support.lengths import only_short
from tests.support.terminal import on_a_terminal
from tests.support.told import faults_in

REFUSED = FaultPlan.scripted({"search": ["68300010", "68300010", "68300004"]})


def run(path: Path, *overrides: str, **options: Any) -> RunSummary:
    return run_job(path, overrides=overrides, options=RunOptions(environment=ACCOUNT, **options))


def retry(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = cli.run(["retry", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)


def test_exactly_the_refused_items_of_a_code_are_paid_for_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path, faults=REFUSED) as server:
        path = job(tmp_path, url=server.url, pictures=6, api={"max_in_flight": 1})
        assert run(path, limit=4).items["failed"] == 3
        before = server.stats.calls("search"), server.stats.calls("create")
        code, out, err = retry(capsys, tmp_path / "runs/job", "--only", "failed", "--code", "68300010", "--json", "-q")
        after = server.stats.calls("search"), server.stats.calls("create")
    assert "2 items that are failed with 68300010 are tried again with 4 calls (0 upload, 2 search, 2 create)" in err
    assert err.rstrip().endswith("which the account pays for: P0000, P0001.")
    assert (after[0] - before[0], after[1] - before[1]) == (2, 2)
    summary = json.loads(out)
    assert summary["calls_this_run"] == {"upload": 0, "search": 2, "create": 2}
    assert (summary["items"]["tasked"], summary["items"]["failed"], summary["items"]["not_started"]) == (3, 1, 2)
    assert code == summary["exit_code"] == 1
    assert [record["item"] for record in lines(tmp_path / "runs/job/open.jsonl")] == ["P0002"]
    assert_index_matches(tmp_path / "runs/job")
    assert_settled_once(tmp_path / "runs/job")


@pytest.mark.proofs
def test_limit_takes_the_first_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with vendor(tmp_path, faults=REFUSED) as server:
        run(job(tmp_path, url=server.url, pictures=3, api={"max_in_flight": 1}))
        _, _, err = retry(capsys, tmp_path / "runs/job", "--only", "failed", "--limit", "1", "--quiet")
    assert err.startswith("1 item that is failed is tried again with 2 calls ")
    assert states(tmp_path / "runs/job") == {"P0000": State.TASKED, "P0001": State.FAILED, "P0002": State.FAILED}


@pytest.mark.proofs
def test_a_search_that_is_paid_is_not_paid_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["68300004"]})) as server:
        run(job(tmp_path, url=server.url, pictures=1))
        code, out, err = retry(capsys, tmp_path / "runs/job", "--only", "failed", "--json", "-q")
    assert code == 0
    assert "1 call (0 upload, 0 search, 1 create)" in err
    assert json.loads(out)["calls_this_run"] == {"upload": 0, "search": 0, "create": 1}


def test_in_doubt_items_are_created_once_more_by_a_persons_decision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["lost", "lost", "ok", "lost"]})) as server:
        run(job(tmp_path, url=server.url, pictures=3, api={"max_in_flight": 1}))
        code, out, err = retry(capsys, tmp_path / "runs/job", "--only", "in-doubt", "--json", "-q")
    assert "Each of them may be paid twice." in err
    assert json.loads(out)["calls_this_run"]["create"] == 2  # the one that is lost again is not sent a third time
    assert (code, json.loads(out)["items"]["in_doubt"]) == (1, 1)
    assert sorted(Counter(task.urls[0] for task in read_tasks(tmp_path / "vendor")).values()) == [1, 2, 2]
    journal = connect(tmp_path / "runs/job/journal.sqlite")
    assert journal.execute("SELECT decision FROM decisions").fetchall() == [("retry",)] * 2
    journal.close()


@pytest.mark.proofs
def test_a_retry_that_cannot_go_on_leaves_what_it_did_not_reach_in_doubt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["lost"] * 3 + ["67200005"]})) as server:
        run(job(tmp_path, url=server.url, pictures=3, api={"max_in_flight": 1}))
        code, _, _ = retry(capsys, tmp_path / "runs/job", "--only", "in-doubt", "-q")
    assert code == 4
    assert set(states(tmp_path / "runs/job").values()) == {State.IN_DOUBT}


@pytest.mark.proofs
def test_the_job_file_and_its_list_are_not_needed_but_the_pictures_and_the_account_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run directory lies elsewhere; local pictures and `.env` are found where the job file lay."""
    monkeypatch.delenv("PATSNAP_CLIENT_ID")
    monkeypatch.delenv("PATSNAP_CLIENT_SECRET")
    home = tmp_path / "jobs"
    home.mkdir()
    (home / ".env").write_text("PATSNAP_API_KEY=sandbox-key\n")
    shutil.copy(resource("products") / "mug-0.jpg", home / "a.jpg")
    images = [{"id": "A", "path": "a.jpg"}]
    with vendor(tmp_path, faults=FaultPlan.scripted({"upload": ["68300010"]})) as server:
        path = job(home, url=server.url, images=images, output={"dir": str(tmp_path / "results")})
        assert run_job(path, options=RunOptions(environment={})).items["failed"] == 1
        path.unlink()
        (home / "list.csv").unlink()
        monkeypatch.chdir(tmp_path)
        code, _, err = retry(capsys, "results/job", "--only", "failed", "-q")
    assert (code, states(tmp_path / "results/job")) == (0, {"A": State.TASKED}), err
    assert "3 calls (1 upload, 1 search, 1 create)" in err


def test_a_run_that_does_not_know_its_jobs_folder_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path, faults=REFUSED) as server:
        run(job(tmp_path, url=server.url, pictures=1))
    journal = connect(tmp_path / "runs/job/journal.sqlite")
    journal.execute("UPDATE meta SET value = ? WHERE key = 'job_folder'", (str(tmp_path / "moved"),))
    assert "is gone" in retry(capsys, tmp_path / "runs/job", "--only", "failed")[2]
    journal.execute("DELETE FROM meta WHERE key = 'job_folder'")
    journal.close()
    code, _, err = retry(capsys, tmp_path / "runs/job", "--only", "failed")
    assert (code, len(faults_in(err))) == (2, 1)
    assert "`pipeline run` that job file once" in err


def test_rows_that_name_no_picture_and_pictures_that_may_not_be_uploaded_are_never_paid_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path) as server:
        run(job(tmp_path, url=server.url, pictures=["ftp://nowhere", *drawings(1)]))
        code, _, err = retry(capsys, tmp_path / "runs/job", "--only", "failed")
    assert (code, "nothing was sent" in err) == (0, True)


@pytest.mark.proofs
def test_items_with_the_same_picture_follow_the_one_that_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = drawings(1)[0]
    with vendor(tmp_path, faults=FaultPlan.scripted({"search": ["68300010"]})) as server:
        run(job(tmp_path, url=server.url, pictures=[url, url]))
        code, out, err = retry(capsys, tmp_path / "runs/job", "--only", "failed", "--json", "-q")
    assert err.startswith("1 item that is failed is tried again with 2 calls ")
    assert (code, json.loads(out)["calls_this_run"]["search"]) == (0, 1)
    assert states(tmp_path / "runs/job") == {"P0000": State.TASKED, "P0001": State.TASKED}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["runs/job", "--only", "tasked"], "allowed: failed, in-doubt, expired", id="no such state"),
        pytest.param(["runs/job"], "--only", id="without --only"),
        pytest.param(["nowhere", "--only", "failed"], "no run here", id="no run"),
    ],
)
def test_bad_usage_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, _, err = retry(capsys, *arguments)
    assert (code, len(faults_in(err))) == (2, 1)
    assert said in err


@pytest.mark.proofs
def test_on_a_terminal_it_asks_and_a_no_sends_nothing(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=REFUSED) as server:
        run(job(tmp_path, url=server.url, pictures=3, api={"max_in_flight": 1}))
        before = server.stats.calls("search")
        code, said = on_a_terminal(["retry", "runs/job", "--only", "failed"], answer="n\n", cwd=tmp_path)
        assert server.stats.calls("search") == before
        yes, _ = on_a_terminal(["retry", "runs/job", "--only", "failed", "--yes"], answer="", cwd=tmp_path)
    assert code == 2
    assert "3 items" in said
    assert "Go on? [y/N]" in said
    assert yes == 0


def test_a_spec_as_run_that_is_gone_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with vendor(tmp_path) as server:
        run(job(tmp_path, url=server.url, pictures=1))
    (tmp_path / "runs/job/spec.yaml").unlink()
    code, _, err = retry(capsys, tmp_path / "runs/job", "--only", "failed")
    assert (code, "run the job once more" in err) == (2, True)


@pytest.mark.proofs
def test_a_budget_is_raised_for_a_retry_that_reads_no_job_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run directory's own spec counts for a retry: editing the job file would do nothing."""
    budget = {"max_in_flight": 1, "budget": {"search_calls": 3}}
    with vendor(tmp_path, faults=REFUSED) as server:
        run(job(tmp_path, url=server.url, pictures=3, api=budget))
        arguments = tmp_path / "runs/job", "--only", "failed", "-q", "--set", "api.budget.search_calls=6"
        code, _, err = retry(capsys, *arguments)
    assert (code, set(states(tmp_path / "runs/job").values())) == (0, {State.TASKED}), err


@pytest.mark.proofs
def test_a_retry_whose_budget_is_used_up_says_what_to_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    budget = {"max_in_flight": 1, "budget": {"search_calls": 3}}
    with vendor(tmp_path, faults=REFUSED) as server:
        run(job(tmp_path, url=server.url, pictures=3, api=budget))
        here = tmp_path / "runs/job", "--only", "failed", "-q"
        code, _, err = retry(capsys, *here)
        assert code == 4
        [advised] = re.findall(r"raise it with --set (api\.budget\.search_calls)=N \(for", err)
        assert retry(capsys, *here, "--set", f"{advised}=6")[0] == 0
    assert set(states(tmp_path / "runs/job").values()) == {State.TASKED}


@pytest.mark.parametrize(
    "key", only_short(["search.limit=3", "api.base_url=sandbox", "api={qps: 3}", "task.enabled=false", "x"], "x")
)
def test_a_retry_asks_what_was_asked_before_and_the_same_vendor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    with vendor(tmp_path, faults=REFUSED) as server:
        run(job(tmp_path, url=server.url, pictures=1))
        before = server.stats.calls("search")
        code, _, err = retry(capsys, tmp_path / "runs/job", "--only", "failed", "--set", key)
        assert server.stats.calls("search") == before
    assert (code, len(faults_in(err))) == (2, 1)
    assert "only keys of api but base_url, rehearse and account can be set here" in err


@pytest.mark.proofs
def test_a_retry_takes_part_waits_for_the_account_and_for_the_day_as_a_run_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[RunOptions] = []
    run_local = LocalExecutor.run

    def seen(executor: LocalExecutor, loaded: Job, options: RunOptions) -> RunSummary:
        taken.append(options)
        return run_local(executor, loaded, options)

    monkeypatch.setattr(LocalExecutor, "run", seen)
    resets = 'api.quota_resets_at="00:00"'
    with vendor(tmp_path, faults=FaultPlan.scripted({"search": ["68300010"]})) as server:
        run(job(tmp_path, url=server.url, pictures=1))
        here = tmp_path / "runs/job", "--only", "failed", "-q", "--share", "0.5", "--busy", "wait", "--wait-quota"
        code, _, err = retry(capsys, *here)
        assert (code, "api.quota_resets_at" in err) == (2, True)
        code, _, err = retry(capsys, *here, "--set", resets)
    assert code == 0, err
    assert (taken[-1].share, taken[-1].busy, taken[-1].wait_quota) == (0.5, "wait", True)


@pytest.mark.proofs
def test_at_most_five_of_many_items_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"search": ["68300010"] * 7})) as server:
        run(job(tmp_path, url=server.url, pictures=7, api={"max_in_flight": 1}))
        _, _, err = retry(capsys, tmp_path / "runs/job", "--only", "failed", "-q")
    assert err.startswith("7 items that are failed are tried again with 14 calls ")
    assert err.rstrip().endswith(": P0000, P0001, P0002, P0003, P0004 and 2 more.")


# --- a retry that is cut short: what it did not come to is as it was ---


@pytest.mark.proofs
def test_a_wrong_secret_leaves_refused_items_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with vendor(tmp_path, faults=REFUSED) as server:
        path = job(tmp_path, url=server.url, pictures=4, api={"max_in_flight": 1})
        run(path)
        before = (tmp_path / "runs/job/open.jsonl").read_bytes(), states(tmp_path / "runs/job")
        monkeypatch.setenv("PATSNAP_CLIENT_SECRET", "not-the-secret")
        assert retry(capsys, tmp_path / "runs/job", "--only", "failed", "-q")[0] == 3
        assert ((tmp_path / "runs/job/open.jsonl").read_bytes(), states(tmp_path / "runs/job")) == before
        summary = run(path)
    assert summary.calls_this_run == {"upload": 0, "search": 0, "create": 0}
    assert summary.items["failed"] == 3


@pytest.mark.proofs
def test_a_budget_that_is_used_up_leaves_the_rest_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path, faults=REFUSED) as server:
        path = job(tmp_path, url=server.url, pictures=3, api={"max_in_flight": 1, "budget": {"search_calls": 4}})
        run(path)
        assert retry(capsys, tmp_path / "runs/job", "--only", "failed", "-q")[0] == 4
        summary = run(path, "api.budget.search_calls=99")
    assert states(tmp_path / "runs/job") == {"P0000": State.TASKED, "P0001": State.FAILED, "P0002": State.FAILED}
    assert summary.calls_this_run["search"] == 0
