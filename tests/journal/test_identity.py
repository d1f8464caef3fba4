"""The identity of a run directory: what refuses a copy and an older journal, and what lets a moved one go on."""

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import JournalError
from pipeline.journal import identity
from pipeline.journal.identity import COUNTER, ID, NOTE, Identity, Known, is_stale, of_journal, of_note, refuse_other
from pipeline.journal.sql.database import Database
from tests.support.journal_rows import new_database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    return tmp_path / "job"


@pytest.fixture
def places(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def db(folder: Path) -> Iterator[Database]:
    with new_database(folder / "journal.sqlite") as db:
        yield db


def begun(db: Database, folder: Path, places: Path | None) -> Known:
    """Open and close an identity; what the journal says of itself then."""
    with closing(Identity(db, folder, places=places)):
        pass
    known = of_journal(db)
    assert known is not None
    return known


def test_id_and_counter_stand_in_the_journal_beside_it_and_in_the_state_folder(
    db: Database, folder: Path, places: Path
) -> None:
    known = begun(db, folder, places)
    noted = Known(known.id, known.counter, str(folder), socket.gethostname())
    assert known.counter == 1
    assert of_note(folder / NOTE) == of_note(places / f"{known.id}.json") == noted
    assert begun(db, folder, places) == known._replace(counter=2)


def test_the_counter_is_durable_in_the_journal_before_any_note_has_it(
    db: Database, folder: Path, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note that is ahead would refuse a directory that only died."""
    with closing(Identity(db, folder, places=places)) as one:
        real = db.set_meta

        def watched(key: str, value: str) -> None:
            note = of_note(folder / NOTE)
            assert note is not None
            assert note.counter < int(value)
            real(key, value)

        monkeypatch.setattr(db, "set_meta", watched)
        one.count()
    assert of_note(folder / NOTE) == of_note(places / f"{db.meta(ID)}.json")
    assert db.meta(COUNTER) == "2"


def test_the_counter_grows_twice_a_second(
    db: Database, folder: Path, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(identity.time, "monotonic", lambda: now[0])
    counts = []
    with closing(Identity(db, folder, places=places)) as one:
        for now[0] in (100.1, 100.4, 100.5, 100.6, 101.1):
            one.tick()
            counts.append(int(db.meta(COUNTER) or 0))
    assert counts == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("ahead", ["beside it", "in the state folder"])
def test_a_journal_that_is_behind_a_note_is_refused(db: Database, folder: Path, places: Path, ahead: str) -> None:
    known = begun(db, folder, places)
    db.set_meta(COUNTER, "0")
    (folder / NOTE if ahead == "in the state folder" else places / f"{known.id}.json").unlink()
    behind = of_journal(db)
    assert is_stale(folder, behind, places=places)
    with pytest.raises(JournalError, match=r"older than this run directory.*--this-is-the-only-copy"):
        refuse_other(folder, behind, places=places)
    assert not is_stale(folder, known, places=places)


def test_the_highest_note_counts_and_the_next_start_counts_on_from_it(db: Database, folder: Path, places: Path) -> None:
    known = begun(db, folder, places)
    note = json.loads((places / f"{known.id}.json").read_text())
    (places / f"{known.id}.json").write_text(json.dumps(note | {"counter": "0041"}))
    assert is_stale(folder, of_journal(db), places=places)
    assert begun(db, folder, places).counter == 42


def test_a_journal_that_lost_its_tables_is_behind_any_note(db: Database, folder: Path, places: Path) -> None:
    begun(db, folder, places)
    assert is_stale(folder, None, places=places)


def test_the_journal_of_another_run_is_refused(db: Database, folder: Path, places: Path) -> None:
    known = begun(db, folder, places)
    with pytest.raises(JournalError, match="the journal of another run"):
        refuse_other(folder, Known("0" * 32, known.counter + 9), places=None)


def test_a_copy_is_refused_while_the_original_is_there_and_goes_on_once_it_is_not(
    db: Database, folder: Path, places: Path
) -> None:
    known = begun(db, folder, places)
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    refuse_other(folder, known, places=places)
    with pytest.raises(JournalError, match=f"is a copy of {folder}, which is still there"):
        refuse_other(copy, known, places=places)
    (folder / NOTE).unlink()  # another run lies there now, or nothing
    refuse_other(copy, known, places=places)


def test_another_name_of_the_same_directory_is_no_copy(db: Database, folder: Path, places: Path) -> None:
    known = begun(db, folder, places)
    link = folder.with_name("link")
    link.symlink_to(folder)
    refuse_other(link, known, places=places)
    link.unlink()
    shutil.copytree(folder, link)  # under the same name a copy is refused
    with pytest.raises(JournalError, match="is a copy of"):
        refuse_other(link, known, places=places)


def test_a_directory_that_was_moved_says_where_it_was(db: Database, folder: Path, places: Path) -> None:
    begun(db, folder, places)
    with closing(Identity(db, folder, places=places)) as here:
        assert here.remark == ""
    moved = folder.rename(folder.with_name("moved"))
    with closing(Identity(db, moved, places=places)) as there:
        assert f"was {folder} on {socket.gethostname()}" in there.remark


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "a", "counter": "x", "path": "", "host": ""}', '{"id": "a"}'])
def test_half_a_note_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / NOTE).write_text(text)
    assert of_note(tmp_path / NOTE) is None


def test_a_run_goes_on_where_nothing_can_be_noted(db: Database, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with closing(Identity(db, folder, places=tmp_path / "file")) as one:
        one.count()
    note = of_note(folder / NOTE)
    assert note is not None
    assert note.counter == 2
