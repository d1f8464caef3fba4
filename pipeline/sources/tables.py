"""Rows of a manifest, streamed: a file of a million rows is never held in memory.

A row that cannot be used is yielded too, with its line and what is wrong with it; no row is dropped.
"""

import contextlib
import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.endpoints.strict_json import nests_deeper
from pipeline.errors import SpecError
from pipeline.job.schema import Columns, ImageEntry

MAX_LINE = 1 << 20  # characters
MAX_DEPTH = 100  # levels of a JSONL row; it needs two


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a manifest.

    line: where the row ends in the file, counted from 1
    id, url, path: the cells of these columns; "" when empty
    labels: name to text; None when there are none
    fault: why the row cannot be used; "" when it can
    """

    line: int
    id: str = ""
    url: str = ""
    path: str = ""
    labels: dict[str, str] | None = None
    fault: str = ""


def read_rows(file: Path, entry: ImageEntry) -> Iterator[Row]:
    """Yield the rows of the manifest `file`, which `entry` of the job names.

    Raises SpecError when the file cannot be read, or has neither a url nor a path column.
    """
    read = next(read for ending, read in READERS.items() if file.name.lower().endswith(ending))
    try:
        yield from read(file, entry)
    except OSError as exc:
        raise SpecError(f"{file}: cannot read the manifest: {exc.strerror}") from None
    except UnicodeError:
        raise SpecError(f"{file}: this is not {entry.encoding} text; set `encoding:` beside `manifest:`") from None


@contextlib.contextmanager
def _opened(file: Path, entry: ImageEntry) -> Iterator[Iterator[str]]:
    """Open a text file for its lines. A byte that is no text of its encoding spoils one row, not the whole file."""
    encoding = "utf-8-sig" if entry.encoding == "utf-8" else entry.encoding
    with file.open(encoding=encoding, errors="surrogateescape", newline="") as text:
        yield _bounded(file, iter(lambda: text.readline(MAX_LINE), ""))


def _bounded(file: Path, lines: Iterator[str]) -> Iterator[str]:
    """Refuse a line that is longer than any row, before it fills the memory."""
    for number, line in enumerate(lines, 1):
        if len(line) == MAX_LINE:
            raise SpecError(f"{file}:{number}:1: a line longer than 1 MiB; is this a {file.suffix} file?")
        yield line


def _fault_of_text(text: str, entry: ImageEntry) -> str:
    """Say that some bytes were no text of the file's encoding; "" when all were."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        return f"not {entry.encoding} text; save the file as UTF-8 or set `encoding:` (for example gb18030)"
    return ""


# --- CSV ---


def _csv_rows(file: Path, entry: ImageEntry) -> Iterator[Row]:
    with _opened(file, entry) as lines:
        reader = csv.reader(lines, strict=True)
        try:
            table = _Table(file, [name.strip() for name in next(reader, [])], entry)
        except csv.Error as exc:
            raise SpecError(f"{file}:1:1: the header is not CSV: {exc}") from None
        while True:
            first = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as exc:
                lost = f"; lines {first} to {reader.line_num} are lost with it" if reader.line_num > first else ""
                yield Row(reader.line_num, fault=f"this is not CSV: {exc}{lost}; check the quotes")
                continue
            if any(cells):
                yield table.row(reader.line_num, cells)


class _Table:
    """The header of a table, and how its rows are read. Raises SpecError when the header cannot be used."""

    def __init__(self, file: Path, header: list[str], entry: ImageEntry) -> None:
        _check_header(file, header, entry)
        self._entry = entry
        self._header = header
        self._at = {name: index for index, name in enumerate(header)}
        columns = entry.columns
        used = (columns.id, columns.url, columns.path)
        others = [name for name in header if name and name not in used]
        self._labels = others if columns.labels is None else columns.labels

    def row(self, line: int, cells: list[str]) -> Row:
        """Read one row from its cells; `line` is where it ends in the file."""
        if len(cells) != len(self._header):
            fault = f"{len(cells)} cells where the header has {len(self._header)}; check the quotes and commas"
            return Row(line, fault=fault)
        if fault := _fault_of_text("".join(cells), self._entry):
            return Row(line, fault=fault)
        cell = {name: cells[index].strip() for name, index in self._at.items()}
        columns = self._entry.columns
        return Row(
            line,
            id=cell.get(columns.id, ""),
            url=cell.get(columns.url, ""),
            path=cell.get(columns.path, ""),
            labels={name: cell[name] for name in self._labels if cell[name]},
        )


def _check_header(file: Path, header: list[str], entry: ImageEntry) -> None:
    columns = entry.columns
    if fault := _fault_of_text("".join(header), entry):
        raise SpecError(f"{file}:1:1: {fault}")
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise SpecError(f"{file}:1:1: the column {twice[0]!r} is there twice; rename one")
    if columns.url not in header and columns.path not in header:
        named = ", ".join(repr(name) for name in header[:20]) or "none"
        raise SpecError(
            f"{file}:1:1: no column named {columns.url!r} or {columns.path!r}; the columns are {named}. "
            "Say which is which with `columns: {id: ..., url: ...}`"
        )
    wanted = [getattr(columns, key) for key in ("id", "url", "path") if key in columns.model_fields_set]
    if missing := [repr(name) for name in [*wanted, *(columns.labels or [])] if name not in header]:
        named = ", ".join(map(repr, header[:20]))
        raise SpecError(f"{file}:1:1: no column named {' or '.join(missing)}; the columns are {named}")


# --- JSONL ---


def _jsonl_rows(file: Path, entry: ImageEntry) -> Iterator[Row]:
    with _opened(file, entry) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _jsonl_row(number, line, entry)


def _jsonl_row(number: int, line: str, entry: ImageEntry) -> Row:
    if fault := _fault_of_text(line, entry):
        return Row(number, fault=fault)
    if nests_deeper(line, MAX_DEPTH):  # from Python 3.13 on, the decoder itself may not notice
        return Row(number, fault=f"nested deeper than {MAX_DEPTH} levels")
    try:
        cell = json.loads(line)
    except ValueError:
        return Row(number, fault="this is not JSON")
    if not isinstance(cell, dict):
        return Row(number, fault="a row is a JSON object: {...}")
    if "\\u" in line and _fault_of_text(json.dumps(cell, ensure_ascii=False), entry):
        return Row(number, fault="half a character (a lone surrogate such as \\ud83d); write the character out")
    columns = entry.columns
    named = {key: "" if cell.get(key) is None else cell[key] for key in (columns.id, columns.url, columns.path)}
    if wrong := [key for key, value in named.items() if not isinstance(value, str)]:
        return Row(number, fault=f"{wrong[0]} must be text in quotes")
    return Row(
        number,
        id=named[columns.id].strip(),
        url=named[columns.url].strip(),
        path=named[columns.path].strip(),
        labels={
            str(key): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in _jsonl_labels(cell, columns).items()
            if value not in (None, "")
        },
    )


def _jsonl_labels(cell: dict[str, Any], columns: Columns) -> dict[str, Any]:
    """Collect a row's labels: the chosen columns; else all other columns and what the column `labels` holds."""
    if columns.labels is not None:
        return {key: cell[key] for key in columns.labels if key in cell}
    nested = cell.get("labels")
    used = (columns.id, columns.url, columns.path, "labels")
    return {key: value for key, value in cell.items() if key not in used} | (nested if isinstance(nested, dict) else {})


READERS: dict[str, Callable[[Path, ImageEntry], Iterator[Row]]] = {".csv": _csv_rows, ".jsonl": _jsonl_rows}
