"""The header of a table, whatever file it is in, and the rows below it: one place decides what a column means."""

import difflib
import re

from pipeline.errors import SpecError
from pipeline.job.images import Columns, ImageEntry
from pipeline.sources.columns import Found, columns_written, find_columns, find_name
from pipeline.sources.lines import fault_of_text
from pipeline.sources.row import Row
from pipeline.system.fault import Fault
from pipeline.system.wording import count

LOOKED_AT = 20  # rows from the top that hold something, in which the header is
BLANKS = " \t\r\n\v\f\0\x1a\ufeff\u00a0\u3000"
_ERROR = re.compile(r"#(N/A|REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|SPILL!|CALC!|[A-Z_]+!)")
_SPEAKS_OF_URLS = re.compile(r"url|link|href|image|img|picture|photo|\u56fe|\u94fe\u63a5|\u753b\u50cf", re.IGNORECASE)


class Table:
    """The header of a table, and how its rows are read. Raises SpecError when the header cannot be used.

    place      where the header stands, for people
    encoding   of the text file that the table is in; cells of a workbook are text already
    """

    def __init__(
        self, place: str, header: list[str], entry: ImageEntry, *, encoding: str = "", sheet: str = ""
    ) -> None:
        while header and not header[-1]:
            header.pop()
        self._encoding = encoding
        self._sheet = sheet
        self._header = header
        found = _checked_columns(place, header, encoding, entry)
        at = {name: index for index, name in enumerate(header) if name}  # "" stands for a column that is not there
        self._id, self._url, self._path = (at.get(name) for name in (found.id, found.url, found.path))
        self._views = [at[name] for name in found.views]
        self._view_labels = found.views
        others = [name for name in header if name and name not in (found.id, found.url, found.path)]
        labels = others if entry.columns.labels is None else found.labels
        self._labels = [(name, at[name]) for name in labels]

    @property
    def width(self) -> int:
        """The number of its columns, to the last that has a name."""
        return len(self._header)

    def row(self, line: int, cells: list[str], text: str) -> Row:
        """Read one row from its cells, whose texts are all in `text`; `line` is where it ends in the file.

        Empty cells at its end may be left out.
        """
        if (not text.isascii() or len(cells) > len(self._header)) and (fault := self._fault(cells, text)):
            return Row(line, sheet=self._sheet, fault=fault)
        cells = [cell.strip(BLANKS) for cell in cells]
        if len(cells) < len(self._header):
            cells += [""] * (len(self._header) - len(cells))
        if "#" in text and (fault := self._fault_of_formulas(cells)):
            return Row(line, sheet=self._sheet, fault=fault)
        id_ = "" if self._id is None else cells[self._id]
        url = "" if self._url is None else cells[self._url]
        path = "" if self._path is None else cells[self._path]
        labels = {}
        for name, index in self._labels:
            if cell := cells[index]:
                labels[name] = cell
        views = tuple(cells[index] for index in self._views if cells[index]) if self._views else ()
        # By their places, which takes half the time of their names.
        return Row(line, id_, url, path, labels, "", self._sheet, views, self._view_labels)

    def _fault(self, cells: list[str], text: str) -> str:
        """Say why cells, whose texts are all in `text`, are no row of this table; "" when they are one."""
        width = len(self._header)
        if len(cells) > width and (more := [cell for cell in cells[width:] if cell.strip(BLANKS)]):
            number = 1 + max(at for at, cell in enumerate(cells) if cell.strip(BLANKS))
            too_many = f"{count(number, 'cell')} where the header has {width}: one too many is {more[0][:60]!r}"
            return f"{too_many}; put quotes around a cell that holds the separator"
        return fault_of_text(text, self._encoding)

    def _fault_of_formulas(self, cells: list[str]) -> str:
        """Say which cell shows what a spreadsheet writes where a formula fails; "" when none does that is needed."""
        for at in (self._id, self._url, self._path):
            if at is not None and cells[at].startswith("#") and _ERROR.fullmatch(cells[at]):
                return f"{cells[at]} in the column {self._header[at]!r}: a formula found no value there; mend the cell"
        return ""


def _checked_columns(place: str, header: list[str], encoding: str, entry: ImageEntry) -> Found:
    columns = entry.columns
    if fault := fault_of_text("".join(header), encoding):
        raise SpecError(Fault(fault, where=place))
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise SpecError(Fault(f"the column {twice[0]!r} is there twice; rename one", where=place))
    found = find_columns(header, columns)
    named = ", ".join(repr(name) for name in header[:20]) or "none"
    wanted = [
        (getattr(columns, key), getattr(found, key)) for key in ("id", "url", "path") if key in columns.model_fields_set
    ]
    if "views" in columns.model_fields_set and len(found.views) < len(columns.views):
        wanted += [(name, find_name(name, header)) for name in columns.views]
    if missing := [repr(name) for name, there in wanted if not there] + [
        repr(name) for name, there in zip(columns.labels or [], found.labels, strict=True) if not there
    ]:
        what = f"no column named {' or '.join(missing)}; the columns are {named}"
        raise SpecError(Fault(what, where=place, fix=_meant(columns, header)))
    if not header:
        raise SpecError(Fault("there is no table: nothing is written here", where=place))
    if not found.has_picture:
        what = f"no column named {columns.url!r} or {columns.path!r}; the columns are {named}"
        more = "Say which is which with `columns: {id: ..., url: ...}`"
        raise SpecError(Fault(f"{what}. {more}", where=place, fix=_guess(header)))
    return found


def _meant(columns: Columns, header: list[str]) -> str:
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
