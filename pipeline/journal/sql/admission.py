"""Admission of items: each id once, and of several items with one picture only the first is worked on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from pipeline.errors import Code
from pipeline.journal.sql import twins
from pipeline.journal.sql.changes import requeue_failed
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import NO_PICTURE, calls_of, packed
from pipeline.models import SETTLED, Admitted, Item, PictureChange, Problem, State

# In `meta`, "1" after a repair of a damaged journal: an item that the journal does not know may have been created.
DOUBT_NEW = "doubt_new"


class SourceError(Exception):
    """A failure to read the sources: `error`, which says nothing of the journal."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def admit(db: Database, batch: Sequence[Item], *, generation: int, accept_changes: bool) -> Admitted:
    """Enter a batch of items; known ones are only marked as still listed.

    An item that failed before any call is read anew, and so is one that was refused and shows another picture now. With
    `accept_changes` another source replaces the old one as long as nothing was paid for the item; an item that is paid
    keeps the picture that was paid.
    """
    new = failed = doubtful = repeated = 0
    forgotten = db.meta(DOUBT_NEW) == "1"
    changes: list[PictureChange] = []
    for item in batch:
        # 1. The id came before in this reading: a repeated row, or a clash, which enters as a failed item of its own.
        # 2. The id is new: the item enters.
        # 3. Nothing was paid for the item, and it failed before any call or shows an accepted other picture: it is
        #    entered anew in its place.
        # 4. Everything else: the item stays as it is, still listed unless it shows a picture that was not accepted.
        known = _known(db, item.id)
        if known is not None and known.generation == generation:
            if known.shows(item):
                repeated += 1
                continue
            item = clash(item, known.origin)
            known = _known(db, item.id)
        if known is None:
            doubtful += _insert(db, item, generation, forgotten=forgotten)
            new += 1
            failed += item.problem is not None
        elif known.stale(item) or (
            not known.shows(item) and known.unpaid and (accept_changes or known.state == State.FAILED)
        ):
            _replace(db, known.ord, item, generation)
        else:
            if not known.shows(item):
                changes.append(PictureChange(item.id, known.source, item.source))
            if accept_changes or known.shows(item):
                _still_listed(db, known, item, generation)
    return Admitted(new, failed, repeated, tuple(changes), doubtful)


def reading(batches: Iterable[Sequence[Item]]) -> Iterator[Sequence[Item]]:
    """Pass the batches on; turn what they raise into a SourceError."""
    try:
        yield from batches
    except Exception as exc:
        raise SourceError(exc) from exc


def admit_whole(
    db: Database,
    batches: Iterable[Sequence[Item]],
    *,
    generation: int,
    fingerprint: str,
    accept_changes: bool,
    ended: Callable[[], bool],
) -> list[PictureChange]:
    """Enter all items of changed sources and close their admission, or leave the journal as it is.

    The journal stays as it is when `batches` raise, once `ended` is true, and when known items show other pictures now
    and that was not accepted: these are returned. When it was accepted, the items are returned that keep the picture
    that was paid.
    """
    changes: list[PictureChange] = []
    db.do("SAVEPOINT whole")
    entered = False
    try:
        requeue_failed(db)
        for batch in batches:
            if ended():
                return []
            changes += admit(db, batch, generation=generation, accept_changes=accept_changes).changes
        if accept_changes or not changes:
            close_admission(db, generation, fingerprint)
            entered = True
    finally:
        if not entered:
            db.do("ROLLBACK TO whole")
        db.do("RELEASE whole")
    return changes


def close_admission(db: Database, generation: int, fingerprint: str) -> None:
    """Note that every item of the job is in: a start with the same fingerprint reads no source again."""
    twins.promote(db, generation)
    db.set_meta(DOUBT_NEW, "")  # what is listed later is new
    db.set_meta("generation", str(generation))
    db.set_meta("admitted", fingerprint)
    db.set_meta("admitting", "")


class _Known(NamedTuple):
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


def _known(db: Database, id_: str) -> _Known | None:
    row = db.do(
        "SELECT ord, source, local, origin, generation, state, calls, segment, picture FROM items WHERE id = ?", (id_,)
    ).fetchone()
    return _Known(*row) if row else None


def _insert(db: Database, item: Item, generation: int, *, forgotten: bool) -> bool:
    """Enter an item; return True if it enters in doubt: a damaged journal may have forgotten a create for it."""
    values = _columns(db, item, generation)
    doubtful = forgotten and item.problem is None and values["same_as"] is None
    if doubtful:
        message = "the journal was damaged and repaired: nobody knows whether a task was created for this item"
        problem = Problem("create", Code.REPAIRED, message, "in_doubt", False)
        values |= {"state": int(State.IN_DOUBT), "problem": packed(problem)}
    db.do(_insertion(tuple(values)), tuple(values.values()))
    return doubtful


@lru_cache(maxsize=2)  # for each of a million items the same two
def _insertion(columns: tuple[str, ...]) -> str:
    return f"INSERT INTO items ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _replace(db: Database, ord_: int, item: Item, generation: int) -> None:
    values = _columns(db, item, generation, ord_)
    names = ", ".join(f"{name} = ?" for name in values)
    db.do(f"UPDATE items SET {names} WHERE ord = ?", (*values.values(), ord_))


def _columns(db: Database, item: Item, generation: int, ord_: int = 0) -> dict[str, Any]:
    identity = twins.identity_of(item)
    own = {"sha256": item.own} if item.own else {}
    return own | {
        "id": item.id,
        "source": twins.storable(item.source),
        "local": int(item.local),
        "origin": item.origin,
        "labels": packed(item.labels),
        "picture": identity,
        "source_key": NO_PICTURE if item.problem else twins.source_key(identity),
        "same_as": None if item.problem else twins.first_with(db, identity, item.source, local=item.local, but=ord_),
        "generation": generation,
        "state": int(State.FAILED if item.problem else State.PENDING),
        "problem": packed(item.problem) if item.problem else None,
    }


def _still_listed(db: Database, known: _Known, item: Item, generation: int) -> None:
    if known.picture is None:
        twins.identify_by_call(db, known.ord, twins.identity_of(item))
    # A file that was moved is read where it is now; a record that is written keeps the name it was written with.
    db.do(
        "UPDATE items SET generation = ?, labels = ?, origin = ?, source = ? WHERE ord = ? AND generation < ?",
        (generation, packed(item.labels), item.origin, _source_now(known, item), known.ord, generation),
    )


def _source_now(known: _Known, item: Item) -> str:
    return known.source if known.state in SETTLED or not known.shows(item) else twins.storable(item.source)


def clash(item: Item, other: str) -> Item:
    """Make the failed item that stands for one whose id another item has, listed at `other`, with another picture."""
    message = f"{item.origin}: the id {item.id!r} is already used by {other} for another picture"
    problem = Problem("read", Code.ID_TWICE, message, "fail", False)
    return Item(f"{item.origin} {item.id}"[:128], item.source, item.local, item.origin, item.labels, problem)
