"""The counts of paid calls over the life of a run directory, by which budgets are kept."""

from pipeline.journal.sql.database import Database
from pipeline.models import KINDS, Kind


def noted(db: Database) -> dict[Kind, tuple[int, int]]:
    """Read, per kind, how many calls are reserved and how many are known to be sent."""
    rows = db.do("SELECT kind, reserved, sent FROM calls").fetchall()
    return {Kind(kind): (int(reserved), int(sent)) for kind, reserved, sent in rows}


def counted(db: Database) -> dict[Kind, tuple[int, int]]:
    """Read the same counts as `noted`; after a kill, the items' own counts of sent calls where these are higher."""
    calls = noted(db)
    if all(reserved == sent for reserved, sent in calls.values()):
        return calls
    sums = ", ".join(f"coalesce(sum(json_extract(calls, '$.{kind.value}')), 0)" for kind in KINDS)
    spent = db.do(f"SELECT {sums} FROM items").fetchone()
    known = dict(zip(KINDS, spent, strict=True))
    return {kind: (reserved, max(sent, int(known.get(kind, 0)))) for kind, (reserved, sent) in calls.items()}


def add(db: Database, kind: Kind) -> None:
    """Count a kind, too, that not every run directory has."""
    db.do("INSERT OR IGNORE INTO calls VALUES (?, 0, 0)", (kind.value,))


def note(db: Database, kind: Kind, *, reserved: int, sent: int) -> None:
    """Set both counts of a kind."""
    db.do("UPDATE calls SET reserved = ?, sent = ? WHERE kind = ?", (reserved, sent, kind.value))


def note_sent(db: Database, kind: Kind, sent: int) -> None:
    """Set the count of calls known to be sent."""
    db.do("UPDATE calls SET sent = ? WHERE kind = ?", (sent, kind.value))
