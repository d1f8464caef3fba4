"""The copy of a journal that somebody writes meanwhile is a state that was committed, or no copy at all."""

import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import JournalError
from pipeline.journal.copying import copy_journal
from pipeline.journal.epochs import NOTE, superseded_by
from tests.support.lengths import THOROUGH
from tests.support.processes import python, running

# Each commit counts one of many rows up, each on pages of its own, and the sum of them all; the log begins anew often.
WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(f"PRAGMA journal_mode = {sys.argv[2]}")
db.execute("PRAGMA wal_autocheckpoint = 4")
db.execute("PRAGMA synchronous = OFF")
db.execute("CREATE TABLE counts (id INTEGER PRIMARY KEY, n INTEGER, pad BLOB)")
db.executemany("INSERT INTO counts VALUES (?, 0, zeroblob(9000))", [(n,) for n in range(100)])
n = 0
while True:
    n += 1
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE counts SET n = n + 1 WHERE id IN (0, ?)", (1 + n % 99,))
    db.execute("COMMIT")
    if n == int(sys.argv[3]):
        print(n, flush=True)
        sys.stdin.readline()
"""


def rows_in(journal: Path) -> tuple[int, int]:
    """The sum as it is noted, and as the rows make it."""
    with closing(sqlite3.connect(journal)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        noted = db.execute("SELECT n FROM counts WHERE id = 0").fetchone()[0]
        return noted, db.execute("SELECT sum(n) FROM counts WHERE id > 0").fetchone()[0]


@pytest.mark.proofs
@pytest.mark.parametrize("mode", ["WAL", "TRUNCATE"])
def test_a_copy_beside_a_writer_is_whole_or_refused(tmp_path: Path, mode: str) -> None:
    source, target = tmp_path / "e1", tmp_path / "e2"
    source.mkdir()
    target.mkdir()
    with running(python(WRITER, source / "journal.sqlite", mode, "1")) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        for attempt in range(60 if THOROUGH else 24):
            stands_still = attempt % 6 == 5  # a slow machine may never find a moment in which it does by itself
            if stands_still:
                writer.send_signal(signal.SIGSTOP)
            try:
                copy_journal(source, target, patience_s=30 if stands_still else 0.2)
            except JournalError:
                assert not stands_still
            else:
                first, second = rows_in(target / "journal.sqlite")
                assert first == second
            writer.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("mode", ["WAL", "TRUNCATE"])
def test_the_copy_of_what_a_killed_writer_left_has_its_last_commit(tmp_path: Path, mode: str) -> None:
    source, target = tmp_path / "e1", tmp_path / "e2"
    source.mkdir()
    target.mkdir()
    with running(python(WRITER, source / "journal.sqlite", mode, "50"), stdin=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "50\n"
    before = {file.name: file.read_bytes() for file in source.iterdir()}
    copy_journal(source, target)
    assert rows_in(target / "journal.sqlite") == (50, 50)
    assert {file.name: file.read_bytes() for file in source.iterdir()} == before


def test_the_newest_epoch_alone_is_gone_on_with(tmp_path: Path) -> None:
    for epoch in (2, 7, 10):
        (tmp_path / f"e{epoch}").mkdir()
    assert superseded_by(tmp_path / "e2") is None  # no epochs, but folders of somebody's
    for epoch in (2, 10):
        (tmp_path / f"e{epoch}" / NOTE).write_text("{}")
    assert superseded_by(tmp_path / "e2") == tmp_path / "e10"
    assert superseded_by(tmp_path / "e10") is None
    assert superseded_by(tmp_path / "e7") is None
