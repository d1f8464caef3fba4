"""The parts of an .xlsx or .ods that its reader does not tell: how numbers are shown, what is hidden, pictures in it.

A sheet is looked through before it is read: a stray cell in the last row and column would fill all memory.
"""

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from xml.parsers import expat

from pipeline.sources.archives import BadArchive, Member, chunks_of, members_of
from pipeline.sources.number_formats import Formats, format_of

MOST_CELLS = 20_000_000  # of the box around all cells; each takes some 32 bytes
_MOST_BYTES = 1 << 30  # of a part of a workbook, unpacked
_SHOWN_BY_ID = {2: "0.00"}  # of the formats that every workbook has, the one that fixes digits
_PICTURES = ("xl/media/", "pictures/")


class TooLarge(Exception):
    """A sheet that is too large to be read, with the reason as its text."""


@dataclass(slots=True)
class Parts:
    """The findings about one sheet. Not frozen: the look through it adds to them.

    rows, columns  from the first cell of the sheet to the last that holds something
    merged         in an .ods, the last row of each cell that reaches over several, by its row and column
    formulas       that have no value yet
    """

    formats: Formats = field(default_factory=Formats)
    merged: dict[tuple[int, int], int] = field(default_factory=dict)
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


def look_through(file: Path, sheet: str) -> Parts:
    """Look through a sheet of a workbook; of an .xls nothing is found. Raises OSError, BadArchive and TooLarge."""
    with file.open("rb") as raw:
        if raw.read(4) != b"PK\x03\x04":
            return Parts()
    members = members_of(file)
    for member in members.values():
        if member.size > _MOST_BYTES:
            raise TooLarge(f"a part of it unpacks to {member.size >> 20:,} MiB; save it as .csv")
    parts = Parts(pictures=[name for name in members if name.lower().startswith(_PICTURES)])
    if "content.xml" in members:
        _parse(file, members["content.xml"], _Ods(parts, sheet))
    elif "xl/workbook.xml" in members:
        _look_through_xlsx(file, members, parts, sheet)
    return parts


def require_room(file: Path) -> None:
    """Look through all sheets of an .ods, which are read together. Raises OSError, BadArchive and TooLarge."""
    if zipfile.is_zipfile(file) and (member := members_of(file).get("content.xml")) is not None:
        _parse(file, member, _Ods(Parts(), None))


class _Reader:
    """A reader of the elements of an XML file; their names may have prefixes."""

    takes_text = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take the beginning of an element."""

    def end(self, name: str) -> None:
        """Take the end of an element."""

    def text(self, data: str) -> None:
        """Take text."""


def _parse(file: Path, member: Member, reader: _Reader) -> None:
    """Read a member through; whatever its size claims to be, it is not read much further than is allowed."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text if reader.takes_text else None
    parser.EntityDeclHandler = _refuse_entities
    given = 0
    try:
        with file.open("rb") as raw:
            for chunk in chunks_of(raw, member, most=_MOST_BYTES):
                given += len(chunk)
                if given > _MOST_BYTES:
                    raise TooLarge(f"a part of it unpacks to more than {_MOST_BYTES >> 20:,} MiB; save it as .csv")
                parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as exc:
        raise BadArchive(f"{member.name} in it is no XML: {exc}") from None


def _refuse_entities(*_: object) -> None:
    raise BadArchive("it declares entities, as no spreadsheet program does")


def _look_through_xlsx(file: Path, members: Mapping[str, Member], parts: Parts, sheet: str) -> None:
    book, links, styles = _Elements("sheet"), _Elements("Relationship"), _Styles()
    _parse(file, members["xl/workbook.xml"], book)
    if (member := members.get("xl/_rels/workbook.xml.rels")) is not None:
        _parse(file, member, links)
    if (member := members.get("xl/styles.xml")) is not None:
        _parse(file, member, styles)
    ids = [
        value for found in book.found if found.get("name") == sheet for key, value in found.items() if key[-3:] == ":id"
    ]
    targets = {link.get("Id"): link.get("Target", "") for link in links.found}
    target = targets.get(ids[0], "") if ids else ""
    name = target.lstrip("/") if target.startswith("/") else str(PurePosixPath("xl") / target)
    if (member := members.get(name)) is not None:
        _parse(file, member, _Xlsx(parts, dict(styles.codes())))
    shared = members.get("xl/sharedStrings.xml")
    if shared is not None:
        _parse(file, shared, _Reader())  # read through for its real size


