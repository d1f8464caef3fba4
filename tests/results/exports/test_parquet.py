"""Parquet, read back by pyarrow: typed columns, hostile texts in full, more rows than one batch."""

import datetime
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from tests.support.exported import NASTY, written
from tests.support.report_records import hit, record


@pytest.mark.parametrize("name", NASTY)
def test_every_text_is_kept(tmp_path: Path, name: str) -> None:
    text = NASTY[name]
    one = record("A", hits=[hit(title=text)], image={"source": "a.jpg", "labels": {text: text}})
    [row] = parquet.read_table(written("parquet", tmp_path, one)).to_pylist()
    assert (row["title"], row[f"label_{text}"]) == (text, text)


def test_columns_have_their_types(tmp_path: Path) -> None:
    one = record("00042", hits=[hit(0.8998, apdt=20230102, pbdt=99999999)])
    table = parquet.read_table(written("parquet", tmp_path, one, record("B", status="failed")))
    types = {name: table.schema.field(name).type for name in ("item", "score", "hits", "application_date")}
    assert types == {
        "item": pyarrow.string(),
        "score": pyarrow.float64(),
        "hits": pyarrow.int64(),
        "application_date": pyarrow.date32(),
    }
    first, second = table.to_pylist()
    assert (first["item"], first["score"], first["application_date"]) == ("00042", 0.8998, datetime.date(2023, 1, 2))
    assert first["publication_date"] is None
    assert first["task_expires_at"] == datetime.datetime(2026, 11, 21, 18, tzinfo=datetime.UTC)
    assert (second["status"], second["score"]) == ("failed", None)


def test_a_row_per_hit_beyond_one_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.results.exports.parquet_file._AT_ONCE", 7)
    path = written("parquet", tmp_path, *(record(f"P{n}", hits=[hit(0.9)] * 3) for n in range(10)), per="hit")
    assert parquet.ParquetFile(path).num_row_groups == 5
    assert parquet.read_table(path).num_rows == 30
    assert parquet.read_table(written("parquet", tmp_path)).num_rows == 0
