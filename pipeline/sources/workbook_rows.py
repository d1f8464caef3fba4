"""Rows of a sheet in a workbook (.xlsx, .xls, .ods): values as they were when it was saved, formulas too."""

import contextlib
import datetime
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import python_calamine as calamine

from pipeline.errors import SpecError
from pipeline.job.images import ImageEntry
from pipeline.sources.archives import BadArchive
from pipeline.sources.columns import find_columns
from pipeline.sources.encodings import refuse_other_files
from pipeline.sources.headers import BLANKS, LOOKED_AT, Table
from pipeline.sources.number_formats import show
from pipeline.sources.row import Row
from pipeline.sources.workbook_findings import Parts, TooLarge
from pipeline.sources.workbook_xlsx import look_through, require_room
from pipeline.system.fault import Fault

_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_DAMAGED = "this is no whole workbook; open it in a spreadsheet program and save it again"


def workbook_rows(file: Path, entry: ImageEntry) -> Iterator[Row]:
    """Yield the rows of the sheet that the job names, else of the first that is not hidden."""
    with open_workbook(file) as book:
        name = chosen_sheet(book, file, entry)
        rows = _rows_of(book, file, name)
    first = list(islice(rows, LOOKED_AT))
    header = next((row for row in first if _is_header(row[1], entry)), first[0] if first else (1, []))
    names = [cell.strip(BLANKS) for cell in header[1]]
    table = Table(f"{file}:{name}!{header[0]}", names, entry, sheet=name)
    for line, cells in (*(row for row in first if row[0] > header[0]), *rows):
        cells = cells[: table.width]
        yield table.row(line, cells, "".join(cells))


def texts_of_sheet(file: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a sheet that hold something, with their numbers, as texts. Raises OSError and SpecError."""
    with open_workbook(file) as book:
        rows = _rows_of(book, file, name)
    yield from rows


def _rows_of(book: calamine.CalamineWorkbook, file: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    with _readable(file):
        parts = look_through(file, name)
        sheet = book.get_sheet_by_name(name)
    return _texts(file, sheet, parts)


def shown_sheets(file: Path) -> list[str]:
    """Name the sheets of a workbook that are not hidden. Raises OSError and SpecError."""
    with open_workbook(file) as book:
        return [
            one.name
            for one in book.sheets_metadata
            if one.typ == calamine.SheetTypeEnum.WorkSheet and one.visible == calamine.SheetVisibleEnum.Visible
        ]


@contextlib.contextmanager
def open_workbook(file: Path) -> Iterator[calamine.CalamineWorkbook]:
    """Open a workbook, whatever its name says it is. Raises OSError, and SpecError where it is none."""
    with file.open("rb") as raw:
        head = raw.read(512)
        if not head.startswith(_WORKBOOKS):
            refuse_other_files(head, file)
            what = "the file is empty" if not head else "this is no workbook; a table in a text file is called .csv"
            raise SpecError(Fault(what, where=str(file)))
        raw.seek(0)
        with _readable(file):
            require_room(file)
            book = calamine.CalamineWorkbook.from_filelike(raw)
        with book:
            yield book


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Say in words why a workbook cannot be read."""
    try:
        yield
    except calamine.PasswordError:
        raise SpecError(Fault("it is protected with a password; save it without one", where=str(file))) from None
    except (calamine.CalamineError, BadArchive):
        raise SpecError(Fault(_DAMAGED, where=str(file))) from None
    except TooLarge as exc:
        raise SpecError(Fault(str(exc), where=str(file))) from None
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":  # its reader stumbled over what no program writes
            raise
        raise SpecError(Fault(_DAMAGED, where=str(file))) from None


def chosen_sheet(book: calamine.CalamineWorkbook, file: Path, entry: ImageEntry) -> str:
    """Return the name of the sheet to read. Raises SpecError where it is not there."""
    sheets = [one for one in book.sheets_metadata if one.typ == calamine.SheetTypeEnum.WorkSheet]
    shown = [one.name for one in sheets if one.visible == calamine.SheetVisibleEnum.Visible]
    if entry.sheet is None and sheets:
        return shown[0] if shown else sheets[0].name
    names = ", ".join(repr(one.name) for one in sheets[:20]) or "none"
    alike = [one.name for one in sheets if entry.sheet in (one.name, one.name.strip())]
    if not alike:
        what = f"no sheet named {entry.sheet!r}; the sheets are {names}"
        raise SpecError(Fault(what, where=str(file), fix=f"sheet: {shown[0]}" if shown else ""))
    return alike[0]


def tables_in(file: Path) -> Iterator[tuple[str, list[tuple[int, list[str]]]]]:
    """Yield the sheets of a workbook with the rows that hold something, numbered, as texts. Raises SpecError."""
    with open_workbook(file) as book:
        for one in book.sheets_metadata:
            if one.typ == calamine.SheetTypeEnum.WorkSheet:
                with _readable(file):
                    parts, sheet = look_through(file, one.name), book.get_sheet_by_name(one.name)
                yield one.name, list(_texts(file, sheet, parts))


def _is_header(cells: list[str], entry: ImageEntry) -> bool:
    found = find_columns([cell.strip(BLANKS) for cell in cells], entry.columns)
    return found.has_picture


def _texts(file: Path, sheet: calamine.CalamineSheet, parts: Parts) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that hold something, with their numbers, as texts; a merged cell's text is that of each row."""
    left = (sheet.start or (0, 0))[1]
    merged = parts.merged or {begin: end[0] for begin, end in sheet.merged_cell_ranges or [] if end[0] > begin[0]}
    held: dict[int, tuple[int, str]] = {}
    for number, values in enumerate(_values(file, sheet)):
        cells = [_text(value, parts, number, left + at) for at, value in enumerate(values)]
        for column, (last, text) in list(held.items()):
            if last < number:
                del held[column]
            elif 0 <= column - left < len(cells):
                cells[column - left] = cells[column - left] or text
        if merged:
            held |= {
                left + at: (merged[number, left + at], cell)
                for at, cell in enumerate(cells)
                if cell and (number, left + at) in merged
            }
        if "".join(cells).strip(BLANKS):
            yield number + 1, cells


def _values(file: Path, sheet: calamine.CalamineSheet) -> Iterator[list[Any]]:
    with _readable(file):
        yield from sheet.iter_rows()


def _text(value: Any, parts: Parts, row: int, column: int) -> str:
    """Write a cell's value as people see it."""
    if isinstance(value, str):
        return value or parts.errors.get((row, column), "")
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return show(value, parts.formats.at(row, column))
    if isinstance(value, datetime.datetime):
        return (value.date() if value.time() == datetime.time() else value).isoformat()
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)
