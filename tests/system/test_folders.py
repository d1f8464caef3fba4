"""Folders that are not there, or have no room, are named by the errors of the system."""

import tempfile

import pytest

from pipeline.system.folders import temporary_folder


def test_where_no_temporary_files_can_be_written_the_variable_that_says_where_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nowhere"])
    with pytest.raises(FileNotFoundError) as refused, temporary_folder():
        pass
    assert refused.value.filename == "TMPDIR"


def test_a_temporary_folder_is_removed_and_its_errors_stay_what_they_are() -> None:
    with pytest.raises(OSError, match="no number") as raised, temporary_folder() as folder:
        raise OSError("no number")
    assert raised.value.filename is None
    assert not folder.exists()
