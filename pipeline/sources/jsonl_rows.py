"""Rows of a JSONL file: one object a line. A line that is none is one bad row, and so is an object over many lines."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.endpoints.strict_json import nests_deeper
from pipeline.job.images import Columns, ImageEntry
from pipeline.sources.columns import Found, find_columns
from pipeline.sources.lines import Lines, LongLine, fault_of_text, open_lines
from pipeline.sources.row import Row

MAX_DEPTH = 100  # levels of a row; it needs two
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"?')
_ONE_A_LINE = "write one object a line"
_KINDS = {list: "a list", str: "text", bool: "true or false", type(None): "null", int: "a number", float: "a number"}


class _Refused(ValueError):
    """A row that is JSON and cannot be used, with the reason as its text."""


def jsonl_rows(file: Path, entry: ImageEntry) -> Iterator[Row]:
    """Yield the rows of a JSONL file."""
    with open_lines(file, entry) as lines:
        while True:
            try:
                line = next(lines)
            except StopIteration:
                return
            except LongLine as exc:
                yield Row(lines.number, fault=str(exc))
                continue
            if line.strip(" \t\r\n\0\x1a\ufeff"):
                yield from _rows_from(lines, line, entry)


def _rows_from(lines: Lines, line: str, entry: ImageEntry) -> Iterator[Row]:
    """Yield the row that begins in `line`, and one after it where the lines between turned out to belong to none."""
    first = lines.number
    row = _row(first, line, lines.encoding, entry)
    open_brackets = _open_brackets(line)
    if not row.fault or open_brackets <= 0 or not line.lstrip().startswith(("{", "[")) or nests_deeper(line, MAX_DEPTH):
        yield row
        return
    kind = "an object" if line.lstrip().startswith("{") else "a list"
    while open_brackets > 0:
        try:
            more = next(lines, None)
        except LongLine:
            continue
        if more is None:
            break
        if more.lstrip().startswith("{") and not (row := _row(lines.number, more, lines.encoding, entry)).fault:
            yield Row(first, fault=_unfinished(kind, first, lines.number - 1))
            yield row
            return
        open_brackets += _open_brackets(more)
    yield Row(first, fault=_unfinished(kind, first, lines.number))


def _unfinished(kind: str, first: int, last: int) -> str:
    if last > first:
        return f"{kind} over lines {first} to {last}; {_ONE_A_LINE}"
    return f"this is not JSON: {kind} that never ends; {_ONE_A_LINE}"


def _open_brackets(line: str) -> int:
    """Count how many brackets a line opens more than it closes; those in its texts do not count."""
    bare = _TEXT.sub("", line)
    return sum(bare.count(opens) - bare.count(closes) for opens, closes in ("{}", "[]"))


def _row(number: int, line: str, encoding: str, entry: ImageEntry) -> Row:
    if fault := fault_of_text(line, encoding):
        return Row(number, fault=fault)
    if nests_deeper(line, MAX_DEPTH):  # from Python 3.13 on, the decoder itself may not notice
        return Row(number, fault=f"nested deeper than {MAX_DEPTH} levels")
    try:
        return _row_of(number, _decoded(line, encoding), entry.columns)
    except json.JSONDecodeError as exc:
        column, reason = _reason(exc)
        return Row(number, fault=f"column {column}: this is not JSON: {reason}")
    except _Refused as exc:
        return Row(number, fault=str(exc))
    except ValueError:
        return Row(number, fault="this is not JSON: a number with too many digits; put it in quotes")


def _decoded(line: str, encoding: str) -> dict[str, Any]:
    cell = json.loads(line, object_pairs_hook=_without_doubles, parse_constant=_refuse_constant)
    if not isinstance(cell, dict):
        raise _Refused(f"a row is a JSON object: {{...}}; this is {_KINDS.get(type(cell), 'something else')}")
    if "\\u" in line and fault_of_text(json.dumps(cell, ensure_ascii=False), encoding):
        raise _Refused("half a character (a lone surrogate such as \\ud83d); write the character out")
    return cell


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Refused(f"the key {key[:60]!r} is there twice; keep one")
        found[key] = value
    return found


def _refuse_constant(word: str) -> Any:
    raise _Refused(f"{word} is no JSON value; write null, or leave the key out")


def _reason(exc: json.JSONDecodeError) -> tuple[int, str]:
    """Say at which column, and why, a line is no JSON; Pythons differ in both for the commonest slip."""
    before = exc.doc[: exc.pos + exc.doc.startswith(",", exc.pos)].rstrip()
    if before.endswith(",") and exc.doc[len(before) :].lstrip().startswith(("}", "]")):
        return len(before), "a comma before a closing bracket; take it out"
    if exc.msg == "Extra data":
        more = exc.doc.startswith(("{", "["), exc.pos)
        return exc.colno, f"more than one value; {_ONE_A_LINE}" if more else "text after the object"
    return exc.colno, exc.msg[:1].lower() + exc.msg[1:]


def _row_of(number: int, cell: dict[str, Any], columns: Columns) -> Row:
    found = find_columns(cell, columns)
    listed = "views" in cell
    if not found.has_picture and not listed:
        named = ", ".join(repr(key[:60]) for key in list(cell)[:20]) or "none"
        raise _Refused(
            f"no key {columns.url!r} or {columns.path!r}; the keys are {named}. "
            "Say which is which with `columns: {id: ..., url: ...}`"
        )
    id_, url, path = (_text(key, cell) for key in (found.id, found.url, found.path))
    labels = {
        str(key): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in _labels(cell, columns, found).items()
        if value not in (None, "")
    }
    cells = cell.get("views") if listed else [cell.get(name) for name in found.views]
    views = [view.strip() for view in cells if isinstance(view, str)] if isinstance(cells, list) else []
    keys = ("views",) if listed else found.views
    return Row(number, id=id_, url=url, path=path, labels=labels, views=tuple(filter(None, views)), view_labels=keys)


def _text(key: str, cell: dict[str, Any]) -> str:
    value = cell.get(key) if key else None  # "" stands for a key that is not there
    if value is not None and not isinstance(value, str):
        raise _Refused(f"{key} must be text in quotes")
    return (value or "").strip()


def _labels(cell: dict[str, Any], columns: Columns, found: Found) -> dict[str, Any]:
    """Collect a row's labels: the chosen columns; else all other columns and what the column `labels` holds."""
    if columns.labels is not None:
        return {key: cell[key] for key in found.labels if key}
    used = (found.id, found.url, found.path, "labels")
    others = {key: value for key, value in cell.items() if key not in used}
    nested = cell.get("labels")
    if nested is None:
        return others
    return others | (nested if isinstance(nested, dict) else {"labels": nested})
