"""Opening a run directory: never over results whose journal is gone, and with names that survive a power loss."""

import os
import sqlite3
from pathlib import Path

import pytest

from pipeline.errors import JournalError
from pipeline.journal.identity import NOTE
from pipeline.journal.places import JOURNAL, RESULTS
from pipeline.journal.sql import changes
from pipeline.journal.sql.admission import admit
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import counts
from pipeline.journal.storage import open_disk, reading_only
from pipeline.journal.verify import refuse_changed_lines
from pipeline.models import Calls, State
from tests.support.fakes import item
from tests.support.journal_rows import put

NOW = 1_795_262_400.0


@pytest.mark.parametrize("left", [None, b""], ids=["gone", "empty"])
def test_results_without_their_journal_are_never_cut(tmp_path: Path, left: bytes | None) -> None:
    (tmp_path / RESULTS).write_bytes(b'{"item":"A"}\n')
    if left is not None:
        (tmp_path / JOURNAL).write_bytes(left)
    with pytest.raises(JournalError, match=r"journal\.sqlite is gone"):
        open_disk(tmp_path, now=NOW)
    assert (tmp_path / RESULTS).read_bytes() == b'{"item":"A"}\n'


def test_a_journal_without_an_identity_that_lacks_a_doubt_of_open_jsonl_is_refused(tmp_path: Path) -> None:
    """An older journal that was put back: the create of the item in doubt may be paid, and it would be sent again."""
    open_disk(tmp_path, now=NOW).close()
    (tmp_path / NOTE).unlink()
    (tmp_path / "open.jsonl").write_bytes(b'{"item":"SKU-1","status":"in_doubt"}\n')
    with pytest.raises(JournalError, match="SKU-1 is in doubt here, and the journal does not know why"):
        open_disk(tmp_path, now=NOW)


def test_names_of_new_files_and_of_their_folders_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power loss takes a new file whose folder was never synced, however well its bytes were."""
    synced: list[str] = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    folder = tmp_path / "runs" / "job"
    folder.mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", recorded)
    open_disk(folder, now=NOW).close()
    assert {str(folder), str(folder.parent), str(tmp_path)} <= set(synced)


def three_lines(folder: Path, *, clean: bool = True) -> Path:
    """A run directory with three settled items; its results.jsonl."""
    disk = open_disk(folder, now=NOW)
    admit(disk.db, [item(n) for n in range(3)], generation=1, accept_changes=False)
    placed = disk.results.append([b'{"item":"%d"}\n' % n for n in range(3)])
    for ord_, line in enumerate(placed, start=1):
        changes.settle(disk.db, ord_, State.NO_HITS, line=line, calls=Calls(), task=None)
    disk.close(clean=clean)
    return folder / RESULTS


@pytest.mark.parametrize("clean", [True, False], ids=["ended well", "died"])
def test_bytes_changed_in_the_middle_are_refused_at_the_next_start_and_left_as_they_are(
    tmp_path: Path, *, clean: bool
) -> None:
    """The last line is whole and the size is right: only reading every line finds it."""
    results = three_lines(tmp_path, clean=clean)
    changed = results.read_bytes().replace(b'"1"', b"\n\n{")
    results.write_bytes(changed)
    for _ in range(2):
        with pytest.raises(JournalError, match=r"line 2 is not what was written.*pipeline repair"):
            open_disk(tmp_path, now=NOW)
    assert results.read_bytes() == changed


def test_of_large_results_every_start_checks_the_last_lines(tmp_path: Path) -> None:
    results = three_lines(tmp_path)
    disk = open_disk(tmp_path, now=NOW)
    whole = results.read_bytes()
    results.write_bytes(whole.replace(b'"1"', b'"7"'))
    refuse_changed_lines(disk.db, results, most=len(whole) // 3)
    with pytest.raises(JournalError, match="line 2"):
        refuse_changed_lines(disk.db, results, most=len(whole) // 3 + 1)
    disk.close()


def test_file_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b"this was never SQLite" * 100)
    with pytest.raises(JournalError, match="cannot be read"):
        open_disk(tmp_path, now=NOW)


def test_results_that_cannot_be_opened_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / RESULTS).mkdir()
    with pytest.raises(JournalError, match="cannot be written: Is a directory; check the disk and the permissions"):
        open_disk(tmp_path, now=NOW)


def test_reading_needs_a_journal_and_never_writes(db: Database, tmp_path: Path) -> None:
    put(db, 1)
    with reading_only(tmp_path) as seen:
        assert counts(seen) == {State.PENDING: 1}
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            seen.set_meta("version", "9")
    with pytest.raises(JournalError, match="no run here"), reading_only(tmp_path / "elsewhere"):
        pass


def test_reading_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b"this was never SQLite" * 100)
    with pytest.raises(JournalError, match="cannot be read"), reading_only(tmp_path):
        pass
