"""Rows that make no sense are damage: found, told in one line that names the repair, and mended by it."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.cli import main as cli
from pipeline.errors import ItemRefused
from pipeline.journal.sql.sense import nonsense
from pipeline.journal.storage import JOURNAL, explaining_rows, reading_only
from pipeline.models import Kind
from tests.support import fakes
from tests.support.fakes import FakeVendor, Lost, engine_of, item, open_journal, url
from tests.support.told import faults_in

ROWS = [
    ("items", "state", 99),
    ("items", "labels", "[]"),
    ("items", "calls", "{"),
    ("items", "problem", None),
    ("items", "crc", "x"),
    ("calls", "kind", "gift"),
    ("calls", "sent", -1),
    ("meta", "value", "many"),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a task, an item in doubt and a failed one, and its job as it was run."""

    async def go() -> None:
        vendor = FakeVendor({(Kind.CREATE, url(2)): [Lost()], (Kind.SEARCH, url(3)): [ItemRefused("no", code="1")]})
        spec = fakes.job(tmp_path, api={"max_in_flight": 1})
        async with open_journal(tmp_path / "runs/run") as journal:
            await (await engine_of(spec, journal, vendor, [item(n) for n in (1, 2, 3)])).run()

    (tmp_path / "runs").mkdir()
    anyio.run(go)
    return tmp_path / "runs/run"


def spoil(run: Path, table: str, column: str, value: Any) -> None:
    with closing(sqlite3.connect(run / JOURNAL)) as db, db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        only = {"meta": "key = 'counter'", "calls": "kind = 'create'", "items": "ord = 2"}[table]
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {only}", (value,))


def test_all_that_a_run_writes_makes_sense(run: Path) -> None:
    with reading_only(run) as db:
        assert nonsense(db.do) == ""


@pytest.mark.parametrize(("table", "column", "value"), ROWS)
def test_no_command_ends_as_a_bug_and_verify_names_the_repair(
    run: Path, capsys: pytest.CaptureFixture[str], table: str, column: str, value: Any
) -> None:
    spoil(run, table, column, value)
    with reading_only(run) as db:
        assert table in nonsense(db.do)
    for command in (
        ["status", str(run)],
        ["clean", str(run.parent), "--older", "0h"],
        ["export", str(run), "--to", "csv"],
    ):
        assert cli.run(command) != 70
        assert "a bug" not in capsys.readouterr().err
    assert cli.run(["status", str(run), "--verify"]) == 5
    (fault,) = faults_in(capsys.readouterr().err)
    assert "nothing that this program writes" in fault.error
    assert fault.fix == f"pipeline repair {run}"


@pytest.mark.parametrize(("table", "column", "value"), ROWS)
def test_a_repair_mends_it_and_nothing_is_paid_again_that_may_be_paid(
    run: Path, table: str, column: str, value: Any
) -> None:
    spoil(run, table, column, value)
    assert cli.run(["repair", str(run)]) == 0
    with reading_only(run) as db:
        assert nonsense(db.do) == ""
        (new,) = db.do("SELECT value FROM meta WHERE key = 'doubt_new'").fetchone()
        left = db.do("SELECT count(*) FROM items").fetchone()[0]
    assert (left, new) == (3, "1") or (left == 2 and new == "1")  # what is not known any more may have been created


def test_a_bug_stays_a_bug_where_the_journal_is_whole(run: Path) -> None:
    with pytest.raises(ZeroDivisionError), explaining_rows(run):
        raise ZeroDivisionError
