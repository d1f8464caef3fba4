"""The table in a list: in which sheet it is, and which of its rows is the header."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SpecError
from pipeline.offline.starting.facts import Facts, IsFile, facts_of, is_place
from pipeline.offline.starting.names import rank_of_id, rank_of_picture, speaks_of_label
from pipeline.sources.archives import BadArchive
from pipeline.sources.columns import find_name
from pipeline.sources.headers import LOOKED_AT
from pipeline.sources.lines import fault_of_text
from pipeline.sources.sketches import Line, Sketch, sketch_tables
from pipeline.sources.workbook_findings import TooLarge
from pipeline.system.fault import Fault, typed
from pipeline.system.wording import count, listed

_SEARCHED = 500  # rows among which the first picture is looked for
_NO_HEADER = -1  # the first row is a product already


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was understood: its sketch, the number of its header's row, its columns and how many rows it has."""

    sketch: Sketch
    header: int
    columns: list[Facts]
    rows: int

    def column(self, name: str) -> Facts | None:
        """Return the column of a name, however it is spelled."""
        there = find_name(name, [column.name for column in self.columns])
        return next((column for column in self.columns if column.name == there), None) if there else None


def find_table(file: Path, is_file: IsFile, *, wanted: tuple[str, ...] = (), encoding: str | None = None) -> Table:
    """Find the table in a file: the first sheet with pictures in it, or with the columns that are `wanted`.

    Raises SpecError where there is none, with what its columns are.
    """
    first: Sketch | None = None
    for sketch in sketch_tables(file, encoding=encoding):
        at = _header_of(sketch, is_file, wanted)
        if at == _NO_HEADER:
            raise SpecError(_without_header(file, sketch, is_file))
        if at is not None:
            return _read(file, sketch, at, is_file)
        first = first or sketch
    raise SpecError(_without_pictures(file, first, wanted))


def _read(file: Path, sketch: Sketch, at: int, is_file: IsFile) -> Table:
    header, names = sketch.rows[at]
    if fault := fault_of_text("".join(names), sketch.guess.encoding):
        raise SpecError(Fault(fault, where=_place(file, sketch, header)))
    rows = [row for row in sketch.rows[at + 1 :] if any(row[1])]
    if not rows:
        raise SpecError(Fault("the header has no rows below it", where=_place(file, sketch, header)))
    columns = [facts_of(name, place, rows, is_file) for place, name in enumerate(names) if name]
    return Table(sketch, header, columns, len(rows))


def _header_of(sketch: Sketch, is_file: IsFile, wanted: tuple[str, ...]) -> int | None:
    """Return which row is the header; None where no row has a picture, or what is wanted."""
    if sketch.has_keys:
        return 0 if len(sketch.rows) > 1 else None
    top = sketch.rows[:LOOKED_AT]
    if wanted:
        return next((at for at, (_, cells) in enumerate(top) if all(find_name(name, cells) for name in wanted)), None)
    width = max((sum(map(bool, cells)) for _, cells in top), default=0)
    for at, (_, cells) in enumerate(sketch.rows[:_SEARCHED]):
        if width > 1 and sum(map(bool, cells)) == 1:  # a title, or a line below the table
            continue
        # The name of a column may be that of a file, too: in the first row only what looks like a picture is one.
        known = is_file if at else _no_file
        for column, cell in enumerate(cells):
            if cell and is_place(cell, known):
                above = [row for row in range(min(at, LOOKED_AT)) if _text_at(top[row], column)]
                return max(above, key=lambda row: (_like_a_header(top[row]), row)) if above else _NO_HEADER
    return None


def _no_file(name: str) -> bool:
    return False


def _text_at(row: Line, column: int) -> bool:
    return column < len(row[1]) and bool(row[1][column])


def _like_a_header(row: Line) -> int:
    """Count the cells that are names of columns, as far as names say so."""
    names = [cell for cell in row[1] if cell and len(cell) <= 60]
    return sum((rank_of_id(name) < 3) + (rank_of_picture(name) < 2) + speaks_of_label(name) for name in names)


def _place(file: Path, sketch: Sketch, number: int) -> str:
    return f"{file}:{sketch.sheet}!{number}" if sketch.sheet else f"{file}:{number}"


def _without_header(file: Path, sketch: Sketch, is_file: IsFile) -> Fault:
    """Say that the table has no header, and write one for it."""
    number, cells = sketch.rows[0]
    facts = [facts_of("", at, sketch.rows, is_file) for at in range(len(cells))]
    picture = next((one for one in facts if one.kind), None)
    id_ = next((one for one in facts if not one.kind and one.is_unique), None)
    names = [
        one.kind if one is picture else "id" if one is id_ else f"column_{one.at + 1}" if one.values else ""
        for one in facts
    ]
    what = "the first row is a product already, and columns are known by their names: write a row of names above it"
    return Fault(what, where=_place(file, sketch, number), fix=(sketch.separator or "\t").join(names))


def _without_pictures(file: Path, sketch: Sketch | None, wanted: tuple[str, ...]) -> Fault:
    if sketch is None or not sketch.rows or not any(sketch.rows[0][1]):
        return Fault("there is no table in it", where=str(file))
    number, cells = sketch.rows[0]
    names = listed([repr(name) for name in cells if name], 20)
    if wanted:
        what = f"no row has {' and '.join(map(repr, wanted))}; the first row has {names}"
        return Fault(what, where=_place(file, sketch, number))
    speaking = [
        name
        for at, name in enumerate(cells)
        if name and rank_of_picture(name) == 0 and any(_text_at(row, at) for row in sketch.rows[1:])
    ]
    fix = typed("init", file, "--picture-column", speaking[0]) if len(speaking) == 1 else ""
    what = (
        f"no column holds pictures: no cell is a URL (https://...) or the name of a picture's file; its columns are "
        f"{names}. A list names one picture a row, as a URL or as a path that starts at its folder"
    )
    return Fault(what + _pictures_over_cells(file, sketch), where=_place(file, sketch, number), fix=fix)


def _pictures_over_cells(file: Path, sketch: Sketch) -> str:
    """Say that a workbook has pictures in it, which nobody can take from there; "" where it has none."""
    if not sketch.sheet:
        return ""
    from pipeline.sources.workbook_xlsx import look_through  # slow to load, and few lists need it

    with contextlib.suppress(OSError, BadArchive, TooLarge):
        if pictures := look_through(file, sketch.sheet).pictures:
            return (
                f". The {count(len(pictures), 'picture')} in or over its cells cannot be taken from it: save them as "
                "files, and name them in a column"
            )
    return ""
