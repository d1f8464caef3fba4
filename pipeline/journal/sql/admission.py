"""Admission of items: each id once, and of several items with one picture only the first is worked on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pipeline.errors import Code
from pipeline.journal.sql.changes import requeue_failed
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import NO_PICTURE, calls_of, packed, state_in
from pipeline.models import SETTLED, Admitted, Item, PictureChange, Problem, State
from pipeline.system.checksum import crc32

# In `meta`, "1" after a repair of a damaged journal: an item that the journal does not know may have been created.
DOUBT_NEW = "doubt_new"
# States in which a first item that is no longer listed has no outcome to share, and no doubt to wait for.
_NOTHING_TO_SHARE = state_in(
    (state for state in State if state not in SETTLED and state is not State.IN_DOUBT), "first.state"
)


class SourceError(Exception):
    """Reading the sources failed with `error`, which says nothing of the journal."""

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
            item = _clash(item, known.origin)
            known = _known(db, item.id)
        if known is None:
            doubtful += _insert(db, item, generation, forgotten=forgotten)
            new += 1
            failed += item.problem is not None
        elif (known.untouched and known.state == State.FAILED) or (
            not known.shows(item) and known.unpaid and (accept_changes or known.state == State.FAILED)
        ):
            _replace(db, known.ord, item, generation)
        else:
            if not known.shows(item):
                changes.append(PictureChange(item.id, known.source, item.source))
            if accept_changes or known.shows(item):
                _still_listed(db, known.ord, item, generation)
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
    _promote_twins(db, generation)
    db.set_meta(DOUBT_NEW, "")  # what is listed later is new
    db.set_meta("generation", str(generation))
    db.set_meta("admitted", fingerprint)
    db.set_meta("admitting", "")


def _promote_twins(db: Database, generation: int) -> None:
    """Promote the next twin when the first item of a picture is no longer listed, or shows another picture now."""
    left = db.do(
        "SELECT DISTINCT first.ord FROM items AS first JOIN items AS twin ON twin.same_as = first.ord "
        "WHERE twin.generation = ?1 AND (first.source <> twin.source OR first.local <> twin.local "
        f"OR (first.generation < ?1 AND {_NOTHING_TO_SHARE}))",
        (generation,),
    ).fetchall()
    for (gone,) in left:
        promoted = db.do(
            "SELECT min(ord) FROM items WHERE same_as = ? AND generation = ?", (gone, generation)
        ).fetchone()[0]
        db.do("UPDATE items SET same_as = NULL WHERE ord = ?", (promoted,))
        db.do("UPDATE items SET same_as = ? WHERE same_as = ? AND ord > ?", (promoted, gone, promoted))


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

    def shows(self, item: Item) -> bool:
        """Return whether the row is of the same picture as `item`."""
        return (self.source, bool(self.local)) == (_storable(item.source), item.local)

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
        "SELECT ord, source, local, origin, generation, state, calls, segment FROM items WHERE id = ?", (id_,)
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
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    db.do(f"INSERT INTO items ({names}) VALUES ({marks})", tuple(values.values()))
    return doubtful


def _replace(db: Database, ord_: int, item: Item, generation: int) -> None:
    values = _columns(db, item, generation, ord_)
    names = ", ".join(f"{name} = ?" for name in values)
    db.do(f"UPDATE items SET {names} WHERE ord = ?", (*values.values(), ord_))


def source_key(source: str) -> int:
    """Compute the key under which items with the same picture are found."""
    return crc32(source.encode("utf-8", "surrogateescape"))


def _columns(db: Database, item: Item, generation: int, ord_: int = 0) -> dict[str, Any]:
    key = NO_PICTURE if item.problem else source_key(item.source)
    return {
        "id": item.id,
        "source": _storable(item.source),
        "local": int(item.local),
        "origin": item.origin,
        "labels": packed(item.labels),
        "source_key": key,
        "same_as": None if item.problem else _first_with(db, item, key, ord_),
        "generation": generation,
        "state": int(State.FAILED if item.problem else State.PENDING),
        "problem": packed(item.problem) if item.problem else None,
    }


def _storable(text: str) -> str:
    """Make text that SQLite takes: a file name with bytes that are no UTF-8 is shown with question marks."""
    return text.encode("utf-8", "replace").decode()


def _first_with(db: Database, item: Item, key: int, but: int) -> int | None:
    """Find the item that is worked on for this picture, other than `but` (the row itself when it is read anew)."""
    rows = db.do(
        "SELECT ord, source, local FROM items WHERE source_key = ? AND same_as IS NULL AND ord <> ?", (key, but)
    ).fetchall()
    return next((int(ord_) for ord_, source, local in rows if (source, bool(local)) == (item.source, item.local)), None)


def _still_listed(db: Database, ord_: int, item: Item, generation: int) -> None:
    db.do(
        "UPDATE items SET generation = ?, labels = ?, origin = ? WHERE ord = ? AND generation < ?",
        (generation, packed(item.labels), item.origin, ord_, generation),
    )


def _clash(item: Item, other: str) -> Item:
    message = f"{item.origin}: the id {item.id!r} is already used by {other} for another picture"
    problem = Problem("read", Code.ID_TWICE, message, "fail", False)
    return Item(f"{item.origin} {item.id}"[:128], item.source, item.local, item.origin, item.labels, problem)
