"""CSV and JSON lines, read back by the standard library: hostile texts stay texts, and nothing else changes."""

import csv
import json
from pathlib import Path

import pytest

from pipeline.results.cells import meant
from pipeline.results.decisions import Decision, read_table
from tests.support.exported import NASTY, written
from tests.support.report_records import hit, record

RUNS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.mark.parametrize("name", NASTY)
def test_no_cell_of_a_csv_is_run_and_every_line_has_all_columns(tmp_path: Path, name: str) -> None:
    text = NASTY[name]
    labels = {"client": text, text[:40]: "-1"}
    nasty = record(text[:128], hits=[hit(title=text, patent_pn=text)], image={"source": text, "labels": labels})
    path = written("csv", tmp_path, nasty, record("B"))
    found = rows(path)
    assert len(found) == 2
    for row in found:
        assert None not in row
        assert None not in row.values()
        for cell in (*row, *row.values()):
            assert not cell.startswith(RUNS)
            assert all(char.isprintable() or char in "\u200c\u200d" for char in cell)
            assert len(cell) <= 32_768
    assert path.read_bytes().startswith(b"\xef\xbb\xbfitem,status,")
    shown = {"control": "abc[31m", "lines": "two lines and a tab", "RTL": "מנורה exe.gpj"}
    title = meant(found[0]["title"])
    assert title == ("x" * 32_766 + "…" if name == "long" else shown.get(name, text).rstrip() or title)


def test_ids_keep_their_zeros_and_numbers_their_digits(tmp_path: Path) -> None:
    [row] = rows(written("csv", tmp_path, record("00042", hits=[hit(0.8998765)])))
    assert (row["item"], row["score"], row["hits_at_vendor"]) == ("00042", "0.8998765", "20783")
    assert (row["task_expires_at"], row["reason"]) == ("2026-11-21T18:00:00.000Z", "")


def test_a_row_per_hit(tmp_path: Path) -> None:
    found = rows(written("csv", tmp_path, record(hits=[hit(0.5), hit(0.9)]), record("B", status="failed"), per="hit"))
    assert [(row["item"], row["place"], row["score"]) for row in found] == [
        ("SKU-1", "1", "0.9"),
        ("SKU-1", "2", "0.5"),
    ]


def test_decisions_written_into_a_csv_are_read_back(tmp_path: Path) -> None:
    known = Decision(item="-1", patent_pn="B", decision="watch", by="=ann", at="2026-11-02", note="+soon", run="r")
    path = written("csv", tmp_path, record("-1", hits=[hit(patent_pn="B")]), record("C"), decided=(known,))
    assert read_table(path) == [known]
    text = path.read_text(encoding="utf-8-sig")
    path.write_text(text.replace(",watch,", ",DISMISS,").replace(",", ";"), encoding="utf-8")
    assert [one.decision for one in read_table(path)] == ["dismiss"]


@pytest.mark.parametrize("name", NASTY)
def test_json_lines_keep_every_text_in_full(tmp_path: Path, name: str) -> None:
    text = NASTY[name]
    nasty = record("A", hits=[hit(0.9, title=text)], image={"source": "a.jpg", "labels": {"client": text}})
    lines = written("jsonl", tmp_path, nasty, record("B", status="failed")).read_bytes().splitlines()
    first, second = (json.loads(line) for line in lines)
    assert (first["title"], first["labels"], first["score"]) == (text, {"client": text}, 0.9)
    assert (second["status"], second["code"], second["score"]) == ("failed", "68300010", None)
    assert list(first) == list(second)


def test_an_export_of_nothing_is_a_header(tmp_path: Path) -> None:
    assert rows(written("csv", tmp_path)) == []
    assert written("jsonl", tmp_path).read_bytes() == b""
