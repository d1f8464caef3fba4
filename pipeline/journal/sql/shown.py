"""The items of another run directory that show a picture, and what is paid for each."""

import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from pipeline.errors import JournalError
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.reports import AWAITED
from pipeline.journal.sql.rows import SETTLED, Line, SearchNote, SpoolRef
from pipeline.journal.sql.sent_calls import accounts
from pipeline.journal.sql.twins import source_key
from pipeline.models import Task, Upload
from pipeline.reports import TaskNote
from pipeline.system.structs import decode

_PLAIN = "ord id url url_expires sha256 seq offset length crc search segment spooled_at spooled task_id task_at report"
_COLUMNS = {name: name for name in _PLAIN.split()} | {"settled": f"{SETTLED} AND seq IS NOT NULL", "awaited": AWAITED}


class Shown(NamedTuple):
    """One item.

    line    the place of its record; None where it is not settled
    note    of its search, whose hits lie in the spool at `spool`; None without one, and of a settled item
    task    whose report may still come, and what was asked of it (`of_task`); None of a settled item
    """

    ord: int
    id: str
    line: Line | None
    upload: Upload | None
    sha256: str | None
    note: SearchNote | None
    spool: SpoolRef | None
    task: Task | None
    of_task: TaskNote | None


def showing(db: Database, identity: str, *, account: str) -> list[Shown]:
    """Find the items that were worked on for a picture, where this account alone ran. Raises JournalError."""
    try:
        return _showing(db, identity) if accounts(db) == {account} else []
    except (sqlite3.Error, msgspec.MsgspecError) as exc:
        raise JournalError(f"a journal cannot be read: {exc}") from exc


def called(db: Database, id_: str) -> Shown | None:
    """Find the item of an id; None where there is none. Raises JournalError."""
    try:
        return next(iter(_where(db, "id = ?", id_)), None)
    except (sqlite3.Error, msgspec.MsgspecError) as exc:
        raise JournalError(f"a journal cannot be read: {exc}") from exc


def _showing(db: Database, identity: str) -> list[Shown]:
    return _where(db, "source_key = ? AND picture = ? AND same_as IS NULL", source_key(identity), identity)


def _where(db: Database, condition: str, *values: object) -> list[Shown]:
    columns = ", ".join(f"{value} AS {name}" for name, value in _COLUMNS.items())
    rows = db.do(f"SELECT {columns} FROM items WHERE {condition}", values).fetchall()
    return [_shown(dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def _shown(row: Mapping[str, Any]) -> Shown:
    in_spool = not row["settled"] and row["search"] is not None and row["segment"] is not None
    return Shown(
        ord=row["ord"],
        id=row["id"],
        line=Line(*(row[name] for name in Line._fields)) if row["settled"] else None,
        upload=Upload(row["url"], row["url_expires"]) if row["url"] else None,
        sha256=row["sha256"],
        note=decode(row["search"], SearchNote) if in_spool else None,
        spool=SpoolRef(row["segment"], row["spooled_at"], row["spooled"]) if in_spool else None,
        task=Task(row["task_id"], row["task_at"]) if row["awaited"] else None,
        of_task=decode(row["report"], TaskNote) if row["awaited"] and row["report"] else None,
    )
