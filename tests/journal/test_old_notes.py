"""Notes of run directories: forgotten when the directory is gone for good, and never sooner."""

import json
import os
import socket
from pathlib import Path

import pytest

from pipeline.journal.old_notes import FAR_S, GONE_S, forget_gone
from pipeline.journal.storage import open_disk
from tests.support.fakes import NOW

DAY = 86_400.0


def note(places: Path, folder: Path, *, unused_s: float, host: str | None = None, text: str | None = None) -> Path:
    """Write the note of a run directory that was used last so long ago."""
    places.mkdir(exist_ok=True)
    path = places / f"{len(list(places.iterdir())):032x}.json"
    said = {"counter": "1", "id": path.stem, "path": str(folder), "host": host or socket.gethostname()}
    path.write_text(json.dumps(said) if text is None else text)
    os.utime(path, (NOW - unused_s, NOW - unused_s))
    return path


@pytest.mark.parametrize(
    ("folder", "unused_s", "stays"),
    [
        pytest.param("there", FAR_S + DAY, True, id="it is there"),
        pytest.param("gone", GONE_S - DAY, True, id="used last less than half a year ago"),
        pytest.param("gone", GONE_S + DAY, False, id="gone for half a year"),
        pytest.param("disk/gone", GONE_S + DAY, True, id="its disk may not be connected"),
        pytest.param("disk/gone", FAR_S + DAY, False, id="its disk is gone for two years"),
    ],
)
def test_a_note_goes_with_its_run_directory_after_a_long_time(
    tmp_path: Path, folder: str, unused_s: float, *, stays: bool
) -> None:
    (tmp_path / "there").mkdir()
    path = note(tmp_path / "runs", tmp_path / folder, unused_s=unused_s)
    forget_gone(tmp_path / "runs", now=NOW)
    assert path.exists() == stays


def test_notes_of_other_hosts_and_what_is_no_note_stay(tmp_path: Path) -> None:
    gone, places = tmp_path / "gone", tmp_path / "runs"
    theirs = note(places, gone, unused_s=FAR_S + DAY, host="another-host")
    broken = note(places, gone, unused_s=FAR_S + DAY, text="{")
    forget_gone(places, now=NOW)
    assert theirs.exists()
    assert broken.exists()


def test_every_start_forgets_what_is_gone_and_keeps_its_own_note(tmp_path: Path) -> None:
    places = tmp_path / "notes"
    old = note(places, tmp_path / "gone", unused_s=GONE_S + DAY)
    (tmp_path / "job").mkdir()
    open_disk(tmp_path / "job", now=NOW, places=places).close()
    assert not old.exists()
    assert len(list(places.iterdir())) == 1


def test_a_folder_of_notes_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    forget_gone(tmp_path / "nowhere", now=NOW)
    assert list(tmp_path.iterdir()) == []
