"""CSV for spreadsheets: UTF-8 with a BOM, and no cell that a program would run."""

import csv
import io
from typing import BinaryIO

from pipeline.results.cells import neutral, visible
from pipeline.results.exports.columns import Value
from pipeline.results.exports.export import PRODUCT, Export, Written, counted


def write_csv(file: BinaryIO, export: Export) -> Written:
    """Write a row per product or hit; times and days as ISO 8601, numbers with a point."""
    per = export.per or PRODUCT
    names = [column.name for column in export.columns(per)]
    text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="", write_through=True)
    try:
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow([neutral(visible(name)) for name in names])
        rows = 0
        for row in export.rows(per):
            writer.writerow([_cell(row.get(name)) for name in names])
            rows += 1
    finally:
        text.detach()  # else it closes `file`, which may be stdout
    return counted(per, rows)


def _cell(value: Value) -> str:
    if value is None:
        return ""
    return neutral(visible(value)) if isinstance(value, str) else f"{value!r}"
