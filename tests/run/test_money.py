"""Money of a whole run: one amount in plan, summary, status and page, and a cap that holds over kills."""

import json
import os
import time
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.cli.main import run as command_line
from pipeline.offline.plan import plan_job
from pipeline.offline.status import read_status
from pipeline.run.local import run_job
from pipeline.run.options import RunOptions
from tests.support.jobs import ACCOUNT, FaultPlan, job, started, vendor
from tests.support.pages import Page

PRICES = {"P009": 0.2, "AI39-1": 1.5, "P010": 0}
RUN = RunOptions(environment=ACCOUNT)


def spent_at(calls: dict[str, int]) -> Decimal:
    return calls.get("search", 0) * Decimal("0.2") + calls.get("create", 0) * Decimal("1.5")


def test_plan_run_summary_status_and_page_name_one_amount(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=6, prices=PRICES, currency="CNY")
        plan = plan_job(path)
        summary = run_job(path, options=RUN)
    assert str(plan.cost) == "10.20 CNY"
    assert str(summary.money) == "10.20 CNY spent"
    run = tmp_path / "runs/job"
    kept = json.loads((run / "summary.json").read_text())["money"]
    assert kept == {
        "currency": "CNY",
        "spent": "10.2",
        "unknown": "0",
        "budget": None,
        "by": {"P009": "1.2", "AI39-1": "9.0"},
        "unpriced": [],
    }
    assert str(read_status(run).money) == "10.20 CNY spent"
    assert Page(run / "report.html").run["money"] == "10.20 CNY spent"


def test_what_has_no_price_is_said_to_have_none(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2, prices={"P009": 0.2})
        assert str(plan_job(path).cost) == "0.40 (AI39-1 has no price)"
        assert str(run_job(path, options=RUN).money) == "0.40 spent (AI39-1 has no price)"


@pytest.mark.proofs
def test_job_without_prices_speaks_of_no_money(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=2)
        assert plan_job(path).cost is None
        assert run_job(path, options=RUN).money is None
    assert read_status(tmp_path / "runs/job").money is None
    assert command_line(["status", str(path)]) == 0
    assert "money" not in capsys.readouterr().out


def test_cap_of_money_ends_the_run_as_other_budgets_do_and_a_higher_one_goes_on(tmp_path: Path) -> None:
    """Six items cost 1.7 each: for 5 two are made of them whole, and nothing is searched that gets no task."""
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=6, prices=PRICES, api={"budget": {"money": 5}})
        plan = plan_job(path)
        summary = run_job(path, options=RUN)
        assert (summary.exit_code, summary.ended_by, summary.items["tasked"]) == (4, "budget", 2)
        assert "api.budget.money is 5, of which 1.6 is left, too little for another item" in summary.exit_reason
        assert (plan.calls, plan.left_out) == (summary.calls_this_run, 4)
        assert "api.budget.money is 5" in plan.budget
        assert str(summary.money) == "3.40 of 5.00 spent"
        summary = run_job(path, overrides=["api.budget.money=10.2"], options=RUN)
        assert (summary.exit_code, summary.items["tasked"]) == (0, 6)


@pytest.mark.proofs
def test_cap_of_money_holds_over_kills_and_retries(tmp_path: Path) -> None:
    """The vendor's own count of calls that reached it, after each of six kills and at the end, never costs more."""
    faults = FaultPlan.parse("search:67200100=0.2,search:reset=0.05,create:67200002=0.1", seed=7)
    with vendor(tmp_path, faults=faults) as server:
        path = job(tmp_path, url=server.url, pictures=200, prices=PRICES, api={"budget": {"money": 150}})

        def spent() -> Decimal:
            return spent_at({kind: server.stats.calls(kind) for kind in ("search", "create")})

        for kill in range(6):
            with started("run", path, cwd=tmp_path, **ACCOUNT) as process:
                goal = spent() + 12
                while process.poll() is None and spent() < goal:
                    time.sleep(0.005)
                process.kill()
                process.wait()
            assert spent() <= 150, f"after kill {kill + 1}"
        summary = run_job(path, options=RunOptions(environment={**os.environ, **ACCOUNT}))
        assert summary.ended_by == "budget"
        assert spent() <= 150
        # How much of it the kills left unknown depends on their moments; what is counted comes up to the cap.
        assert summary.money is not None
        assert summary.money.spent + summary.money.unknown > 150 - spent_at({"search": 1, "create": 1})
        assert spent() <= summary.money.spent + summary.money.unknown <= 150
