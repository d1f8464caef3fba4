"""Opening a run directory: never over results whose journal is gone, and with names that survive a power loss."""

import os
from pathlib import Path

import pytest

from pipeline.errors import JournalError
from pipeline.journal.disk import JOURNAL, RESULTS, open_disk

NOW = 1_795_262_400.0


@pytest.mark.parametrize("left", [None, b""], ids=["gone", "empty"])
def test_results_without_their_journal_are_never_cut(tmp_path: Path, left: bytes | None) -> None:
    (tmp_path / RESULTS).write_bytes(b'{"item":"A"}\n')
    if left is not None:
        (tmp_path / JOURNAL).write_bytes(left)
    with pytest.raises(JournalError, match=r"journal\.sqlite is gone"):
        open_disk(tmp_path, now=NOW)
    assert (tmp_path / RESULTS).read_bytes() == b'{"item":"A"}\n'


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
