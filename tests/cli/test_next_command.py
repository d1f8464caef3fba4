"""The line to type after a run that did not settle everything: typed, it does what it promises."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli.main import run
from pipeline.cli.next_command import next_command
from pipeline.errors import Code
from pipeline.models import Kind, State
from pipeline.results.record import RecordLines
from pipeline.results.summary import Figures, build_summary, item_counts
from pipeline.sandbox.server import SandboxServer
from tests.support.fakes import job as spec
from tests.support.jobs import ACCOUNT, drawings, job, vendor


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxServer]:
    """A vendor, for a command line whose current folder is the test's own."""
    monkeypatch.chdir(tmp_path)
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    with vendor(tmp_path) as server:
        yield server


def following(capsys: pytest.CaptureFixture[str], *arguments: object, code: int) -> str:
    """The line to type that a command ends with; "" when it names none."""
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == code
    named = [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines() if line.startswith("next: ")]
    assert len(named) <= 1
    return named[0] if named else ""


@pytest.mark.proofs
def test_after_a_budget_the_next_line_raises_it_by_what_is_left_and_settles_everything(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=drawings(3))
    budgets = [word for kind in ("search", "create") for word in ("--set", f"api.budget.{kind}_calls=1")]
    command = following(capsys, "run", "job.yaml", *budgets, code=4)
    program, *arguments = shlex.split(command)
    assert (program, arguments[:2]) == ("pipeline", ["run", "job.yaml"])
    assert run(arguments) == 0
    assert server.stats.calls("search") == server.stats.calls("create") == 3


@pytest.mark.proofs
@pytest.mark.parametrize("depth", [100, 300])
@pytest.mark.parametrize("budget", ["money=4", "search_calls=4"])
def test_after_a_budget_that_is_not_quite_used_up_the_next_line_is_enough_for_all_that_is_left(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], depth: int, budget: str
) -> None:
    prices = {"P009": 1, "AI39-1": 1.5, "P010": 0}
    job(tmp_path, url=server.url, pictures=drawings(6), search={"depth": depth}, prices=prices)
    command = following(capsys, "run", "job.yaml", "--set", f"api.budget.{budget}", code=4)
    assert f"api.budget.{budget.partition('=')[0]}=" in command
    assert run(shlex.split(command)[1:]) == 0


@pytest.mark.proofs
def test_after_open_items_the_next_line_shows_what_to_do_about_each(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=["https://sandbox.invalid/no-such-picture.jpg"])
    program, *arguments = shlex.split(following(capsys, "run", "job.yaml", code=1))
    assert (program, arguments[0]) == ("pipeline", "status")
    capsys.readouterr()
    assert run(arguments) in (0, 1)
    assert "P0000" in capsys.readouterr().out


@pytest.mark.proofs
def test_after_a_retry_whose_budget_is_used_up_the_next_line_is_enough_for_the_rest_and_keeps_its_limit(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=[f"https://sandbox.invalid/no-such-{n}.jpg" for n in range(4)])
    assert run(["run", "job.yaml"]) == 1
    retry = "retry", "runs/job", "--only", "failed", "--limit", 3, "-y"
    command = following(capsys, *retry, "--set", "api.budget.search_calls=5", code=4)
    assert command == "pipeline retry runs/job --only failed --limit 3 --set api.budget.search_calls=8"


@pytest.mark.proofs
def test_after_a_limit_the_next_line_goes_on_without_it(
    server: SandboxServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job(tmp_path, url=server.url, pictures=drawings(2))
    command = following(capsys, "run", "job.yaml", "--limit", 1, "--set", "task.max_hits=3", code=1)
    assert command == "pipeline run job.yaml --set task.max_hits=3"
    assert run(shlex.split(command)[1:]) == 0


@pytest.mark.parametrize("code", [0, 2, 3, 7])
def test_nothing_is_to_be_typed_after_all_is_settled_or_where_only_a_person_can_know(tmp_path: Path, code: int) -> None:
    at = "2026-11-21T12:00:00.000Z"
    ended = Figures(
        started_at=at, finished_at=at, exit_code=code, exit_reason="", items=item_counts({}), calls={}, units=0.0
    )
    asked = spec(tmp_path)
    summary = build_summary(tmp_path, RecordLines(asked, "0" * 64), ended)
    assert next_command(summary, asked, "run", "job.yaml") == ""


def test_a_budget_that_doubts_used_up_is_raised_by_those_that_the_next_run_creates_once_more(tmp_path: Path) -> None:
    at = "2026-11-21T12:00:00.000Z"
    api = {"budget": {"create_calls": 18}, "on_in_doubt": {"retry": 1, "max_duplicates": 18}}
    asked = spec(tmp_path, api=api)
    ended = Figures(
        started_at=at,
        finished_at=at,
        exit_code=4,
        exit_reason="",
        ended_by=Code.BUDGET,
        items=item_counts({State.TASKED: 9, State.IN_DOUBT: 9}),
        calls={Kind.CREATE: (18, 18)},
        units=0.0,
    )
    summary = build_summary(tmp_path, RecordLines(asked, "0" * 64), ended)
    assert next_command(summary, asked, "run", "job.yaml") == "pipeline run job.yaml --set api.budget.create_calls=27"
