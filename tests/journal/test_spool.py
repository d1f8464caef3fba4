"""The hits between their search and their settlement."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.journal import spool as spool_module
from pipeline.journal.spool import Spool
from pipeline.journal.sql.rows import SpoolRef

HITS = b'[{"patent_id":"1"}]'
MARK = b"1 request 2.0"  # whose hits they are


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 50)


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_hits_are_read_back_as_they_were_written(folder: Path) -> None:
    spool = Spool(folder)
    refs = [spool.append(HITS, mark=MARK), spool.append(b"[]", mark=MARK), spool.append(HITS * 9000, mark=MARK)]
    assert [spool.read(ref, mark=MARK) for ref in refs] == [HITS, b"[]", HITS * 9000]
    spool.close()
    assert [Spool(folder, [(1, 3)]).read(ref, mark=MARK) for ref in refs] == [HITS, b"[]", HITS * 9000]


def test_nothing_lies_on_disk_before_the_first_hits(folder: Path) -> None:
    Spool(folder).close()
    assert not folder.exists()


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "shorter": lambda data: data[:-1],
    "gone": lambda data: b"",
    "zeros": lambda data: data[:8] + bytes(len(data) - 8),
    "one bit": lambda data: data[:-2] + bytes([data[-2] ^ 1]) + data[-1:],
    "checksum": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "no file": lambda data: None,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_hits_that_are_not_what_was_written_are_no_hits(damage: str, folder: Path) -> None:
    """They are searched, and paid, once more: never a task on half of them."""
    spool = Spool(folder)
    ref = spool.append(HITS, mark=MARK)
    file = folder / "00000001.spool"
    damaged = DAMAGE[damage](file.read_bytes())
    file.unlink() if damaged is None else file.write_bytes(damaged)
    assert spool.read(ref, mark=MARK) is None
    spool.close()


def test_each_cut_of_the_last_hits_is_noticed(folder: Path) -> None:
    spool = Spool(folder)
    first, last = spool.append(HITS, mark=MARK), spool.append(HITS, mark=MARK)
    whole = (folder / "00000001.spool").read_bytes()
    for size in range(last.offset, len(whole)):
        (folder / "00000001.spool").write_bytes(whole[:size])
        assert spool.read(last, mark=MARK) is None
        assert spool.read(first, mark=MARK) == HITS
    spool.close()


@pytest.mark.usefixtures("small_segments")
def test_full_segment_is_followed_by_the_next(folder: Path) -> None:
    spool = Spool(folder)
    refs = [spool.append(HITS, mark=MARK) for _ in range(7)]
    assert [ref.segment for ref in refs] == [1, 1, 1, 2, 2, 2, 3]
    assert [spool.read(ref, mark=MARK) for ref in refs] == [HITS] * 7
    assert segments(folder) == ["00000001.spool", "00000002.spool", "00000003.spool"]
    spool.close()


@pytest.mark.usefixtures("small_segments")
def test_segment_goes_with_its_last_living_item_and_not_before(folder: Path) -> None:
    spool = Spool(folder)
    refs = [spool.append(HITS, mark=MARK) for _ in range(4)]
    spool.release(1)
    spool.release(1)
    assert [spool.read(ref, mark=MARK) for ref in refs] == [HITS] * 4
    spool.release(1)
    assert segments(folder) == ["00000002.spool"]
    spool.close()
    assert segments(folder) == ["00000002.spool"]


@pytest.mark.usefixtures("small_segments")
def test_segment_that_is_written_to_goes_when_it_is_left_and_nothing_in_it_lives(folder: Path) -> None:
    spool = Spool(folder)
    for _ in range(3):
        spool.append(HITS, mark=MARK)
        spool.release(1)
    assert segments(folder) == ["00000001.spool"]
    spool.append(HITS, mark=MARK)
    assert segments(folder) == ["00000002.spool"]
    spool.release(2)
    spool.close()
    assert segments(folder) == []


def test_segment_is_kept_while_any_item_in_it_lives_on_after_a_start(folder: Path) -> None:
    spool = Spool(folder)
    refs = [spool.append(HITS, mark=MARK), spool.append(HITS, mark=MARK)]
    spool.close()
    again = Spool(folder, live=[(1, 2)])
    again.release(1)
    assert again.read(refs[1], mark=MARK) == HITS
    again.release(1)
    assert segments(folder) == []


def test_start_never_writes_into_a_segment_that_is_there(folder: Path) -> None:
    spool = Spool(folder)
    before = spool.append(HITS, mark=MARK)
    spool.close()
    again = Spool(folder, live=[(1, 1)])
    after = again.append(b"[]", mark=MARK)
    assert (after.segment, again.read(before, mark=MARK), again.read(after, mark=MARK)) == (2, HITS, b"[]")
    again.close()


def test_start_deletes_dead_segments_and_touches_nothing_else(folder: Path) -> None:
    folder.mkdir()
    for name in ("00000001.spool", "00000007.spool", "00000003.spool", "notes.spool", "00000003.txt", "²"):
        (folder / name).write_bytes(b"x")
    Spool(folder, live=[(3, 1)])
    assert segments(folder) == ["00000003.spool", "00000003.txt", "notes.spool", "²"]


def test_segment_left_over_from_a_death_is_written_anew_and_not_added_to(folder: Path) -> None:
    """Its number was never committed: what it holds belongs to nobody."""
    spool = Spool(folder)
    folder.mkdir()
    (folder / "00000001.spool").write_bytes(b"half a write")
    ref = spool.append(HITS, mark=MARK)
    assert (ref, spool.read(ref, mark=MARK)) == (SpoolRef(1, 0, 4 + len(HITS)), HITS)
    spool.close()


def test_a_segment_that_a_power_loss_brought_back_is_nobody_elses(folder: Path) -> None:
    """An old segment under a number that is in use again would hand one item another's hits."""
    spool = Spool(folder)
    ref = spool.append(HITS, mark=MARK)
    assert spool.read(ref, mark=b"2 request 2.0") is None
    spool.close()
