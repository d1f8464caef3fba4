"""The question whether a journal's rows make sense: values that no version of this program writes are damage.

SQLite checks its own pages, and not what they hold. Nothing on the way of a call asks here: only `status --verify`, a
repair, and whoever failed at a row.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from pipeline.journal.sql.database import Cursor
from pipeline.journal.sql.rows import SearchNote
from pipeline.models import OPEN, Calls, Kind, Problem, State
from pipeline.reports import TaskNote
from pipeline.system.structs import decode

Execute = Callable[[str], Cursor]


class ItemRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The columns of an item, as schema.py explains them, each with what it may hold."""

    ord: int
    id: str
    source: str
    local: int
    origin: str
    labels: str
    picture: str | None
    source_key: int
    same_as: int | None
    generation: int
    state: State
    url: str | None
    url_expires: float | None
    sha256: str | None
    search: str | None
    segment: int | None
    spooled_at: int | None
    spooled: int | None
    attempt: int
    intent: str | None
    intent_at: float | None
    problem: str | None
    task_id: str | None
    task_at: float | None
    seq: int | None
    offset: int | None
    length: int | None
    crc: int | None
    calls: str
    report: str | None

    def __post_init__(self) -> None:
        for names in _TOGETHER:
            if len({getattr(self, name) is None for name in names}) > 1:
                raise ValueError(f"{' and '.join(names)} do not fit together")
        if self.state in OPEN and self.problem is None:
            raise ValueError(f"{self.state.word} without a problem")
        for name, kind in _PARSED.items():
            text = getattr(self, name)
            if text is not None:
                try:
                    decode(text, kind)
                except (msgspec.MsgspecError, UnicodeError) as exc:
                    raise ValueError(f"{name}: {exc}") from exc


COLUMNS = ItemRow.__struct_fields__
_TOGETHER = (
    ("url", "url_expires"),
    ("segment", "spooled_at", "spooled"),
    ("seq", "offset", "length", "crc"),
)
_PARSED: dict[str, Any] = {
    "labels": dict[str, str],
    "calls": Calls,
    "search": SearchNote,
    "problem": Problem,
    "report": TaskNote,
}


def fault_of(row: Mapping[str, Any]) -> str:
    """Say what of an item's row makes no sense; "" where all of it does."""
    try:
        msgspec.convert(row, ItemRow)
    except (msgspec.ValidationError, UnicodeError) as exc:
        return str(exc)
    return ""


def readable_columns(execute: Execute) -> str:
    """Write the columns of an item to select; one that an earlier version did not have reads as NULL."""
    there = {row[1] for row in execute("PRAGMA table_info(items)").fetchall()}
    return ", ".join(name if name in there or not there else f"NULL AS {name}" for name in COLUMNS)


def nonsense(execute: Execute) -> str:
    """Find the first row that makes no sense, and say what is wrong with it; "" where there is none."""
    return next(_nonsense(execute), "")


def remembered(rows: Iterable[tuple[object, ...]]) -> dict[str, str]:
    """Return the remembered values that make sense, of rows of `meta`."""
    return {str(key): str(value) for key, value in rows if _is_true(_is_readable, (key, value))}


def _nonsense(execute: Execute) -> Iterator[str]:
    rows = execute(f"SELECT {readable_columns(execute)} FROM items")
    while (values := rows.fetchone()) is not None:
        row = dict(zip(COLUMNS, values, strict=True))
        if wrong := fault_of(row):
            yield f"row {row['ord']} of its items ({wrong})"
    there = {name for (name,) in execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()}
    for table, makes_sense in _TABLES.items():
        if table in there:
            for row in execute(f"SELECT * FROM {table}").fetchall():
                if not _is_true(makes_sense, row):
                    yield f"{row!r:.100} in its table {table}"


def _is_true(makes_sense: Callable[..., bool], row: tuple[object, ...]) -> bool:
    try:
        return makes_sense(*row)
    except (ValueError, TypeError, ArithmeticError, AttributeError):
        return False


def _counts(*values: object) -> bool:
    return all(isinstance(value, int) and value >= 0 for value in values)


def _is_readable(key: str, value: str) -> bool:
    """Return whether a remembered value is one that can be read again."""
    if key in ("generation", "counter"):
        return value.isdecimal()
    if key in ("later_since", "units"):
        return math.isfinite(float(value))
    if key == "units_said":
        return len([int(part) for part in value.split(" ")]) == 2
    if key == "asked":
        return isinstance(msgspec.json.decode(value), dict)
    return isinstance(value, str)


_TABLES: dict[str, Callable[..., bool]] = {
    "meta": _is_readable,
    "calls": lambda kind, reserved, sent: bool(Kind(kind)) and _counts(reserved, sent),
    "money": lambda kind, calls, amount: bool(Kind(kind)) and _counts(calls) and Decimal(amount) >= 0,
    "risks": lambda ord_, spent: _counts(ord_, spent),
    "again": lambda ord_, state, problem, segment, at: State(state) in State,
    "collected": lambda ord_, task, *place: isinstance(task, str) and _counts(*place),
    "sent_calls": lambda account, hour, path, kind, *counts: bool(Kind(kind)) and _counts(hour, *counts),
    "laid_by": lambda ord_, line: isinstance(line, bytes),
    "view_uploads": lambda sha256, url, expires: isinstance(expires, float) and isinstance(url, str),
}
