"""Items that wait to be worked on: of several with the same picture the first one, whose twins the others are."""

from collections.abc import Sequence

import msgspec

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import SEARCHED_AT, WAITING, WORK, Waiting, waiting_of
from pipeline.models import State, Work


def batch(db: Database, state: State, *, after: int, limit: int, generation: int) -> list[Waiting]:
    """Read listed items in `state` beyond `after`, in order."""
    rows = db.do(
        f"SELECT {WORK} FROM items WHERE state = ? AND ord > ? AND generation = ? AND same_as IS NULL"
        f"{db.only_chosen} ORDER BY ord LIMIT ?",
        (int(state), after, generation, limit),
    ).fetchall()
    return [waiting_of(row) for row in rows]


def by_expiry(db: Database, state: State, *, generation: int, after: float) -> list[int]:
    """List waiting items by what expires first: the hits of searched ones, uploads that live beyond `after`."""
    paid, since = (SEARCHED_AT, 0.0) if state is State.SEARCHED else ("url_expires", after)
    rows = db.do(
        f"SELECT ord FROM items WHERE state = ? AND generation = ? AND same_as IS NULL AND {paid} > ?"
        f"{db.only_chosen} ORDER BY {paid}, ord",
        (int(state), generation, since),
    ).fetchall()
    return [int(ord_) for (ord_,) in rows]


def among(db: Database, ords: Sequence[int]) -> list[Waiting]:
    """Read those of these items that wait, in this order."""
    marks = ", ".join("?" * len(ords))
    rows = db.do(f"SELECT {WORK} FROM items WHERE {WAITING} AND ord IN ({marks})", tuple(ords)).fetchall()
    found = {row[0]: waiting_of(row) for row in rows}
    return [found[ord_] for ord_ in ords if ord_ in found]


def twins(db: Database, *, after: int, limit: int, generation: int) -> list[tuple[Work, int]]:
    """Read waiting twins beyond `after`, each with the `ord` of the item whose outcome it shares.

    A twin's item says its picture. The digest of its work is that of its own bytes, where it is a twin by its pixels.
    """
    rows = db.do(
        f"SELECT {WORK}, picture, same_as FROM items "
        "WHERE state = ? AND ord > ? AND generation = ? AND same_as IS NOT NULL ORDER BY ord LIMIT ?",
        (int(State.PENDING), after, generation, limit),
    ).fetchall()
    return [(_known_by(waiting_of(row).work, row[-2]), int(row[-1])) for row in rows]


def _known_by(work: Work, picture: str | None) -> Work:
    return msgspec.structs.replace(work, item=msgspec.structs.replace(work.item, picture=picture or ""))
