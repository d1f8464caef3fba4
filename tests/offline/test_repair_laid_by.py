"""Records that wait for details when a run is killed: a repair keeps them, so that their tasks are not in doubt."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, read_records, run_job
from pipeline.journal.sql import laid_by
from pipeline.journal.storage import reading_only
from pipeline.offline.repair import repair
from pipeline.offline.salvage import Salvage
from pipeline.offline.status import read_status
from pipeline.sandbox.server import SandboxServer
from tests.support.fakes import assert_index_matches, assert_settled_once, states
from tests.support.jobs import ACCOUNT, FaultPlan, job, started, vendor
from tests.support.processes import until

pytestmark = pytest.mark.proofs

ITEMS = 5


class Killed:
    """A run of five items that was killed when all their tasks were created, and their records waited for details."""

    def __init__(self, folder: Path, server: SandboxServer) -> None:
        api: dict[str, Any] = {"qps": {"search": 100, "create": 100, "upload": 100, "details": 100}}
        self.path = job(folder, url=server.url, pictures=ITEMS, api=api, details={"top": 3, "above": 0.0})
        self.run, self.server = folder / "runs" / "job", server
        with started("run", self.path, "--yes", cwd=folder, **ACCOUNT) as process:
            until(lambda: self.count() == ITEMS and server.stats.calls("details") == 1, by=process)
            process.kill()
            process.wait()

    def count(self) -> int:
        try:
            with closing(sqlite3.connect(f"file:{self.run / 'journal.sqlite'}?mode=ro", uri=True)) as db:
                return int(db.execute("SELECT count(*) FROM laid_by").fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    def change(self, *statements: str) -> None:
        """Change the journal as a hand or a fault of the disk does."""
        with closing(sqlite3.connect(self.run / "journal.sqlite")) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()

    def assert_that_the_next_run_settles_all(self) -> None:
        standing = read_status(self.run)
        assert (standing.items["tasked"], standing.items["in_doubt"]) == (ITEMS, 0)
        assert f"{ITEMS} records wait for their details; the next `pipeline run` writes them" in standing.now
        summary = run_job(self.path, options=RunOptions(environment=ACCOUNT))
        assert (summary.exit_code, summary.items["tasked"]) == (0, ITEMS)
        assert self.server.stats.executed["create"] == ITEMS
        assert all(record.details for record in read_records(self.run))
        assert_index_matches(self.run)
        assert_settled_once(self.run)


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Killed]:
    with vendor(tmp_path, faults=FaultPlan.parse("details:hang@1")) as server:
        yield Killed(tmp_path, server)


def test_status_says_that_they_wait(killed: Killed) -> None:
    killed.assert_that_the_next_run_settles_all()


def test_foreign_bytes_in_the_results_cost_none_of_them(killed: Killed) -> None:
    (killed.run / "results.jsonl").write_bytes(b"not ours\n" * 3)
    assert f"items: {ITEMS} waiting for details" in repair(killed.run, job="job")
    killed.assert_that_the_next_run_settles_all()


@pytest.mark.parametrize(
    "lost",
    [
        "UPDATE items SET state = 1 WHERE ord = 2",  # the create was forgotten
        "DELETE FROM items WHERE ord = 2",  # the item was
    ],
)
def test_a_journal_that_is_not_believed_keeps_them(killed: Killed, lost: str) -> None:
    killed.change("DROP TRIGGER legal_changes", lost)
    done = repair(killed.run, job="job", newest=False)
    assert any(f"{ITEMS} waiting for details" in line for line in done)
    killed.assert_that_the_next_run_settles_all()


def test_a_record_of_another_picture_is_not_taken_for_an_items_own(killed: Killed) -> None:
    other = "replace(CAST(line AS TEXT), 'sandbox.invalid', 'other.invalid')"
    killed.change(f"UPDATE laid_by SET line = CAST({other} AS BLOB)")
    repair(killed.run, job="job", newest=True)
    assert set(states(killed.run).values()) == {21}  # in doubt: the creates were sent
    with reading_only(killed.run) as db:
        assert laid_by.count(db) == 0


def test_those_that_can_be_read_are_read_where_others_cannot(killed: Killed, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Salvage(killed.run / "journal.sqlite", believed=True)) as old:
        whole = list(old.laid_by())

        class Damaged:
            """A connection on which the whole table cannot be read, nor its second row."""

            def __init__(self, connection: sqlite3.Connection) -> None:
                self.close = connection.close
                self._connection = connection

            def execute(self, statement: str, parameters: tuple[int, ...] = ()) -> sqlite3.Cursor:
                if "laid_by" in statement and parameters in ((), (2,)):
                    raise sqlite3.DatabaseError("malformed")
                return self._connection.execute(statement, parameters)

        monkeypatch.setattr(old, "_connection", Damaged(old._connection))
        assert list(old.laid_by()) == [whole[0], *whole[2:]]
