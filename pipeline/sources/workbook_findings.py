"""The findings about a sheet of a workbook, and what readers of its XML share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers.expat import XMLParserType

from pipeline.sources.number_formats import Formats

MOST_CELLS = 20_000_000  # of the box around all cells; each takes some 32 bytes


class TooLarge(Exception):
    """A sheet that is too large to be read, with the reason as its text."""


@dataclass(slots=True)
class Parts:
    """The findings about one sheet. Not frozen: the look through it adds to them.

    rows, columns  from the first cell of the sheet to the last that holds something
    merged         in an .ods, the last row of each cell that reaches over several, by its row and column
    formulas       that have no value yet
    errors         what cells without a value show instead, as #N/A, by their row and column
    """

    formats: Formats = field(default_factory=Formats)
    merged: dict[tuple[int, int], int] = field(default_factory=dict)
    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    pictures: list[str] = field(default_factory=list)
    rows: int = 0
    columns: int = 0
    hidden: int = 0
    formulas: int = 0

    def holds(self, row: int, column: int) -> None:
        """Note a cell that holds something. Raises TooLarge."""
        if row < self.rows and column < self.columns:
            return
        self.rows, self.columns = max(self.rows, row + 1), max(self.columns, column + 1)
        if self.rows * self.columns > MOST_CELLS:
            raise TooLarge(
                f"the sheet reaches to row {self.rows:,} and column {self.columns:,}; delete what stands far outside "
                "of its table, or save it as .csv"
            )


class Reader:
    """A reader of the elements of an XML file; their names may have prefixes."""

    takes_text = False
    parser: XMLParserType | None = None  # that is at work; it can be told to give text for a while

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take the beginning of an element."""

    def end(self, name: str) -> None:
        """Take the end of an element."""

    def text(self, data: str) -> None:
        """Take text."""


def bare(name: str) -> str:
    """Return the name of an element without its prefix."""
    return name.rpartition(":")[2] if ":" in name else name


def number(text: str | None) -> int:
    """Read a whole number of up to nine digits; 0 for anything else."""
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,9}", text) else 0
