"""Records read back: whatever a run wrote, and what a later version adds, but nothing that is no record."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.errors import JournalError
from pipeline.models import Calls, Choice, Problem, State, Task, Upload
from pipeline.outcomes import Tasked
from pipeline.results.reading import RecordView, read_line
from pipeline.results.record import Record, RecordLines
from pipeline.results.records import read_records
from tests.support.fakes import NOW, hits, item, job, work_of

LINE = b'{"schema":1,"item":"%s","status":"tasked","image":{"source":"a.jpg"},"hits":[{"score":0.9}]}\n'
OPEN = b'{"schema":1,"item":"%s","status":"failed","image":{"source":"a.jpg"},"error":{"code":"picture"}}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "results.jsonl").write_bytes(LINE % b"A" + LINE % b"B")
    (tmp_path / "open.jsonl").write_bytes(OPEN % b"C")
    return tmp_path


def test_every_field_that_a_run_writes_is_in_the_view(tmp_path: Path) -> None:
    writer = RecordLines(job(tmp_path), "0" * 64)
    work = work_of(1, item=item(1, labels={"client": "acme"}), calls=Calls(1, 2, 3), sha256="ab")
    work.upload = Upload("https://up.example/1", NOW)
    _, line, _ = writer.settled(work, Tasked(hits(0.9, 0.5), Choice(b"[]", 2, 1), Task("task-1", NOW)))
    twin = writer.twin(work_of(2), bytes(line))
    open_ = writer.open(work, State.FAILED, Problem("search", "68300010", "no", "fail", False, "r-1", "c-1"))
    for raw in (bytes(line), twin, open_):
        written, seen = msgspec.json.decode(raw), msgspec.json.decode(msgspec.json.encode(read_line(raw)))
        assert _within(written, seen)
        assert read_line(raw).hits == written["hits"]
    assert set(RecordView.__struct_encode_fields__) == set(Record.__struct_encode_fields__)


def _within(written: Any, seen: Any) -> bool:
    """Return whether all that was written is seen; a view names the fields that a line leaves out, too."""
    if isinstance(written, dict):
        return all(_within(value, seen[key]) for key, value in written.items())
    return bool(written == seen)


def test_fields_of_a_later_version_are_passed_over() -> None:
    line = b'{"schema":1,"later":{"a":[1]},"item":"A","status":"tasked","image":{"source":"a.jpg","later":2},"hits":[]}'
    assert read_line(line).item == "A"


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"null", b"[" * 100_000, b'{"schema":1,"item":"\xff"}', b'{"schema":1,"item":7}', b'{"item":"A"}'],
    ids=["empty", "torn", "null", "wildly nested", "no UTF-8", "an id that is a number", "no status"],
)
def test_what_is_no_record_is_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is the decoder's
        read_line(line)


@pytest.mark.parametrize("found", [b"7", b"null", b"[" * 100_000 + b"]" * 100_000], ids=["number", "null", "nested"])
def test_hits_that_are_no_list_are_a_value_error(found: bytes) -> None:
    line = b'{"schema":1,"item":"A","status":"tasked","image":{"source":"a.jpg"},"hits":%s}' % found
    with pytest.raises(ValueError):  # noqa: PT011 - the text is the decoder's
        assert read_line(line).hits is None


def test_records_come_in_the_order_of_the_file_and_open_ones_after_them_if_asked_for(folder: Path) -> None:
    assert [record.item for record in read_records(folder)] == ["A", "B"]
    *settled, last = read_records(str(folder), include_open=True)
    assert [(record.item, record.status) for record in settled] == [("A", "tasked"), ("B", "tasked")]
    assert (last.item, last.status, last.error and last.error.code) == ("C", "failed", "picture")


def test_a_line_that_is_being_written_is_left_out(folder: Path) -> None:
    with (folder / "results.jsonl").open("ab") as file:
        file.write((LINE % b"D")[:-10])
    assert [record.item for record in read_records(folder)] == ["A", "B"]


def test_before_the_first_end_of_a_run_nothing_is_open(folder: Path) -> None:
    (folder / "open.jsonl").unlink()
    assert [record.item for record in read_records(folder, include_open=True)] == ["A", "B"]


def test_a_line_that_is_no_record_is_named(folder: Path) -> None:
    (folder / "results.jsonl").write_bytes(LINE % b"A" + b"foreign\n" + LINE % b"B")
    records = read_records(folder)
    assert next(records).item == "A"
    with pytest.raises(JournalError, match=r"results\.jsonl:2: this line is no record: .*--verify"):
        next(records)


def test_a_folder_without_results_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no results here"):
        read_records(tmp_path)
