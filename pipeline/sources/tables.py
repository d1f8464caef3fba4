"""Rows of a manifest (.csv or .jsonl), streamed: a file of a million rows is never held.

A row that cannot be used is yielded with its line and what is wrong with it; it never vanishes.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pipeline.errors import SpecError
from pipeline.job.schema import Columns, ImageEntry

MAX_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what its columns say, or `fault`. `line` counts from 1 and is where the row ends."""

    line: int
    id: str = ""
    url: str = ""
    path: str = ""
    labels: dict[str, str] | None = None
    fault: str = ""


def rows(file: Path, entry: ImageEntry) -> Iterator[Row]:
    """Yield the rows of `file`. Raises SpecError when it cannot be read, or has no url and no path column."""
    encoding = "utf-8-sig" if entry.encoding == "utf-8" else entry.encoding
    try:
        # surrogateescape: one wrong byte makes one bad row, not an end in the middle of the file
        with file.open(encoding=encoding, errors="surrogateescape", newline="") as lines:
            read = _csv_rows if file.suffix.lower() == ".csv" else _jsonl_rows
            yield from read(file, _short_lines(file, lines), entry)
    except OSError as exc:
        raise SpecError(f"{file}: cannot read the manifest: {exc.strerror}") from None
    except UnicodeError:
        raise SpecError(f"{file}: this is not {entry.encoding} text; set `encoding:` beside `manifest:`") from None


def _short_lines(file: Path, lines: TextIO) -> Iterator[str]:
    number = 0
    while line := lines.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise SpecError(f"{file}:{number}:1: a line longer than 1 MiB; is this a {file.suffix} file?")
        yield line


def _csv_rows(file: Path, lines: Iterator[str], entry: ImageEntry) -> Iterator[Row]:
    reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as exc:
        raise SpecError(f"{file}:1:1: the header is not CSV: {exc}") from None
    columns = entry.columns
    _check_header(file, header, entry)
    at = {name: index for index, name in enumerate(header)}
    used = (columns.id, columns.url, columns.path)
    labels = columns.labels if columns.labels is not None else [name for name in header if name and name not in used]
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
        if not any(cells):
            continue
        if len(cells) != len(header):
            fault = f"{len(cells)} cells where the header has {len(header)}; check the quotes and commas"
            yield Row(reader.line_num, fault=fault)
            continue
        if fault := _undecodable("".join(cells), entry):
            yield Row(reader.line_num, fault=fault)
            continue
        cell = {name: cells[index].strip() for name, index in at.items()}
        yield Row(
            reader.line_num,
            id=cell.get(columns.id, ""),
            url=cell.get(columns.url, ""),
            path=cell.get(columns.path, ""),
            labels={name: cell[name] for name in labels if cell[name]},
        )


def _check_header(file: Path, header: list[str], entry: ImageEntry) -> None:
    columns = entry.columns
    if fault := _undecodable("".join(header), entry):
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


def _jsonl_rows(file: Path, lines: Iterator[str], entry: ImageEntry) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _jsonl_row(number, line, entry.columns, entry)


def _jsonl_row(number: int, line: str, columns: Columns, entry: ImageEntry) -> Row:
    if fault := _undecodable(line, entry):
        return Row(number, fault=fault)
    try:
        cell = json.loads(line)
    except (ValueError, RecursionError):
        return Row(number, fault="this is not JSON")
    if not isinstance(cell, dict):
        return Row(number, fault="a row is a JSON object: {...}")
    if "\\u" in line and _undecodable(json.dumps(cell, ensure_ascii=False), entry):
        return Row(number, fault="half a character (a lone surrogate such as \\ud83d); write the character out")
    named = {key: "" if cell.get(key) is None else cell[key] for key in (columns.id, columns.url, columns.path)}
    if wrong := [key for key, value in named.items() if not isinstance(value, str)]:
        return Row(number, fault=f"{wrong[0]} must be text in quotes")
    nested = cell.get("labels") if isinstance(cell.get("labels"), dict) and columns.labels is None else {}
    rest = columns.labels if columns.labels is not None else [key for key in cell if key not in (*named, "labels")]
    labels = {key: cell[key] for key in rest if key in cell} | (nested or {})
    return Row(
        number,
        id=named[columns.id].strip(),
        url=named[columns.url].strip(),
        path=named[columns.path].strip(),
        labels={
            str(key): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in labels.items()
            if value not in (None, "")
        },
    )


def _undecodable(text: str, entry: ImageEntry) -> str:
    if any("\ud800" <= char <= "\udfff" for char in text):
        return f"not {entry.encoding} text; save the file as UTF-8 or set `encoding:` (for example gb18030)"
    return ""
