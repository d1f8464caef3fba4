"""The content of an .ods, element by element: it says of every cell what it shows."""

from collections.abc import Mapping

from pipeline.sources.number_formats import format_of
from pipeline.sources.workbook_findings import Parts, Reader, bare, number


class Ods(Reader):
    """A sheet of an .ods, or with None all of them; it says of every cell what it shows."""

    takes_text = True

    def __init__(self, parts: Parts, sheet: str | None) -> None:
        self._parts, self._sheet = parts, sheet
        self._inside, self._notes = False, 0
        self._row, self._rows, self._column, self._columns = 0, 1, 0, 1
        self._value, self._shown = "", ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = bare(name)
        if name == "table":
            self._inside = self._sheet in (None, attributes.get("table:name"))
            self._row = 0
            if self._sheet is None:
                self._parts.rows = self._parts.columns = 0
        elif not self._inside:
            return
        elif name == "table-row":
            self._rows = number(attributes.get("table:number-rows-repeated", "1"))
            self._parts.hidden += attributes.get("table:visibility") in ("collapse", "filter")
            self._column = 0
        elif name in ("table-cell", "covered-table-cell"):
            self._columns = number(attributes.get("table:number-columns-repeated", "1"))
            self._value = attributes.get("office:value", "") if attributes.get("office:value-type") == "float" else ""
            self._shown = ""
            if "office:value-type" in attributes:
                self._parts.holds(self._row + self._rows - 1, self._column + self._columns - 1)
            if (spanned := number(attributes.get("table:number-rows-spanned", "1"))) > 1:
                self._parts.merged[self._row, self._column] = self._row + spanned - 1
        elif name == "annotation":
            self._notes += 1

    def text(self, data: str) -> None:
        if self._inside and self._value and not self._notes:
            self._shown += data

    def end(self, name: str) -> None:
        if not self._inside:
            return
        name = bare(name)
        if name in ("table-cell", "covered-table-cell"):
            self._note_format()
            self._column += self._columns
        elif name == "table-row":
            self._row += self._rows
        elif name == "annotation":
            self._notes -= 1
        elif name == "table":
            self._inside = False

    def _note_format(self) -> None:
        try:
            code = format_of(self._shown.strip(), float(self._value)) if self._value and self._sheet else ""
        except ValueError:
            return
        for row in range(self._row, self._row + self._rows if code else self._row):
            for column in range(self._column, self._column + self._columns):
                self._parts.formats.add(row, column, code)
