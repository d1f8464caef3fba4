"""The question whether a run has begun: by what SQLite would read, not by the size of a file."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import JournalError
from pipeline.journal.begun import has_begun, pages_before, was_stopped_at_once
from pipeline.journal.places import JOURNAL
from pipeline.journal.storage import open_disk, reading_only
from tests.support.fakes import NOW

ROLLBACK = f"{JOURNAL}-journal"


def copy_of(folder: Path, into: Path, *names: str) -> Path:
    into.mkdir()
    for name in names:
        shutil.copy(folder / name, into)
    return into


def test_a_journal_whose_tables_are_in_its_log_alone_has_begun(tmp_path: Path) -> None:
    """As every small run that was killed leaves it; without the log nothing tells it from one that was never made."""
    (tmp_path / "run").mkdir()
    with closing(open_disk(tmp_path / "run", now=NOW)):
        killed = copy_of(tmp_path / "run", tmp_path / "killed", JOURNAL, f"{JOURNAL}-wal")
        without = copy_of(tmp_path / "run", tmp_path / "without", JOURNAL)
        known = copy_of(tmp_path / "run", tmp_path / "known", JOURNAL, ".identity")
    assert (killed / JOURNAL).stat().st_size == 4096
    assert has_begun(killed)
    assert not has_begun(without)
    with pytest.raises(JournalError, match=r"journal\.sqlite is empty, and creates may have been paid"):
        has_begun(known)


def test_an_emptied_journal_beside_its_log_is_lost_and_the_log_stays(tmp_path: Path) -> None:
    """SQLite itself would delete the log beside an empty file."""
    (tmp_path / JOURNAL).touch()
    (tmp_path / f"{JOURNAL}-wal").write_bytes(b"x" * 5000)
    for ask in (lambda: has_begun(tmp_path), lambda: open_disk(tmp_path, now=NOW)):
        with pytest.raises(JournalError, match=r"journal\.sqlite is gone, and creates may have been paid"):
            ask()
    assert (tmp_path / f"{JOURNAL}-wal").stat().st_size == 5000


def test_an_empty_folder_is_no_run_that_was_stopped(tmp_path: Path) -> None:
    assert not has_begun(tmp_path)
    assert not was_stopped_at_once(tmp_path)


def test_a_file_that_is_no_journal_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b"this was never SQLite" * 100)
    assert has_begun(tmp_path)


@pytest.mark.parametrize(("before", "size"), [("nothing", 0), ("a row", 2)])
def test_a_first_change_that_was_cut_short_leaves_nothing_and_a_later_one_what_was_there(
    tmp_path: Path, before: str, size: int
) -> None:
    """Without a write-ahead log, as on network file systems: the change is in the file before it counts."""
    (tmp_path / "run").mkdir()
    with closing(sqlite3.connect(tmp_path / "run" / JOURNAL, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=TRUNCATE")
        if before == "a row":
            db.execute("CREATE TABLE meta (key TEXT, value TEXT)")
            db.execute("INSERT INTO meta VALUES ('version', '1')")
        db.execute("PRAGMA cache_size=1")
        db.execute("PRAGMA cache_spill=1")
        db.execute("BEGIN")
        db.execute("CREATE TABLE large (value TEXT)")
        db.executemany("INSERT INTO large VALUES (?)", [("x" * 3000,)] * 50)
        left = copy_of(tmp_path / "run", tmp_path / "left", JOURNAL, ROLLBACK)
        db.execute("ROLLBACK")
    assert (left / JOURNAL).stat().st_size > 4096 * 20
    assert pages_before(left / JOURNAL) == size
    assert has_begun(left) == (before == "a row")
    files = {name: (left / name).read_bytes() for name in (JOURNAL, ROLLBACK)}
    if before == "a row":
        with reading_only(left) as seen:
            assert seen.do("SELECT name FROM sqlite_master").fetchall() == [("meta",)]
    else:
        with pytest.raises(JournalError, match="begins anew"), reading_only(left):
            pass
    assert files == {name: (left / name).read_bytes() for name in (JOURNAL, ROLLBACK)}
