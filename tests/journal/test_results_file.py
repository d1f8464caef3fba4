"""results.jsonl: whole lines, in order, on disk before anyone says so."""

import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import JournalError
from pipeline.journal.results_file import Line, ResultsFile
from pipeline.journal.tail_check import CHECK

ONE, TWO, THREE = b'{"item":"1"}\n', b'{"item":"2","x":"yy"}\n', b'{"item":"3"}\n'


@pytest.fixture
def results(tmp_path: Path) -> Iterator[ResultsFile]:
    results = ResultsFile(tmp_path / "results.jsonl")
    yield results
    results.close()


@pytest.fixture
def written(results: ResultsFile) -> list[Line]:
    """Three lines in two groups."""
    return results.append([ONE, TWO]) + results.append([THREE])


def test_lines_lie_one_after_another_and_say_where(results: ResultsFile, written: list[Line]) -> None:
    assert results.path.read_bytes() == ONE + TWO + THREE
    assert written == [
        Line(0, 0, len(ONE), zlib.crc32(ONE)),
        Line(1, len(ONE), len(TWO), zlib.crc32(TWO)),
        Line(2, len(ONE + TWO), len(THREE), zlib.crc32(THREE)),
    ]
    assert [results.read(line) for line in written] == [ONE, TWO, THREE]


def test_results_are_only_for_their_owner(results: ResultsFile) -> None:
    assert stat.S_IMODE(results.path.stat().st_mode) == 0o600


def test_link_in_the_place_of_the_results_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=r"results\.jsonl"):
        ResultsFile(tmp_path / "results.jsonl")
    assert not (tmp_path / "victim").exists()


def test_lines_are_synced_before_anyone_hears_where_they_lie(
    results: ResultsFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: sizes.append(os.fstat(fd).st_size))
    results.append([ONE, TWO])
    assert sizes == [len(ONE + TWO)]


def test_check_of_lines_is_there_before_a_byte_of_them_is(
    results: ResultsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the two must never leave lines that nothing can tell from changed ones."""
    seen: list[int] = []
    write = os.pwrite

    def watched(fd: int, data: bytes, offset: int) -> int:
        seen.append((tmp_path / "results.jsonl").stat().st_size)
        return write(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", watched)
    results.begin_check(tmp_path / CHECK, opened_at=0.0)
    results.append([ONE, TWO])
    results.append([THREE])
    assert seen == [0, len(ONE + TWO)]


@pytest.mark.parametrize("system", ["with writev", "without"])
def test_short_writes_are_continued(results: ResultsFile, system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:5]))
    if system == "without":
        monkeypatch.delattr(os, "writev")
    else:
        monkeypatch.setattr(os, "writev", lambda fd, parts: write(fd, b"".join(parts)[:7]))
    results.append([ONE, TWO])
    assert results.path.read_bytes() == ONE + TWO


def test_any_number_of_lines_is_written_in_order(results: ResultsFile) -> None:
    """The system takes no more than 1,024 parts at once."""
    lines = [b'{"item":"%d"}\n' % n for n in range(2_500)]
    results.append(lines)
    assert results.path.read_bytes() == b"".join(lines)


def test_start_goes_on_after_the_last_known_line(tmp_path: Path, written: list[Line]) -> None:
    again = ResultsFile(tmp_path / "results.jsonl")
    again.position(written[2])
    assert again.append([ONE]) == [Line(3, len(ONE + TWO + THREE), len(ONE), zlib.crc32(ONE))]
    assert again.path.read_bytes() == ONE + TWO + THREE + ONE
    again.close()


def test_results_that_were_shortened_are_refused_with_what_to_do(results: ResultsFile, written: list[Line]) -> None:
    os.truncate(results.path, 20)
    with pytest.raises(
        JournalError, match=r"results\.jsonl: the file was shortened.*byte 20.*the whole file back.*pipeline repair"
    ):
        results.position(written[2])


def test_results_that_were_deleted_are_refused_with_what_to_do(tmp_path: Path, written: list[Line]) -> None:
    (tmp_path / "results.jsonl").unlink()
    again = ResultsFile(tmp_path / "results.jsonl")
    with pytest.raises(JournalError, match="was shortened"):
        again.position(written[2])
    again.close()


@pytest.mark.parametrize("at", range(len(THREE)))
def test_results_whose_last_line_was_changed_are_refused_with_what_to_do(
    at: int, results: ResultsFile, written: list[Line]
) -> None:
    data = bytearray(results.path.read_bytes())
    data[written[2].offset + at] ^= 1
    results.path.write_bytes(data)
    with pytest.raises(
        JournalError, match=r"results\.jsonl: the file was changed: line 3 .*the original file back.*pipeline repair"
    ):
        results.position(written[2])


def test_tail_is_the_whole_lines_that_the_journal_does_not_know(results: ResultsFile, written: list[Line]) -> None:
    os.write(results._fd, b'{"item":"4')
    results.position(written[0])
    assert list(results.tail()) == [TWO, THREE]


def test_everything_is_tail_for_a_journal_that_knows_nothing(results: ResultsFile, written: list[Line]) -> None:
    results.position(None)
    assert list(results.tail()) == [ONE, TWO, THREE]


def test_tail_is_read_whole_however_long_its_lines_are(results: ResultsFile) -> None:
    long = [b"x" * size + b"\n" for size in ((1 << 20) - 1, 1 << 20, 5, 3 << 20)]
    results.append(long)
    results.position(None)
    assert list(results.tail()) == long


def test_adopted_lines_stay_and_the_rest_is_cut(results: ResultsFile, written: list[Line]) -> None:
    results.position(written[0])
    assert results.adopt(TWO) == written[1]
    assert results.cut() == len(THREE)
    assert results.path.read_bytes() == ONE + TWO
    assert results.append([THREE]) == [written[2]]
    assert results.path.read_bytes() == ONE + TWO + THREE


def test_cut_of_nothing_is_nothing(results: ResultsFile, written: list[Line]) -> None:
    results.position(written[2])
    assert (list(results.tail()), results.cut()) == ([], 0)
    assert results.path.read_bytes() == ONE + TWO + THREE


def test_line_that_stayed_although_it_was_unsynced_is_synced_by_the_cut(
    results: ResultsFile, written: list[Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adopted line was perhaps never synced; the journal is about to know it."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    results.position(written[1])
    results.adopt(THREE)
    results.cut()
    assert synced == [results._fd]
