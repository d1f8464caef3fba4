"""The items of another run directory that show a picture, and what is paid for each."""

import sqlite3
from typing import NamedTuple

from pipeline.errors import JournalError
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import SETTLED, Line
from pipeline.journal.sql.twins import source_key
from pipeline.models import Upload


class Shown(NamedTuple):
    """One item. `line` is the place of its record, None where it is not settled."""

    id: str
    line: Line | None
    upload: Upload | None
    sha256: str | None


def showing(db: Database, identity: str, *, account: str) -> list[Shown]:
    """Find the items that were worked on for a picture, where this account alone sent calls. Raises JournalError."""
    try:
        return _showing(db, identity) if _belongs_to(db, account) else []
    except sqlite3.Error as exc:
        raise JournalError(f"a journal cannot be read: {exc}") from exc


def _showing(db: Database, identity: str) -> list[Shown]:
    rows = db.do(
        f"SELECT id, {SETTLED} AND seq IS NOT NULL, seq, offset, length, crc, url, url_expires, sha256 FROM items "
        "WHERE source_key = ? AND picture = ? AND same_as IS NULL",
        (source_key(identity), identity),
    ).fetchall()
    return [
        Shown(id_, Line(*place) if settled else None, Upload(url, expires) if url else None, sha256)
        for id_, settled, *place, url, expires, sha256 in rows
    ]


def _belongs_to(db: Database, account: str) -> bool:
    """Return whether all calls of a run directory were sent by this account, and there are any."""
    if not db.has_table("sent_calls"):
        return False
    return [str(row[0]) for row in db.do("SELECT DISTINCT account FROM sent_calls").fetchall()] == [account]
