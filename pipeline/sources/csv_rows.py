"""Rows of a table in a text file: commas, semicolons, tabs or bars between its cells."""

import csv
import difflib
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from pipeline.errors import SpecError
from pipeline.job.schema import Columns, ImageEntry
from pipeline.sources.columns import Found, columns_written, find_columns
from pipeline.sources.lines import Lines, LongLine, fault_of_text, open_lines
from pipeline.sources.row import Row
from pipeline.system.fault import Fault
from pipeline.system.wording import count

_SEPARATORS = (",", ";", "\t", "|")
_SPEAKS_OF_URLS = re.compile(r"url|link|href|image|img|picture|photo|\u56fe|\u94fe\u63a5|\u753b\u50cf", re.IGNORECASE)
_BLANKS = " \t\r\n\v\f\0\x1a\ufeff\u00a0\u3000"


def csv_rows(file: Path, entry: ImageEntry) -> Iterator[Row]:
    """Yield the rows of a table."""
    with open_lines(file, entry) as lines:
        reader, header = _begun(file, lines, entry)
        table = _Table(file, header, lines, entry)
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
            if "".join(cells).strip(_BLANKS):
                yield table.row(lines.number, cells)


def _begun(file: Path, lines: Lines, entry: ImageEntry) -> tuple[Iterator[list[str]], list[str]]:
    """Read the header, and find out what stands between the cells; return the reader of the rows, and the header."""
    try:
        line = next((line for line in lines if line.strip(_BLANKS + "".join(_SEPARATORS))), "")
        separator = None
        if said := re.fullmatch(r'"?sep=(.)"?\s*', line, re.IGNORECASE):  # Excel's own way of saying it
            separator, line = said[1], next(lines, "")
        separator = separator or _separator(line, entry)
        reader = csv.reader(chain([line], lines), delimiter=separator, strict=True)
        return reader, [name.strip(_BLANKS) for name in next(reader, [])]
    except (csv.Error, LongLine) as exc:
        raise SpecError(Fault(f"the header is not CSV: {exc}", where=f"{file}:{max(1, lines.number)}:1")) from None


def _separator(line: str, entry: ImageEntry) -> str:
    """Find the separator that makes a header with the columns of a picture, else the one that makes most cells."""

    def rank(separator: str) -> tuple[bool, int]:
        try:
            names = next(csv.reader([line], delimiter=separator, strict=True), [])
        except csv.Error:
            return False, 0
        found = find_columns([name.strip(_BLANKS) for name in names], entry.columns)
        return bool(found.url or found.path), len(names)

    return max(_SEPARATORS, key=rank)


class _Table:
    """The header of a table, and how its rows are read. Raises SpecError when the header cannot be used."""

    def __init__(self, file: Path, header: list[str], lines: Lines, entry: ImageEntry) -> None:
        while header and not header[-1]:
            header.pop()
        self._lines = lines
        self._header = header
        found = _checked_columns(f"{file}:{max(1, lines.number)}:1", header, lines, entry)
        at = {name: index for index, name in enumerate(header)}
        self._id, self._url, self._path = (at.get(name) for name in (found.id, found.url, found.path))
        others = [name for name in header if name and name not in (found.id, found.url, found.path)]
        labels = others if entry.columns.labels is None else found.labels
        self._labels = [(name, at[name]) for name in labels]

    def row(self, line: int, cells: list[str]) -> Row:
        """Read one row from its cells; `line` is where it ends in the file. Empty cells at its end may be left out."""
        width = len(self._header)
        if len(cells) > width and (more := [cell for cell in cells[width:] if cell.strip(_BLANKS)]):
            fault = f"{count(width + len(more), 'cell')} where the header has {width}"
            return Row(line, fault=f"{fault}: one too many is {more[0][:60]!r}; put quotes around a cell with a comma")
        if fault := fault_of_text("".join(cells), self._lines.encoding):
            return Row(line, fault=fault)
        cells = [cell.strip(_BLANKS) for cell in cells] + [""] * (width - len(cells))
        return Row(
            line,
            id="" if self._id is None else cells[self._id],
            url="" if self._url is None else cells[self._url],
            path="" if self._path is None else cells[self._path],
            labels={name: cells[index] for name, index in self._labels if cells[index]},
        )


def _checked_columns(place: str, header: list[str], lines: Lines, entry: ImageEntry) -> Found:
    columns = entry.columns
    if fault := fault_of_text("".join(header), lines.encoding):
        raise SpecError(Fault(fault, where=place))
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise SpecError(Fault(f"the column {twice[0]!r} is there twice; rename one", where=place))
    found = find_columns(header, columns)
    named = ", ".join(repr(name) for name in header[:20]) or "none"
    wanted = [
        (getattr(columns, key), getattr(found, key)) for key in ("id", "url", "path") if key in columns.model_fields_set
    ]
    if missing := [repr(name) for name, there in wanted if not there] + [
        repr(name) for name, there in zip(columns.labels or [], found.labels, strict=True) if not there
    ]:
        what = f"no column named {' or '.join(missing)}; the columns are {named}"
        raise SpecError(Fault(what, where=place, fix=_meant(columns, found, header)))
    if not found.url and not found.path:
        what = f"no column named {columns.url!r} or {columns.path!r}; the columns are {named}"
        more = "Say which is which with `columns: {id: ..., url: ...}`"
        raise SpecError(Fault(f"{what}. {more}", where=place, fix=_guess(header)))
    return found


def _meant(columns: Columns, found: Found, header: list[str]) -> str:
    """Write the columns that a job names with the names that are there, where each can only be meant so; else ""."""
    named: dict[str, object] = {}
    for key in columns.model_fields_set:
        wanted = getattr(columns, key)
        names = [_near(name, header) for name in (wanted if isinstance(wanted, list) else [wanted])]
        if "" in names:
            return ""
        named[key] = names if isinstance(wanted, list) else names[0]
    return columns_written(named)


def _near(name: str, header: list[str]) -> str:
    return next(iter(difflib.get_close_matches(name, header, n=1)), "")


def _guess(header: list[str]) -> str:
    """Write which column has the pictures, where the name of one alone speaks of them; else ""."""
    urls = [name for name in header if _SPEAKS_OF_URLS.search(name)]
    return columns_written({"url": urls[0]}) if len(urls) == 1 else ""
