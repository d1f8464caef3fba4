"""The looks of cells in a workbook."""

from typing import Any

from pipeline.results.exports.columns import Kind

_HEAD = {"bold": True, "text_wrap": True, "valign": "top", "bottom": 1, "bg_color": "#E8ECF1", "font_color": "#1B2733"}
_CELL = {"valign": "top", "text_wrap": True}
_AS = {
    Kind.NUMBER: "0.0000##",  # never rounded to a score that it does not reach
    Kind.COUNT: "#,##0",
    Kind.DAY: "yyyy-mm-dd",
    Kind.TIME: "yyyy-mm-dd hh:mm",
}


class Formats:
    """The formats of one workbook, each made once."""

    def __init__(self, book: Any) -> None:
        self.head = book.add_format(_HEAD)
        self.text = book.add_format(_CELL)
        self.line = book.add_format({"valign": "top"})
        self.quoted = book.add_format({"valign": "top", "quote_prefix": True})  # stays text when its cell is edited
        self.decision = book.add_format({**_CELL, "bg_color": "#FFF8E1", "border": 1, "border_color": "#E0D6B8"})
        self.picture = book.add_format({"valign": "vcenter", "align": "center"})
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.strong = book.add_format({"bold": True, "valign": "top"})
        self.of = {kind: book.add_format({"valign": "top", "num_format": code}) for kind, code in _AS.items()}
