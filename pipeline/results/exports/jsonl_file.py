"""JSON lines for programs: an object per product or hit, with every text in full and labels as an object."""

from typing import Any, BinaryIO

import msgspec

from pipeline.results.exports.columns import LABEL, Row
from pipeline.results.exports.export import PRODUCT, Export, Written, counted

_ENCODER = msgspec.json.Encoder()


def write_jsonl(file: BinaryIO, export: Export) -> Written:
    """Write a line per product or hit; all lines have the same keys, null where nothing is known."""
    per = export.per or PRODUCT
    columns = export.columns(per)
    names = [column.name for column in columns if not column.name.startswith(LABEL)]
    labels = [(column.name, column.name.removeprefix(LABEL)) for column in columns if column.name.startswith(LABEL)]
    rows = 0
    for row in export.rows(per):
        file.write(_ENCODER.encode(_object(row, names, labels)) + b"\n")
        rows += 1
    return counted(per, rows)


def _object(row: Row, names: list[str], labels: list[tuple[str, str]]) -> dict[str, Any]:
    found: dict[str, Any] = {name: row.get(name) for name in names}
    found["labels"] = {label: row[name] for name, label in labels if row.get(name) is not None}
    return found
