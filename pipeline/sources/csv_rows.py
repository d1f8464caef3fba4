"""Rows of a table in a text file: commas, semicolons, tabs or bars between its cells."""

import csv
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from pipeline.errors import SpecError
from pipeline.job.images import ImageEntry
from pipeline.sources.columns import find_columns
from pipeline.sources.headers import BLANKS, Table
from pipeline.sources.lines import Lines, LongLine, open_lines
from pipeline.sources.row import Row
from pipeline.system.fault import Fault

SEPARATORS = (",", ";", "\t", "|")


def csv_rows(file: Path, entry: ImageEntry) -> Iterator[Row]:
    """Yield the rows of a table."""
    with open_lines(file, entry) as lines:
        reader, header = _begun(file, lines, entry)
        table = Table(_place(file, lines), header, entry, encoding=lines.encoding)
        while True:
            first = lines.number + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except (csv.Error, LongLine) as exc:
                lost = f"; lines {first} to {lines.number} are lost with it" if lines.number > first else ""
                what = (
                    f"this is not CSV: {exc}{lost}; check the quotes" if isinstance(exc, csv.Error) else f"{exc}{lost}"
                )
                yield Row(lines.number, fault=what)
                continue
            if "".join(cells).strip(BLANKS):
                yield table.row(lines.number, cells)


def _begun(file: Path, lines: Lines, entry: ImageEntry) -> tuple[Iterator[list[str]], list[str]]:
    """Read the header, and find out what stands between the cells; return the reader of the rows, and the header."""
    try:
        line = next((line for line in lines if line.strip(BLANKS + "".join(SEPARATORS))), "")
        separator = None
        if said := re.fullmatch(r'"?sep=(.)"?\s*', line, re.IGNORECASE):  # Excel's own way of saying it
            separator, line = said[1], next(lines, "")
        separator = separator or _separator(line, entry)
        reader = csv.reader(chain([line], lines), delimiter=separator, strict=True)
        return reader, [name.strip(BLANKS) for name in next(reader, [])]
    except (csv.Error, LongLine) as exc:
        raise SpecError(Fault(f"the header is not CSV: {exc}", where=_place(file, lines))) from None


def _place(file: Path, lines: Lines) -> str:
    return f"{file}:{max(1, lines.number)}:1"


def _separator(line: str, entry: ImageEntry) -> str:
    """Find the separator that makes a header with the columns of a picture, else the one that makes most cells."""

    def rank(separator: str) -> tuple[bool, int]:
        try:
            names = next(csv.reader([line], delimiter=separator, strict=True), [])
        except csv.Error:
            return False, 0
        found = find_columns([name.strip(BLANKS) for name in names], entry.columns)
        return found.has_picture, len(names)

    return max(SEPARATORS, key=rank)
