"""Parquet for data frames: typed columns, written by pyarrow some thousand rows at a time."""

from collections.abc import Callable
from datetime import date, datetime
from itertools import islice
from typing import Any, BinaryIO

import pyarrow
from pyarrow import parquet

from pipeline.results.exports.columns import Column, Kind, Value
from pipeline.results.exports.export import PRODUCT, Export, Written, counted

_AT_ONCE = 5_000
_TYPES = {
    Kind.TEXT: pyarrow.string(),
    Kind.NUMBER: pyarrow.float64(),
    Kind.COUNT: pyarrow.int64(),
    Kind.DAY: pyarrow.date32(),
    Kind.TIME: pyarrow.timestamp("ms", "UTC"),
}


def write_parquet(file: BinaryIO, export: Export) -> Written:
    """Write a row per product or hit; a day or time that is none is null."""
    per = export.per or PRODUCT
    columns = export.columns(per)
    schema = pyarrow.schema([_field(column) for column in columns])
    rows, found = 0, export.rows(per)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := list(islice(found, _AT_ONCE)):
            arrays = [
                pyarrow.array([_READ[column.kind](row.get(column.name)) for row in batch], _TYPES[column.kind])
                for column in columns
            ]
            writer.write_table(pyarrow.table(arrays, schema=schema))
            rows += len(batch)
    return counted(per, rows)


def _field(column: Column) -> Any:
    return pyarrow.field(column.name, _TYPES[column.kind], metadata={"about": column.about})


def _text(value: Value) -> str | None:
    return None if value is None else str(value)


def _number(value: Value) -> Value:
    return value


def _day(value: Value) -> date | None:
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def _time(value: Value) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)).astimezone()
    except (ValueError, OverflowError):
        return None


_READ: dict[Kind, Callable[[Value], Any]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.COUNT: _number,
    Kind.DAY: _day,
    Kind.TIME: _time,
}
