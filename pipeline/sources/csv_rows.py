"""Rows of a table in a text file: commas, semicolons, tabs or bars between its cells."""

import csv
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from pipeline.errors import SpecError
from pipeline.job.images import ImageEntry
from pipeline.sources.columns import find_columns
from pipeline.sources.headers import BLANKS, LOOKED_AT, Table
from pipeline.sources.lines import Lines, LongLine, open_lines
from pipeline.sources.row import ALL, Row
from pipeline.system.fault import Fault

SEPARATORS = (",", ";", "\t", "|")


def csv_rows(file: Path, entry: ImageEntry, wanted: Iterator[bool] = ALL) -> Iterator[Row]:
    """Yield the rows of a table; of one after the other `wanted` says whether it is."""
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
                if next(wanted):
                    yield Row(lines.number, fault=what)
                continue
            text = "".join(cells)
            if text.strip(BLANKS) and next(wanted):
                yield table.row(lines.number, cells, text)


def _begun(file: Path, lines: Lines, entry: ImageEntry) -> tuple[Iterator[list[str]], list[str]]:
    """Read the header, and find out what stands between the cells; return the reader of the rows, and the header."""
    try:
        line = _next_filled(lines)
        separator = None
        if said := re.fullmatch(r'"?sep=(.)"?\s*', line, re.IGNORECASE):  # Excel's own way of saying it
            separator, line = said[1], _next_filled(lines)
        line = _header_line(line, lines, entry, separator)
        separator = separator or _separator(line, entry)
        reader = csv.reader(chain([line], lines), delimiter=separator, strict=True)
        return reader, [name.strip(BLANKS) for name in next(reader, [])]
    except (csv.Error, LongLine) as exc:
        raise SpecError(Fault(f"the header is not CSV: {exc}", where=_place(file, lines))) from None


def _header_line(first: str, lines: Lines, entry: ImageEntry, separator: str | None) -> str:
    """Find the header: the first of the top lines that has the columns, as a title may stand above it.

    Where none has them the first line is the header, which then says what is missing.
    """
    text, number = first, lines.number
    for _ in range(LOOKED_AT):
        found = [_cells(text, one) for one in ([separator] if separator else SEPARATORS)]
        if any(names is not None and find_columns(names, entry.columns).has_picture for names in found):
            return text
        goes_on = text.count('"') % 2  # a cell in quotes, in the next line
        if (line := next(lines, "") if goes_on else _next_filled(lines)) == "":
            break
        text = text + line if goes_on else line
    lines.number = number
    return first


def _next_filled(lines: Lines) -> str:
    """Return the next line that holds something; "" behind the last."""
    return next((line for line in lines if line.strip(BLANKS + "".join(SEPARATORS))), "")


def _cells(line: str, separator: str) -> list[str] | None:
    """Split a line into cells; None where it is no whole row."""
    try:
        return [name.strip(BLANKS) for name in next(csv.reader([line], delimiter=separator, strict=True), [])]
    except csv.Error:
        return None


def _place(file: Path, lines: Lines) -> str:
    return f"{file}:{max(1, lines.number)}:1"


def _separator(line: str, entry: ImageEntry) -> str:
    """Find the separator that makes a header with the columns of a picture, else the one that makes most cells."""

    def rank(separator: str) -> tuple[bool, int]:
        names = _cells(line, separator)
        return (False, 0) if names is None else (find_columns(names, entry.columns).has_picture, len(names))

    return max(SEPARATORS, key=rank)
