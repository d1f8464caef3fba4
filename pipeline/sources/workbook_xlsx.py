"""The parts of an .xlsx or .ods that its reader does not tell: how numbers are shown, what is hidden, pictures in it.

A sheet is looked through before it is read: a stray cell in the last row and column would fill all memory.
"""

import zipfile
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from xml.parsers import expat

from pipeline.sources.archives import BadArchive, Member, chunks_of, members_of
from pipeline.sources.workbook_findings import Parts, Reader, TooLarge, bare, number
from pipeline.sources.workbook_ods import Ods

_MOST_BYTES = 1 << 30  # of a part of a workbook, unpacked
_SHOWN_BY_ID = {2: "0.00"}  # of the formats that every workbook has, the one that fixes digits
_PICTURES = ("xl/media/", "pictures/")


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
        _parse(file, members["content.xml"], Ods(parts, sheet))
    elif "xl/workbook.xml" in members:
        _look_through_xlsx(file, members, parts, sheet)
    return parts


def require_room(file: Path) -> None:
    """Look through all sheets of an .ods, which are read together. Raises OSError, BadArchive and TooLarge."""
    if zipfile.is_zipfile(file) and (member := members_of(file).get("content.xml")) is not None:
        _parse(file, member, Ods(Parts(), None))


def _parse(file: Path, member: Member, reader: Reader) -> None:
    """Read a member through; whatever its size claims to be, it is not read much further than is allowed."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text if reader.takes_text else None
    parser.EntityDeclHandler = _refuse_entities
    reader.parser = parser
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
        _parse(file, shared, Reader())  # read through for its real size


class _Elements(Reader):
    """The attributes of all elements of one name."""

    def __init__(self, name: str) -> None:
        self.found: list[dict[str, str]] = []
        self._name = name

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if bare(name) == self._name:
            self.found.append(dict(attributes))


class _Styles(Reader):
    """The number formats of an .xlsx, by the style of a cell."""

    def __init__(self) -> None:
        self._formats = dict(_SHOWN_BY_ID)
        self._styles: list[int] = []
        self._inside = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = bare(name)
        if name == "numFmt":
            self._formats[number(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
        elif name == "xf" and self._inside:
            self._styles.append(number(attributes.get("numFmtId")))
        self._inside = self._inside or name == "cellXfs"

    def end(self, name: str) -> None:
        self._inside = self._inside and bare(name) != "cellXfs"

    def codes(self) -> Iterator[tuple[str, str]]:
        """Yield the styles that fix digits, as cells name them, with their formats."""
        for style, format_ in enumerate(self._styles):
            code = self._formats.get(format_, "")
            if "0" in code:
                yield str(style), code


class _Xlsx(Reader):
    """A sheet of an .xlsx."""

    def __init__(self, parts: Parts, codes: Mapping[str, str]) -> None:
        self._parts, self._codes = parts, codes
        self._row, self._column, self._number = -1, -1, ""
        self._formula = self._reads_value = False
        self._error: str | None = None  # what a cell shows in place of a value

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = bare(name)
        if name == "c":
            self._place(attributes.get("r", ""))
            self._formula = False
            if (code := self._codes.get(attributes.get("s", ""))) is not None:
                self._parts.formats.add(self._row, self._column, code)
            if attributes.get("t") == "e" and self.parser is not None:
                self._error, self.parser.CharacterDataHandler = "", self.text
        elif name in ("v", "is"):
            if name == "v" and self._formula and self._error is None and self.parser is not None:
                # An empty one, as some programs write it, is no value.
                self._reads_value, self.parser.CharacterDataHandler = True, self._value
            else:
                self._formula = False
            self._parts.holds(self._row, self._column)
        elif name == "row":
            self._row = number(attributes["r"]) - 1 if "r" in attributes else self._row + 1
            self._number = attributes.get("r", "")
            self._column = -1
            self._parts.hidden += attributes.get("hidden") in ("1", "true")
        elif name == "f":
            self._formula = True

    def text(self, data: str) -> None:
        self._error = (self._error or "") + data

    def _value(self, data: str) -> None:
        self._formula = False

    def end(self, name: str) -> None:
        name = bare(name)
        if self._reads_value and name == "v":
            assert self.parser is not None
            self._reads_value, self.parser.CharacterDataHandler = False, None
        if self._formula and name == "c":
            self._parts.formulas += 1
            self._formula = False
        if self._error is not None and name == "c":
            assert self.parser is not None
            self._parts.errors[self._row, self._column] = "#" + self._error.rpartition("#")[2]  # not its formula
            self._error, self.parser.CharacterDataHandler = None, None

    def _place(self, place: str) -> None:
        """Find out where a cell stands: `AB12`, or behind the last one where it does not say."""
        if not place:
            self._column += 1
            return
        letters = place.removesuffix(self._number)
        if not letters.isalpha():  # a cell of another row than the one that it is in
            letters = place.rstrip("0123456789")
            self._row = number(place[len(letters) :]) - 1
        self._column = _LETTERS[letters] if letters in _LETTERS else _number_of(letters)


_LETTERS = {letter: at for at, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")}


@lru_cache(maxsize=1000)
def _number_of(letters: str) -> int:
    """Return the number of the column that is called so, from 0."""
    column = 0
    for letter in letters.upper()[:4]:
        column = column * 26 + _LETTERS.get(letter, -1) + 1
    return column - 1
