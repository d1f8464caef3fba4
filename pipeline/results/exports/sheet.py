"""A table in a workbook: a header that stays in sight, a filter, pictures, and decisions to choose."""

from collections.abc import Mapping
from datetime import date, datetime
from io import BytesIO
from types import MappingProxyType
from typing import Any

from xlsxwriter.image import Image

from pipeline.results.cells import LONGEST, looks_like_formula, visible
from pipeline.results.decisions import CHOICES
from pipeline.results.exports.columns import REMEMBERED, Column, Kind, Row, Value
from pipeline.results.exports.export import CELL, Export
from pipeline.results.exports.sheet_formats import Formats
from pipeline.results.exports.texts import PRACTICE

MOST_ROWS = 1_048_575  # of a sheet, below its header
ROW_PX = 96  # of a row with pictures
_EDGE_PX = 3
_COLUMN_PX = 103  # of 14 characters
_CHOOSE = {
    "validate": "list",
    "source": list(CHOICES),
    "error_title": "No such decision",
    "error_message": f"Choose {', '.join(CHOICES)}, or leave it empty.",
}
# Quoted as the vendor's: no word of these is ours.
_ITS_WORDS = "vendor_writes_"
_NUMBERS, _MOMENTS = (Kind.NUMBER, Kind.COUNT), (Kind.DAY, Kind.TIME)
PICTURES = ("picture", "design")  # columns


class Table:
    """A table that is written row by row."""

    def __init__(self, book: Any, name: str, columns: list[Column], formats: Formats, export: Export) -> None:
        """Begin a sheet called `name`."""
        self._book, self._name, self._formats, self._export = book, name, formats, export
        self._columns = [*columns, *REMEMBERED]
        self._cells = [
            (
                at,
                column,
                self._number if column.kind in _NUMBERS else self._moment if column.kind in _MOMENTS else self._text,
            )
            for at, column in enumerate(self._columns)
            if column.name not in PICTURES
        ]
        self._pictures = {column.name: at for at, column in enumerate(columns) if column.name in PICTURES}
        self._shown = len(columns)
        self._images: dict[bytes, Image] = {}
        self._sheets = self._all = 0
        self._begin()

    def add(self, row: Row, pictures: Mapping[str, bytes | None] = MappingProxyType({})) -> None:
        """Write a row, with its pictures by the name of their column."""
        if self._row == MOST_ROWS:
            self._finish()
            self._begin()
        self._row += 1
        self._all += 1
        for at, column, write in self._cells:
            value = row.get(column.name)
            if value is not None:
                write(at, column, value)
        for name, picture in pictures.items():
            if picture is not None and name in self._pictures:
                self._draw(self._pictures[name], picture)

    def end(self) -> int:
        """Finish the table; return how many rows it has."""
        self._finish()
        return self._all

    def _begin(self) -> None:
        self._sheets += 1
        self._row = 0
        name = self._name if self._sheets == 1 else f"{self._name} {self._sheets}"
        self._sheet = sheet = self._book.add_worksheet(name)
        if self._pictures:
            sheet.set_default_row(ROW_PX * 0.75)  # in points
        sheet.set_row(0, 45)
        sheet.freeze_panes(1, 1)
        for at, column in enumerate(self._columns):
            style = self._formats.decision if column.name == "decision" else None
            sheet.set_column(at, at, column.width, style, {"hidden": at >= self._shown})
            sheet.write_string(0, at, fit(column.heading, 200), self._formats.head)
        prepare_print(sheet, self._export)

    def _finish(self) -> None:
        last = max(self._row, 1)
        self._sheet.autofilter(0, 0, last, self._shown - 1)
        self._sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
        decision = next(at for at, column in enumerate(self._columns) if column.name == "decision")
        self._sheet.data_validation(1, decision, last, decision, _CHOOSE)

    def _number(self, at: int, column: Column, value: Value) -> None:
        self._sheet.write_number(self._row, at, value, self._formats.of[column.kind])

    def _moment(self, at: int, column: Column, value: Value) -> None:
        moment = _moment(column.kind, str(value))
        if moment is None:
            self._text(at, column, value)
        else:
            self._sheet.write_datetime(self._row, at, moment, self._formats.of[column.kind])

    def _text(self, at: int, column: Column, value: Value) -> None:
        text = fit(str(value), LONGEST - 2)
        if column.name.startswith(_ITS_WORDS):
            text = f"“{text}”"
        style = self._formats.text if self._pictures else self._formats.line  # high rows have room for long texts
        if column.name == "decision":
            style = self._formats.decision
        elif looks_like_formula(text):
            style = self._formats.quoted
        self._sheet.write_string(self._row, at, text, style)

    def _draw(self, at: int, picture: bytes) -> None:
        image = self._images.get(picture)
        if image is None:
            self._images[picture] = image = Image(BytesIO(picture))
        options: dict[str, Any] = {"description": self._columns[at].heading}
        if self._export.pictures == CELL:
            self._sheet.embed_image(self._row, at, image, {**options, "cell_format": self._formats.picture})
            return
        scale = min((ROW_PX - 2 * _EDGE_PX) / image.height, (_COLUMN_PX - 2 * _EDGE_PX) / image.width, 1.0)
        options |= {"x_scale": scale, "y_scale": scale, "x_offset": _EDGE_PX, "y_offset": _EDGE_PX}
        options |= {"image_data": BytesIO(picture), "object_position": 1}
        self._sheet.insert_image(self._row, at, "picture.jpg", options)


def fit(text: str, most: int = LONGEST) -> str:
    """Return a text that a cell can hold. XlsxWriter takes one in <r> for its own XML: a blank before it ends that."""
    text = visible(text, most)
    return f" {text}" if text.startswith("<r>") else text


def _moment(kind: Kind, text: str) -> date | datetime | None:
    """Read a day or a time, in UTC; None for what is none, or is before the first day that Excel knows."""
    if kind not in (Kind.DAY, Kind.TIME):
        return None
    try:
        moment = (
            date.fromisoformat(text[:10]) if kind is Kind.DAY else datetime.fromisoformat(text).replace(tzinfo=None)
        )
    except ValueError:
        return None
    return moment if moment.year > 1900 else None


def prepare_print(sheet: Any, export: Export) -> None:
    """Make a sheet print on pages as wide as paper, each with header, number, and what it is not."""
    about = export.about
    practice = PRACTICE if about.practice else ""
    title = visible(about.title, 80).replace("&", "&&")
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    sheet.set_header(f"&L{title}&R{practice}As of {about.as_of[:10]}")
    sheet.set_footer("&LNot legal advice&RPage &P of &N")
