"""`bill` beside the sandbox's own statement: to the last call on a closed day, and every difference explained."""

import json
import logging
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.main import run as command_line
from pipeline.errors import PipelineError, SpecError
from pipeline.run.bill import Bill, make_bills
from pipeline.run.local import run_job
from pipeline.run.options import RunOptions
from tests.support.jobs import ACCOUNT, FaultPlan, job, started, vendor

RUN = RunOptions(environment=ACCOUNT)


class Ahead:
    """The clock of this machine, set forward by some days."""

    def __init__(self) -> None:
        self.days = 0

    def __call__(self) -> float:
        return time.time() + self.days * 86_400


def by_endpoint(bill: Bill) -> dict[str, list[int]]:
    """What we granted and what the vendor billed, over all days."""
    found: dict[str, list[int]] = {}
    for day in bill.days:
        for line in day.lines:
            sums = found.setdefault(line.endpoint, [0, 0])
            sums[0] += line.granted
            sums[1] += line.vendor_billed or 0
    return found


@pytest.mark.proofs
def test_bill_agrees_with_the_statement_of_a_closed_day_to_the_last_call(tmp_path: Path) -> None:
    """Two run directories of one account: the statement is of both, and so are our counts."""
    clock = Ahead()
    with vendor(tmp_path, clock=clock) as server:
        for name, pictures in (("a", 7), ("b", 4)):
            (tmp_path / name).mkdir()
            path = job(tmp_path / name, url=server.url, pictures=pictures)
            assert run_job(path, options=RUN).exit_code == 0
        early = make_bills(path, environment=ACCOUNT, now=clock)[0]
        assert [day.closed for day in early.days] == [False] * len(early.days)
        assert "not closed" in early.days[0].lines[0].said
        clock.days = 2
        for asked in (path, tmp_path / "a/runs/job"):
            bill = make_bills(asked, environment=ACCOUNT, now=clock)[0]
            assert by_endpoint(bill) == {"P009": [11, 11], "AI39-1": [11, 11]}
            assert {line.said for day in bill.days for line in day.lines} == {"agrees"}
            assert (bill.agrees, bill.not_noted, len(bill.runs)) == (True, {}, 2)


@pytest.mark.proofs
def test_lost_answers_and_refusals_are_told_apart_and_explain_the_difference(tmp_path: Path) -> None:
    clock = Ahead()
    faults = FaultPlan.parse("search:reset=0.1,search:67200100=0.1,create:lost=0.2,create:67200002=0.1", seed=3)
    with vendor(tmp_path, clock=clock, faults=faults) as server:
        path = job(tmp_path, url=server.url, pictures=40)
        summary = run_job(path, options=RUN)
        assert summary.items["in_doubt"] > 0
        clock.days = 2
        bill = make_bills(path, environment=ACCOUNT, now=clock)[0]
    lines = {line.endpoint: line for day in bill.days for line in day.lines}
    assert sum(line.sent for line in lines.values()) == sum(summary.calls_this_run.values())
    create = lines["AI39-1"]
    assert create.vendor_billed == server.stats.executed_creates
    assert (create.difference, create.unclear) == (summary.items["in_doubt"], summary.items["in_doubt"])
    assert f"{create.unclear} calls may have been executed, {create.unclear} of them in doubt" in create.said
    assert bill.agrees


@pytest.mark.proofs
def test_after_a_kill_the_bill_says_how_many_calls_may_be_missing(tmp_path: Path) -> None:
    clock = Ahead()
    with vendor(tmp_path, clock=clock) as server:
        path = job(tmp_path, url=server.url, pictures=300, api={"qps": 100})
        with started("run", path, cwd=tmp_path, **ACCOUNT) as process:
            while process.poll() is None and server.stats.calls("create") < 30:
                time.sleep(0.005)
            process.kill()
            process.wait()
        assert run_job(path, options=RUN).items["tasked"] > 250
        clock.days = 2
        bill = make_bills(path, environment=ACCOUNT, now=clock)[0]
    assert bill.not_noted
    ours = dict.fromkeys(("search", "create"), 0)
    for day in bill.days:
        for line in day.lines:
            ours["search" if line.endpoint == "P009" else "create"] += line.sent
    for kind, count in ours.items():
        assert count <= server.stats.calls(kind) <= count + bill.not_noted.get(kind, 0)
    assert bill.agrees


def test_account_with_a_key_alone_is_told_in_one_line_that_it_cannot_ask(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        with pytest.raises(SpecError) as refused:
            make_bills(path, environment={"PATSNAP_API_KEY": "sandbox-key"})[0]
        assert server.stats.calls("statement") == 0
    assert len(refused.value.lines) == 1
    assert "to a client id and secret alone, not to an API key" in refused.value.lines[0]


def test_run_that_sent_nothing_and_one_on_the_embedded_sandbox_have_no_bill(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        run_job(path, overrides=["api.budget.search_calls=0"], options=RUN)
        with pytest.raises(SpecError, match="no calls of this account are noted"):
            make_bills(path, environment=ACCOUNT)[0]
    path = job(tmp_path, url="sandbox", pictures=1)
    with pytest.raises(SpecError, match="ended with its run") as refused:
        make_bills(path, environment=ACCOUNT)[0]
    assert refused.value.args[0].endswith("run `pipeline sandbox`")  # a line that can be typed: bill takes no --set


@pytest.mark.proofs
@pytest.mark.parametrize("fault", ["statement:68300004=1", "statement:garbage=1", "statement:no_data=1", "denied"])
def test_no_failure_shows_the_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "canary%secret-9"
    account = {"PATSNAP_CLIENT_ID": "sandbox", "PATSNAP_CLIENT_SECRET": secret}
    plan = FaultPlan.parse("" if fault == "denied" else fault, seed=1)
    with vendor(tmp_path, client_secret=secret, faults=plan) as server:
        path = job(tmp_path, url=server.url, pictures=1, known=False)
        run_job(path, options=RunOptions(environment=account))
        if fault == "denied":
            account["PATSNAP_CLIENT_SECRET"] = secret = "canary%other-8"
        with pytest.raises(PipelineError) as caught:
            make_bills(path, environment=account)[0]
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + str(capsys.readouterr())
    shown += (tmp_path / "runs/job/run.log.jsonl").read_text()
    assert "canary" not in shown


def test_command_prints_a_table_and_json_and_exits_by_what_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    clock = Ahead()
    with vendor(tmp_path, clock=clock) as server:
        path = job(tmp_path, url=server.url, pictures=2)
        run_job(path, options=RUN)
        assert command_line(["bill", str(path)]) == 0
        assert "No day is closed yet" in capsys.readouterr().out
        clock.days = 2
        monkeypatch.setattr("pipeline.run.bill.closes_at", lambda day: 0.0)
        assert command_line(["bill", str(tmp_path / "runs/job"), "--json"]) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert (told["agrees"], told["days"][0]["closed"]) == (True, True)
