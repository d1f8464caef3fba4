"""Pictures as they were sent: what was uploaded for each listed item with a picture of this machine, by its digest."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import LISTED
from pipeline.journal.sql.rows import CHANGED, WAITING
from pipeline.journal.sql.twins import source_key
from pipeline.models import CONTENT, State


class Sent(NamedTuple):
    """A listed item for which a picture was sent, its own or that of the item whose twin it is."""

    ord: int
    id: str
    source: str
    sha256: str  # of what was sent
    state: State
    paid: bool  # its hits are here
    upload_expires: float  # of its uploaded picture; 0 without one
    changed: bool  # it is open because the picture changed


def sent_pictures(db: Database) -> Iterator[Sent]:
    """Yield the listed items for which a local picture was sent, in the job's order."""
    rows = db.do(
        "SELECT ord, id, source, coalesce(sha256, (SELECT first.sha256 FROM items AS first WHERE first.ord = "
        "items.same_as)) AS sent, state, segment IS NOT NULL, coalesce(url_expires, 0), problem IS NOT NULL AND "
        f"{CHANGED} FROM items WHERE local AND sent IS NOT NULL AND {LISTED} ORDER BY ord"
    )
    while (row := rows.fetchone()) is not None:
        ord_, id_, source, sha256, state, paid, expires, changed = row
        yield Sent(ord_, id_, source, sha256, State(state), bool(paid), float(expires), bool(changed))


class First(NamedTuple):
    """The item whose picture its twins share, as far as it says what they will be compared with."""

    source: str
    local: bool
    sha256: str | None  # of what was sent
    state: State
    has_hits: bool
    upload_expires: float  # 0 without an upload


def first_item(db: Database, ord_: int) -> First:
    """Read the item whose picture others share."""
    source, local, sha256, state, has_hits, expires = db.do(
        "SELECT source, local, sha256, state, segment IS NOT NULL, coalesce(url_expires, 0) FROM items WHERE ord = ?",
        (ord_,),
    ).fetchone()
    return First(source, bool(local), sha256, State(state), bool(has_hits), float(expires))


def unsearched_pictures(db: Database, *, generation: int) -> list[tuple[int, str]]:
    """List the waiting items that are uploaded and searched by a run as their files are then, with their sources."""
    rows = db.do(
        f"SELECT ord, source FROM items WHERE local AND {WAITING} AND segment IS NULL AND same_as IS NULL "
        "AND generation = ? ORDER BY ord",
        (generation,),
    )
    return [(int(ord_), str(source)) for ord_, source in rows.fetchall()]


def shown_by(db: Database, sha256: str, *, but: int) -> str | None:
    """Find another listed item that shows the picture with these bytes; return its id, None when there is none."""
    identity = CONTENT + sha256
    row = db.do(
        "SELECT id FROM items WHERE source_key = ? AND same_as IS NULL AND picture = ? AND coalesce(sha256, ?) = ? "
        f"AND ord <> ? AND {LISTED} ORDER BY ord LIMIT 1",
        (source_key(identity), identity, sha256, sha256, but),
    ).fetchone()
    return None if row is None else str(row[0])
