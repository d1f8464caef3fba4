"""Rows of items as a reading of the sources makes them: new ones are entered many at once."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from pipeline.errors import Code
from pipeline.journal.sql import twins
from pipeline.journal.sql.database import Database, among
from pipeline.journal.sql.rows import NO_PICTURE, calls_of, packed
from pipeline.models import Item, Problem, State

_MOST_ROWS = 256  # in one statement


class Known(NamedTuple):
    """The row of an id that is in the journal already."""

    ord: int
    source: str
    local: int
    origin: str
    generation: int
    state: int
    calls: str
    segment: int | None
    picture: str | None

    def shows(self, item: Item) -> bool:
        """Return whether the row is of the same picture as `item`."""
        if self.picture is not None and self.picture == twins.identity_of(item):
            return True
        return (self.source, bool(self.local)) == (twins.storable(item.source), item.local)

    def stale(self, item: Item) -> bool:
        """Return whether nothing was ever sent for the row and it says something that is no longer so."""
        if not self.untouched:
            return False
        changed = item.problem is None and self.shows(item) and self.picture != twins.identity_of(item)
        return self.state == State.FAILED or changed

    @property
    def unpaid(self) -> bool:
        """True if nothing came of what was sent for it: no hits, no task."""
        return self.untouched or (self.state == State.FAILED and self.segment is None)

    @property
    def untouched(self) -> bool:
        """True if nothing was ever sent for it."""
        return self.state in (State.PENDING, State.FAILED) and calls_of(self.calls).total == 0


def known_among(db: Database, ids: Collection[str]) -> dict[str, Known]:
    """Find the rows of those ids that are in the journal already."""
    listed, values = among(ids)
    rows = db.do(
        "SELECT id, ord, source, local, origin, generation, state, calls, segment, picture FROM items "
        f"WHERE id IN {listed}",
        values,
    ).fetchall()
    return {id_: Known(*row) for id_, *row in rows}


def enter(db: Database, fresh: Sequence[Item], generation: int, *, forgotten: bool) -> int:
    """Enter items with new ids, in their order; return how many enter in doubt.

    With `forgotten`, a damaged journal may have forgotten a create for any of them.
    """
    if not fresh:
        return 0
    firsts = twins.Firsts(db, fresh)
    last = db.do("SELECT coalesce(max(ord), 0) FROM items").fetchone()[0]
    doubtful = 0
    rows = []
    for ord_, item in enumerate(fresh, last + 1):
        values = _columns(item, generation, None if item.problem else firsts.of(item))
        if forgotten and item.problem is None and values["same_as"] is None:
            message = "the journal was damaged and repaired: nobody knows whether a task was created for this item"
            problem = Problem("create", Code.REPAIRED, message, "in_doubt", False)
            values |= {"state": int(State.IN_DOUBT), "problem": packed(problem)}
            doubtful += 1
        if item.problem is None and values["same_as"] is None:
            firsts.add(ord_, item)
        rows.append((ord_, *values.values()))
    _insert(db, ("ord", *values), rows)
    return doubtful


def replace(db: Database, ord_: int, item: Item, generation: int) -> None:
    """Enter an item anew in the place of what its row says."""
    identity = twins.identity_of(item)
    first = None if item.problem else twins.first_with(db, identity, item.source, local=item.local, but=ord_)
    values = _columns(item, generation, first)
    names = ", ".join(f"{name} = ?" for name in values)
    db.do(f"UPDATE items SET {names} WHERE ord = ?", (*values.values(), ord_))


def _insert(db: Database, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows by few statements, whose sizes are powers of two, so that few are prepared."""
    into, one = f"INSERT INTO items ({', '.join(columns)}) VALUES", f"({', '.join('?' * len(columns))})"
    at = 0
    while at < len(rows):
        size = min(_MOST_ROWS, 1 << ((len(rows) - at).bit_length() - 1))
        values = [value for row in rows[at : at + size] for value in row]
        db.do(f"{into} {', '.join([one] * size)}", values)
        at += size


def _columns(item: Item, generation: int, first: int | None) -> dict[str, Any]:
    identity = twins.identity_of(item)
    return {
        "id": item.id,
        "source": twins.storable(item.source),
        "local": int(item.local),
        "origin": item.origin,
        "labels": packed(item.labels),
        "picture": identity,
        "source_key": NO_PICTURE if item.problem else twins.source_key(identity),
        "same_as": first,
        "generation": generation,
        "state": int(State.FAILED if item.problem else State.PENDING),
        "problem": packed(item.problem) if item.problem else None,
    }