class _Elements(_Reader):
    """The attributes of all elements of one name."""

    def __init__(self, name: str) -> None:
        self.found: list[dict[str, str]] = []
        self._name = name

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if _bare(name) == self._name:
            self.found.append(dict(attributes))


class _Styles(_Reader):
    """The number formats of an .xlsx, by the style of a cell."""

    def __init__(self) -> None:
        self._formats = dict(_SHOWN_BY_ID)
        self._styles: list[int] = []
        self._inside = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = _bare(name)
        if name == "numFmt":
            self._formats[_number(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
        elif name == "xf" and self._inside:
            self._styles.append(_number(attributes.get("numFmtId")))
        self._inside = self._inside or name == "cellXfs"

    def end(self, name: str) -> None:
        self._inside = self._inside and _bare(name) != "cellXfs"

    def codes(self) -> Iterator[tuple[str, str]]:
        """Yield the styles that fix digits, as cells name them, with their formats."""
        for style, number in enumerate(self._styles):
            code = self._formats.get(number, "")
            if "0" in code:
                yield str(style), code


class _Xlsx(_Reader):
    """A sheet of an .xlsx."""

    def __init__(self, parts: Parts, codes: Mapping[str, str]) -> None:
        self._parts, self._codes = parts, codes
        self._row, self._column = -1, -1
        self._formula = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = _bare(name)
        if name == "c":
            self._column = _column(attributes["r"]) if "r" in attributes else self._column + 1
            self._formula = False
            if (code := self._codes.get(attributes.get("s", ""))) is not None:
                self._parts.formats.add(self._row, self._column, code)
        elif name in ("v", "is"):
            self._formula = False
            self._parts.holds(self._row, self._column)
        elif name == "row":
            self._row = _number(attributes["r"]) - 1 if "r" in attributes else self._row + 1
            self._column = -1
            self._parts.hidden += attributes.get("hidden") in ("1", "true")
        elif name == "f":
            self._formula = True

    def end(self, name: str) -> None:
        if self._formula and _bare(name) == "c":
            self._parts.formulas += 1
            self._formula = False


class _Ods(_Reader):
    """A sheet of an .ods, or with None all of them; it says of every cell what it shows."""

    takes_text = True

    def __init__(self, parts: Parts, sheet: str | None) -> None:
        self._parts, self._sheet = parts, sheet
        self._inside, self._notes = False, 0
        self._row, self._rows, self._column, self._columns = 0, 1, 0, 1
        self._value, self._shown = "", ""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = _bare(name)
        if name == "table":
            self._inside = self._sheet in (None, attributes.get("table:name"))
            self._row = 0
            if self._sheet is None:
                self._parts.rows = self._parts.columns = 0
        elif not self._inside:
            return
        elif name == "table-row":
            self._rows = _number(attributes.get("table:number-rows-repeated", "1"))
            self._parts.hidden += attributes.get("table:visibility") in ("collapse", "filter")
            self._column = 0
        elif name in ("table-cell", "covered-table-cell"):
            self._columns = _number(attributes.get("table:number-columns-repeated", "1"))
            self._value = attributes.get("office:value", "") if attributes.get("office:value-type") == "float" else ""
            self._shown = ""
            if "office:value-type" in attributes:
                self._parts.holds(self._row + self._rows - 1, self._column + self._columns - 1)
            if (spanned := _number(attributes.get("table:number-rows-spanned", "1"))) > 1:
                self._parts.merged[self._row, self._column] = self._row + spanned - 1
        elif name == "annotation":
            self._notes += 1

    def text(self, data: str) -> None:
        if self._inside and self._value and not self._notes:
            self._shown += data

    def end(self, name: str) -> None:
        if not self._inside:
            return
        name = _bare(name)
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


def _bare(name: str) -> str:
    """Return the name of an element without its prefix."""
    return name.rpartition(":")[2] if ":" in name else name


def _number(text: str | None) -> int:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,9}", text) else 0


def _column(place: str) -> int:
    """Return the number of the column in a place such as `AB12`, from 0."""
    letters = place.rstrip("0123456789")
    return _LETTERS.get(letters, -1) if len(letters) == 1 else _number_of(letters)


_LETTERS = {letter: at for at, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}


@lru_cache(maxsize=1000)
def _number_of(letters: str) -> int:
    number = 0
    for letter in letters.upper()[:4]:
        number = number * 26 + _LETTERS.get(letter, -1) + 1
    return number - 1
