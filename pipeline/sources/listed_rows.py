"""Rows of a list that comes in on stdin: one URL a line, or a table as a .csv or a .jsonl has it."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import SpecError
from pipeline.job.images import ImageEntry
from pipeline.sources.columns import find_columns
from pipeline.sources.csv_rows import SEPARATORS, csv_rows
from pipeline.sources.headers import BLANKS
from pipeline.sources.jsonl_rows import jsonl_rows
from pipeline.sources.lines import LongLine, fault_of_text, open_lines
from pipeline.sources.row import Row
from pipeline.system.fault import Fault

_URL = re.compile(r'"?https?://', re.IGNORECASE)
_PICTURE_AND_MORE = re.compile(r"\.(jpe?g|png|webp)[,;|\t]", re.IGNORECASE)
_MORE = "this line goes on behind its URL; a table begins with a header line, for example `url,name`"


def listed_rows(file: Path, entry: ImageEntry) -> Iterator[Row]:
    """Yield the rows of a list; its first line says what it is."""
    number, first = _first_line(file, entry)
    if _URL.match(first):
        yield from _urls(file, entry)
    elif first.startswith("{"):
        yield from jsonl_rows(file, entry)
    else:
        _require_header(first, entry, where=f"{file}:{number}")
        yield from csv_rows(file, entry)


def _first_line(file: Path, entry: ImageEntry) -> tuple[int, str]:
    with open_lines(file, entry) as lines:
        try:
            return next(((lines.number, bare) for line in lines if (bare := line.strip(BLANKS))), (1, ""))
        except LongLine:
            return lines.number, ""


def _require_header(first: str, entry: ImageEntry, *, where: str) -> None:
    """Refuse a list that begins with a single cell which is no column of pictures: names of files, or a title."""
    if not first or fault_of_text(first, entry.encoding) or any(separator in first for separator in SEPARATORS):
        return
    found = find_columns([first], entry.columns)
    if not (found.url or found.path):
        what = (
            f"the list begins with {first[:60]!r}, which is no URL, and no header of a table either; write one URL a "
            "line, or a header with a column url. Pictures that are files here are listed with `path:`"
        )
        raise SpecError(Fault(what, where=where, fix="- path: photos"))


def _urls(file: Path, entry: ImageEntry) -> Iterator[Row]:
    with open_lines(file, entry) as lines:
        while True:
            try:
                line = next(lines).strip(BLANKS)
            except StopIteration:
                return
            except LongLine as exc:
                yield Row(lines.number, fault=str(exc))
                continue
            if line:
                url = line[1:-1] if len(line) > 1 and line[0] == line[-1] == '"' else line
                fault = fault_of_text(line, lines.encoding) or (_MORE if _goes_on(url) else "")
                yield Row(lines.number, fault=fault) if fault else Row(lines.number, url=url)


def _goes_on(url: str) -> bool:
    """Return whether a URL goes on as a row of a table does: behind a separator, or a picture's ending and one."""
    return url.endswith(SEPARATORS) or _PICTURE_AND_MORE.search(url) is not None
