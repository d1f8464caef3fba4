"""Rows of a list that comes in on stdin: one URL a line, or a table as a .csv or a .jsonl has it."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.job.images import ImageEntry
from pipeline.sources.csv_rows import csv_rows
from pipeline.sources.headers import BLANKS
from pipeline.sources.jsonl_rows import jsonl_rows
from pipeline.sources.lines import LongLine, fault_of_text, open_lines
from pipeline.sources.row import Row

_URL = re.compile(r"https?://", re.IGNORECASE)


def listed_rows(file: Path, entry: ImageEntry) -> Iterator[Row]:
    """Yield the rows of a list; its first line says what it is."""
    first = _first_line(file, entry)
    if _URL.match(first):
        yield from _urls(file, entry)
    else:
        yield from (jsonl_rows if first.startswith("{") else csv_rows)(file, entry)


def _first_line(file: Path, entry: ImageEntry) -> str:
    with open_lines(file, entry) as lines:
        try:
            return next((bare for line in lines if (bare := line.strip(BLANKS))), "")
        except LongLine:
            return ""


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
                fault = fault_of_text(line, lines.encoding)
                yield Row(lines.number, fault=fault) if fault else Row(lines.number, url=line)
