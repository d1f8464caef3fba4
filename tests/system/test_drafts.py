"""Drafts that a death left are swept; those that are being written, and files of others, are not."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.system.drafts import SHARED_S, draft_of, probe_in, sweep
from pipeline.system.files import write_whole

OURS = (".page.html.new", ".page.html.0123abcd.new", ".page.html.z_23abcd.part", ".probe-12", "..probe-12.new")
OTHERS = ("page.html", ".page.html", "page.html.new", ".pageXhtml.new", ".notes.new", ".page.html.tail.new", ".probe-a")


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_drafts_and_probes_are_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (*OURS, *OTHERS):
        (tmp_path / name).touch()
    sweep(tmp_path, [r"page\.html"])
    assert left(tmp_path) == set(OTHERS)


def test_every_name_of_a_draft_is_one_that_is_swept(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for draft in (
        draft_of(page),
        draft_of(page, several_writers=True),
        probe_in(tmp_path),
        draft_of(probe_in(tmp_path)),
    ):
        draft.touch()
    sweep(tmp_path, [r"page\.html"])
    assert left(tmp_path) == set()


def test_a_draft_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    def swept_meanwhile() -> Iterator[bytes]:
        sweep(tmp_path, ["page"])
        yield b"whole"

    write_whole(tmp_path / "page", swept_meanwhile())
    assert (tmp_path / "page").read_bytes() == b"whole"


def test_where_others_write_too_only_old_drafts_are_swept(tmp_path: Path) -> None:
    new, old = tmp_path / ".page.new", tmp_path / ".page.0123abcd.new"
    for path in (new, old):
        path.touch()
    os.utime(old, (time.time() - SHARED_S - 1,) * 2)
    sweep(tmp_path, ["page"], older_s=SHARED_S)
    assert left(tmp_path) == {new.name}


@pytest.mark.parametrize("what", ["folder", "link"])
def test_what_is_no_file_is_left_alone(tmp_path: Path, what: str) -> None:
    odd = tmp_path / ".page.new"
    if what == "folder":
        odd.mkdir()
    else:
        (tmp_path / "page").touch()
        odd.symlink_to(tmp_path / "page")
    sweep(tmp_path, ["page"])
    assert odd.exists()


def test_a_folder_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    sweep(tmp_path / "gone", ["page"])
    assert list(tmp_path.iterdir()) == []
