"""A damaged or foreign run directory as the commands meet it: exit 5, one line, and a way out that works."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import RunOptions, run_job
from pipeline.cli import main as cli
from pipeline.journal.sql.schema import VERSION
from pipeline.journal.storage import connect, reading_only
from pipeline.journal.verify import verify
from pipeline.models import State
from tests.support.fakes import assert_index_matches, states
from tests.support.jobs import ACCOUNT, FaultPlan, job, vendor
from tests.support.lengths import only_short
from tests.support.terminal import on_a_terminal
from tests.support.told import faults_in

ITEMS = 4


class Ended:
    """A run of four items that came to its end, one of them in doubt; the vendor is healthy again."""

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = job(folder, url=url, pictures=ITEMS, api={"max_in_flight": 1})
        self.home, self.run = folder, folder / "runs/job"
        self.journal, self.results = self.run / "journal.sqlite", self.run / "results.jsonl"
        self._capsys = capsys
        run_job(self.path, options=RunOptions(environment=ACCOUNT))

    def command(self, *arguments: str | Path) -> tuple[int, str, str]:
        code = cli.run([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        return code, out, err

    def smash(self) -> None:
        """Write noise over every page but the first: SQLite opens the file, and fails later."""
        data = self.journal.read_bytes()
        self.journal.write_bytes(data[:4096] + random.Random(1).randbytes(len(data) - 4096))

    def remember(self, key: str, value: str) -> None:
        connection = connect(self.journal)
        connection.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))
        connection.close()


@pytest.fixture
def ended(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Ended]:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["ok", "lost"]})) as server:
        yield Ended(tmp_path, server.url, capsys)


def assert_names_repair(code: int, out: str, err: str) -> None:
    assert (code, out, len(faults_in(err))) == (5, "", 1), err
    assert "pipeline repair" in err


# --- plan ---


def test_lines_behind_those_that_the_journal_knows_are_told(ended: Ended) -> None:
    assert ended.command("status", ended.run, "--verify")[0] == 0
    own = ended.results.read_bytes()
    ended.results.write_bytes(own + own.splitlines(keepends=True)[-1])
    code, _, err = ended.command("status", ended.run, "--verify")
    assert (code, len(faults_in(err))) == (5, 1), err
    assert f"behind the {ITEMS - 1} lines that the journal knows stand" in err
    paid = re.sub(rb'"task_id":"[^"]*"', b'"task_id":"one-more"', own.splitlines(keepends=True)[-1])
    ended.results.write_bytes(own + paid)
    code, _, err = ended.command("status", ended.run, "--verify")
    assert code == 5
    assert "the journal does not know the task one-more" in err
    assert "an older journal was put back" in err
    ended.results.write_bytes(own)
    assert ended.command("status", ended.run, "--verify")[0] == 0


def test_lines_of_a_run_that_may_be_under_way_are_its_own(ended: Ended) -> None:
    ended.results.write_bytes(ended.results.read_bytes() + b"{}\n")
    Path(f"{ended.journal}-wal").write_bytes(b"not empty")
    with reading_only(ended.run) as db:
        assert verify(db, ended.results).behind == 0
    Path(f"{ended.journal}-wal").unlink()
    with reading_only(ended.run) as db:
        assert verify(db, ended.results).behind == 3


def test_plan_on_a_damaged_journal_names_repair(ended: Ended) -> None:
    ended.smash()
    assert_names_repair(*ended.command("plan", ended.path))


@pytest.mark.proofs
def test_run_on_a_terminal_refuses_a_damaged_journal_before_it_asks(ended: Ended) -> None:
    ended.smash()
    code, said = on_a_terminal(["run", str(ended.path)], answer="n\n", cwd=ended.home)
    assert code == 5
    assert "pipeline repair" in said
    assert "Go on?" not in said


@pytest.mark.parametrize("left", [None, b""], ids=["gone", "empty"])
def test_plan_promises_no_fresh_run_where_run_would_refuse_a_lost_journal(ended: Ended, left: bytes | None) -> None:
    ended.journal.unlink()
    if left is not None:
        ended.journal.write_bytes(left)
    assert_names_repair(*ended.command("plan", ended.path))


def test_an_error_of_sqlite_that_nobody_translates_is_still_no_bug(
    ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    def fail(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr("pipeline.offline.plan.load_spec", fail)
    code, _, err = ended.command("plan", ended.path)
    assert (code, len(faults_in(err))) == (5, 1)
    assert "disk I/O error" in err


# --- a journal of another version ---


@pytest.mark.proofs
@pytest.mark.parametrize(("version", "use"), [(str(VERSION + 1), "a newer"), ("0", "an older")])
@pytest.mark.parametrize(
    "command", only_short(["run", "plan", "status", "verify", "repair", "retry", "resolve"], "run")
)
def test_a_journal_of_another_version_is_left_alone_and_says_which_program_to_use(
    ended: Ended, command: str, version: str, use: str
) -> None:
    ended.remember("version", version)
    arguments: dict[str, list[str | Path]] = {
        "run": ["run", ended.path],
        "plan": ["plan", ended.path],
        "status": ["status", ended.run],
        "verify": ["status", ended.run, "--verify"],
        "repair": ["repair", ended.run],
        "retry": ["retry", ended.run, "--only", "in-doubt"],
        "resolve": ["resolve", ended.run, "--all", "not-created"],
    }
    before = ended.results.read_bytes()
    code, out, err = ended.command(*arguments[command])
    assert (code, out, len(faults_in(err))) == (5, "", 1), err
    assert f"use {use} pipeline" in err
    assert ended.results.read_bytes() == before
    assert not list(ended.run.glob("*.damaged-*"))


@pytest.mark.proofs
def test_a_repair_touches_no_journal_of_another_version_when_the_results_are_gone_too(ended: Ended) -> None:
    ended.remember("version", str(VERSION + 1))
    ended.results.unlink()
    code, _, err = ended.command("repair", ended.run)
    assert (code, "use a newer pipeline" in err) == (5, True)
    assert ended.journal.is_file()


# --- results.jsonl gone ---


@pytest.mark.proofs
def test_verify_without_results_names_repair(ended: Ended) -> None:
    ended.results.unlink()
    code, _, err = ended.command("status", ended.run, "--verify")
    assert (code, len(faults_in(err))) == (5, 1)
    assert faults_in(err)[0].at.endswith("results.jsonl")
    assert "pipeline repair" in err


# --- repair without the job as it was run ---


def lose_spec(ended: Ended, how: str) -> None:
    (ended.run / "spec.yaml").unlink()
    if how == "broken":
        (ended.run / "spec.yaml").write_bytes(b"version: 1\n\0{")


@pytest.mark.proofs
@pytest.mark.parametrize("how", ["gone", "broken"])
@pytest.mark.parametrize("journal", ["gone", "damaged"])
def test_a_repair_needs_no_job_file_and_the_run_goes_on_after_it(ended: Ended, how: str, journal: str) -> None:
    lines = ended.results.read_bytes()
    lose_spec(ended, how)
    if journal == "gone":
        ended.journal.unlink()
    else:
        ended.smash()
    assert ended.command("run", ended.path, "-q")[0] == 5
    code, out, err = ended.command("repair", ended.run)
    assert (code, err) == (0, "")
    assert "3 settled" in out
    assert "spec.yaml cannot be read, so open.jsonl, summary.json and report.html stay as they are" in out
    assert ended.results.read_bytes() == lines
    assert_index_matches(ended.run)
    assert ended.command("run", ended.path, "-q")[0] == 1
    assert sorted(states(ended.run).values()) == [State.TASKED] * 3 + [State.IN_DOUBT]


@pytest.mark.proofs
def test_lines_of_another_job_are_left_out_also_when_only_the_lines_name_the_job(ended: Ended) -> None:
    lines = ended.results.read_bytes()
    lose_spec(ended, "gone")
    ended.journal.unlink()
    ours = lines.splitlines(keepends=True)
    ended.results.write_bytes(ours[0].replace(b'"job":"job"', b'"job":"theirs"').replace(b"P000", b"Q000") + lines)
    assert ended.command("repair", ended.run)[0] == 0
    assert ended.results.read_bytes() == lines


def test_a_repair_of_no_run_still_says_so(ended: Ended) -> None:
    code, _, err = ended.command("repair", ended.home)
    assert (code, "no run here" in err) == (2, True)
