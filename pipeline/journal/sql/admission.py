"""Admission of items: each id once, and of several items with one picture only the first is worked on."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.errors import Code
from pipeline.journal.sql import entries, twins
from pipeline.journal.sql.changes import requeue_failed
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.entries import Known
from pipeline.journal.sql.rows import packed
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
    admission = _Admission(db, batch, generation)
    repeated = 0
    changes: list[PictureChange] = []
    for item in batch:
        # 1. The id came before in this reading: a repeated row, or a clash, which enters as a failed item of its own.
        # 2. The id is new: the item enters.
        # 3. Nothing was paid for the item, and it failed before any call or shows an accepted other picture: it is
        #    entered anew in its place.
        # 4. Everything else: the item stays as it is, still listed unless it shows a picture that was not accepted.
        known = admission.known(item.id)
        if known is not None and known.generation == generation:
            if known.shows(item):
                repeated += 1
                continue
            item = _clash(item, known.origin)
            known = admission.look_up(item.id)
        if known is None:
            admission.enter(item)
        elif known.stale(item) or (
            not known.shows(item) and known.unpaid and (accept_changes or known.state == State.FAILED)
        ):
            admission.replace(known.ord, item)
        else:
            if not known.shows(item):
                changes.append(PictureChange(item.id, known.source, item.source))
            if accept_changes or known.shows(item):
                if known.picture is None:  # it is known by its source so far, also to the new items before it
                    admission.flush()
                _still_listed(db, known, item, generation)
                admission.changed(item.id)
    admission.flush()
    return Admitted(admission.new, admission.failed, repeated, tuple(changes), admission.doubtful)


class _Admission:
    """The rows of one batch: new items are entered together, at the latest before anything asks for one of them.

    new       the items that were entered
    failed    of them, those whose row says why they cannot be worked on
    doubtful  of them, those that may have been created before
    """

    def __init__(self, db: Database, batch: Sequence[Item], generation: int) -> None:
        self.new = self.failed = self.doubtful = 0
        self._db = db
        self._generation = generation
        self._forgotten = db.meta(DOUBT_NEW) == "1"
        self._known = entries.known_among(db, {item.id for item in batch})
        self._changed: set[str] = set()  # ids whose rows are no longer what was read
        self._fresh: dict[str, Item] = {}

    def known(self, id_: str) -> Known | None:
        """Return the row of an id of the batch; None when it has none yet."""
        return self.look_up(id_) if id_ in self._fresh or id_ in self._changed else self._known.get(id_)

    def look_up(self, id_: str) -> Known | None:
        """Return the row of any id; None when it has none yet."""
        self.flush()
        return entries.known_among(self._db, [id_]).get(id_)

    def enter(self, item: Item) -> None:
        """Let an item enter with the next flush; its id is new."""
        self._fresh[item.id] = item

    def replace(self, ord_: int, item: Item) -> None:
        """Enter an item anew in the place of what its row says."""
        self.flush()
        entries.replace(self._db, ord_, item, self._generation)
        self.changed(item.id)

    def changed(self, id_: str) -> None:
        """Read the row of this id anew when it is asked for again."""
        self._changed.add(id_)

    def flush(self) -> None:
        """Enter the new items."""
        fresh = list(self._fresh.values())
        self._fresh.clear()
        self._changed.update(item.id for item in fresh)
        self.new += len(fresh)
        self.failed += sum(item.problem is not None for item in fresh)
        self.doubtful += entries.enter(self._db, fresh, self._generation, forgotten=self._forgotten)


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


def _still_listed(db: Database, known: Known, item: Item, generation: int) -> None:
    if known.picture is None:
        twins.identify_by_call(db, known.ord, twins.identity_of(item))
    # A file that was moved is read where it is now; a record that is written keeps the name it was written with.
    db.do(
        "UPDATE items SET generation = ?, labels = ?, origin = ?, source = ? WHERE ord = ? AND generation < ?",
        (generation, packed(item.labels), item.origin, _source_now(known, item), known.ord, generation),
    )


def _source_now(known: Known, item: Item) -> str:
    return known.source if known.state in SETTLED or not known.shows(item) else twins.storable(item.source)


def _clash(item: Item, other: str) -> Item:
    message = f"{item.origin}: the id {item.id!r} is already used by {other} for another picture"
    problem = Problem("read", Code.ID_TWICE, message, "fail", False)
    return Item(f"{item.origin} {item.id}"[:128], item.source, item.local, item.origin, item.labels, problem)
