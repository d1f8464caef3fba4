"""The check of the lines that are written but not committed yet."""

import os
import stat
from pathlib import Path

import pytest

from pipeline.journal.sql.rows import Line
from pipeline.journal.tail_check import CHECK, TailCheck, WrittenGroup, read_check

NOW = 1_795_262_400.125
GROUP = [Line(4, 100, 20, 0xFFFF_FFFF), Line(5, 120, 7, 0)]
WRITTEN = WrittenGroup(NOW, 100, ((20, 0xFFFF_FFFF), (7, 0)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The check that a process has left which wrote one group."""
    check = TailCheck(tmp_path / CHECK, opened_at=NOW)
    check.write(GROUP)
    check.close()
    return tmp_path / CHECK


def test_check_is_read_back_as_it_was_written(path: Path) -> None:
    assert read_check(path) == WRITTEN
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("count", [1, 2, 300])
def test_check_is_of_the_last_group_alone_whether_it_is_longer_or_shorter(count: int, tmp_path: Path) -> None:
    check = TailCheck(tmp_path / CHECK, opened_at=NOW)
    check.write([Line(n, n, 1, n) for n in range(40)])
    check.write([Line(n, 100 + n, 1, n) for n in range(count)])
    check.close()
    assert read_check(tmp_path / CHECK) == WrittenGroup(NOW, 100, tuple((1, n) for n in range(count)))


def test_process_begins_without_a_check(path: Path) -> None:
    TailCheck(path, opened_at=NOW + 1).close()
    assert read_check(path) is None


def test_old_check_is_gone_from_the_disk_before_a_line_is_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    TailCheck(path, opened_at=NOW + 1).close()
    assert synced == [0]


def test_no_check_is_none(tmp_path: Path) -> None:
    assert read_check(tmp_path / CHECK) is None


def test_each_cut_of_a_check_is_noticed(path: Path) -> None:
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert read_check(path) is None


def test_each_flipped_bit_of_a_check_is_noticed(path: Path) -> None:
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        assert read_check(path) is None


@pytest.mark.parametrize("system", ["with pwrite", "without"])
def test_short_writes_are_continued(system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, pwrite = os.write, os.pwrite
    check = TailCheck(tmp_path / CHECK, opened_at=NOW)
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:5]))
    if system == "without":
        monkeypatch.delattr(os, "pwrite")
    else:
        monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:7], offset))
    check.write(GROUP)
    check.close()
    assert read_check(tmp_path / CHECK) == WRITTEN
