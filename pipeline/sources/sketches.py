"""The top of a table as it lies in its file, read before anybody knows what its columns are called."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import SpecError
from pipeline.job.checks import WORKBOOK_ENDINGS
from pipeline.job.images import ImageEntry
from pipeline.sources.csv_rows import SEPARATORS
from pipeline.sources.guessed_encoding import Guess, guess_encoding
from pipeline.sources.headers import BLANKS
from pipeline.sources.lines import Lines, LongLine, open_lines
from pipeline.system.fault import Fault

MOST_ROWS = 20_000  # that are looked at; what is said of columns holds for these
_SHEETS = 20
_LINES = 60  # from which the separator is found

Line = tuple[int, list[str]]  # a row's number in its file, and its cells


class Sketch(NamedTuple):
    """The rows of a table from the top, each with the number of its line; empty ones are left out.

    guess      how a text file is encoded; a workbook's cells are text already
    separator  what stands between the cells of a text file
    sheet      of a workbook
    has_keys   True where the first row is the names of the columns for certain, as keys of JSON objects are
    """

    rows: list[Line]
    guess: Guess = Guess("utf-8")
    separator: str = ""
    sheet: str = ""
    has_keys: bool = False

    @property
    def is_cut(self) -> bool:
        """True where the table goes on below the rows that were looked at."""
        return len(self.rows) > MOST_ROWS


def sketch_tables(file: Path, *, encoding: str | None = None) -> Iterator[Sketch]:
    """Sketch a text file's table, or each sheet of a workbook that is not hidden. Raises SpecError."""
    name = file.name.lower()
    try:
        if name.endswith(WORKBOOK_ENDINGS):
            yield from _of_workbook(file)
        elif name.endswith(".jsonl"):
            yield _of_objects(file, _guess(file, encoding))
        else:
            yield _of_text(file, _guess(file, encoding))
    except OSError as exc:
        raise SpecError(Fault(f"cannot be read: {exc.strerror or exc}", where=str(file))) from None
    except UnicodeError:
        raise SpecError(Fault("this is no text of any usual encoding; save it as UTF-8", where=str(file))) from None


def _guess(file: Path, encoding: str | None) -> Guess:
    return Guess(encoding) if encoding is not None else guess_encoding(file)


def _of_workbook(file: Path) -> Iterator[Sketch]:
    from pipeline.sources.workbook_rows import shown_sheets, texts_of_sheet  # its library is slow to load

    for sheet in shown_sheets(file)[:_SHEETS]:
        rows = ((number, _stripped(cells)) for number, cells in texts_of_sheet(file, sheet))
        yield Sketch(list(islice(rows, MOST_ROWS + 1)), sheet=sheet)


def _of_text(file: Path, guess: Guess) -> Sketch:
    entry = ImageEntry.model_validate({"manifest": file.name, "encoding": guess.encoding})
    with open_lines(file, entry) as lines:
        separator = _separator(list(islice(_sound(lines), _LINES)))
    with open_lines(file, entry) as lines:
        return Sketch(list(islice(_rows(lines, separator), MOST_ROWS + 1)), guess, separator)


def _rows(lines: Lines, separator: str) -> Iterator[Line]:
    reader = csv.reader(_sound(lines), delimiter=separator)
    while True:
        try:
            cells = _stripped(next(reader))
        except StopIteration:
            return
        except csv.Error:  # one row; whoever reads the job's rows says which
            continue
        if any(cells) and not (cells[0].lower().startswith("sep=") and not any(cells[1:])):
            yield lines.number, cells


def _sound(lines: Lines) -> Iterator[str]:
    """Yield the lines that are no longer than a row may be."""
    while True:
        try:
            yield next(lines)
        except StopIteration:
            return
        except LongLine:
            continue


def _separator(lines: list[str]) -> str:
    """Find the separator that cuts most of the lines into one same number of cells, and into most of them."""

    def rank(separator: str) -> tuple[int, int]:
        try:
            widths = Counter(len(cells) for cells in csv.reader(lines, delimiter=separator) if len(cells) > 1)
        except csv.Error:
            return 0, 0
        width, times = max(widths.items(), key=lambda known: (known[1], known[0]), default=(0, 0))
        return times, width

    said = next((line.strip().strip('"') for line in lines if line.strip()), "")
    if said.lower().startswith("sep=") and len(said) == 5:  # Excel's own way of saying it
        return said[4]
    return max(SEPARATORS, key=rank)


def _of_objects(file: Path, guess: Guess) -> Sketch:
    entry = ImageEntry.model_validate({"manifest": file.name, "encoding": guess.encoding})
    found: list[tuple[int, dict[str, object]]] = []
    with open_lines(file, entry) as lines:
        for line in _sound(lines):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                found.append((lines.number, value))
            if len(found) > MOST_ROWS:
                break
    keys = list(dict.fromkeys(key for _, value in found for key in value))
    rows = [(number, [_text(value.get(key)) for key in keys]) for number, value in found]
    return Sketch([(0, keys), *rows], guess, has_keys=True)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _stripped(cells: list[str]) -> list[str]:
    return [cell.strip(BLANKS) for cell in cells]
