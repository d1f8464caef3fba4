"""How items enter the journal: once each by id, and only one of several that show the same picture is worked on."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from pipeline.errors import Code
from pipeline.journal.sql.changes import requeue_failed
from pipeline.journal.sql.database import DOUBT_NEW, Store
from pipeline.models import Item, Problem, State

NO_PICTURE = -1  # the source key of rows that name no usable picture: never the first of several


class Change(NamedTuple):
    """A known id whose source is another one now."""

    id: str
    before: str
    now: str


class SourceError(Exception):
    """Reading the sources failed with `error`, which says nothing of the journal."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Admitted(NamedTuple):
    """What a batch brought: new items, repeated rows, and ids with another source.

    Of the new items some are `failed` from the start, and `doubtful` where a damaged journal forgot them.
    """

    new: int
    failed: int
    repeated: int
    changes: tuple[Change, ...]
    doubtful: int = 0


def admit(store: Store, batch: Sequence[Item], *, generation: int, accept_changes: bool) -> Admitted:
    """Enter a batch of items; known ones are only marked as still listed.

    An item that failed before any call is read anew, and so is one that was refused and shows another picture now. With
    `accept_changes` another source replaces the old one as long as nothing was paid for the item; an item that is paid
    keeps the picture that was paid.
    """
    new = failed = doubtful = repeated = 0
    forgotten = store.meta(DOUBT_NEW) == "1"
    changes: list[Change] = []
    for item in batch:
        known = _known(store, item.id)
        if known is not None and known.generation == generation:
            if known.shows(item):
                repeated += 1
                continue
            item = _clash(item, known.origin)
            known = _known(store, item.id)
        if known is None:
            doubtful += _insert(store, item, generation, forgotten=forgotten)
            new += 1
            failed += item.problem is not None
        elif (known.untouched and known.state == State.FAILED) or (
            not known.shows(item) and known.unpaid and (accept_changes or known.state == State.FAILED)
        ):
            _replace(store, known.ord, item, generation)
        else:
            if not known.shows(item):
                changes.append(Change(item.id, known.source, item.source))
            if accept_changes or known.shows(item):
                _still_listed(store, known.ord, item, generation)
    return Admitted(new, failed, repeated, tuple(changes), doubtful)


def told_apart(batches: Iterable[Sequence[Item]]) -> Iterator[Sequence[Item]]:
    """The same batches, what they raise as a SourceError."""
    try:
        yield from batches
    except Exception as exc:
        raise SourceError(exc) from exc


def admit_whole(
    store: Store,
    batches: Iterable[Sequence[Item]],
    *,
    generation: int,
    fingerprint: str,
    accept_changes: bool,
    ended: Callable[[], bool],
) -> list[Change]:
    """Enter all items of changed sources and close their admission, or leave the journal as it is.

    The latter when known items show other pictures now (they are returned) and that was not accepted, once `ended`, and
    when `batches` raise. Accepted, the items are returned that keep the picture that was paid.
    """
    changes: list[Change] = []
    store.do("SAVEPOINT whole")
    entered = False
    try:
        requeue_failed(store)
        for batch in batches:
            if ended():
                return []
            changes += admit(store, batch, generation=generation, accept_changes=accept_changes).changes
        if accept_changes or not changes:
            close_admission(store, generation, fingerprint)
            entered = True
    finally:
        if not entered:
            store.do("ROLLBACK TO whole")
        store.do("RELEASE whole")
    return changes


def close_admission(store: Store, generation: int, fingerprint: str) -> None:
    """Note that every item of the job is in: a start with the same fingerprint reads no source again."""
    _find_heirs(store, generation)
    store.set_meta(DOUBT_NEW, "")  # what is listed later is new
    store.set_meta("generation", str(generation))
    store.set_meta("admitted", fingerprint)
    store.set_meta("admitting", "")


def _find_heirs(store: Store, generation: int) -> None:
    """Let another item with the same picture be worked on when the one it waited for is gone, or shows another now."""
    orphans = store.do(
        "SELECT DISTINCT first.ord FROM items AS first JOIN items AS twin ON twin.same_as = first.ord "
        "WHERE twin.generation = ?1 AND (first.source <> twin.source OR first.local <> twin.local "
        "OR (first.generation < ?1 AND (first.state < 10 OR first.state IN (20, 22))))",
        (generation,),
    ).fetchall()
    for (gone,) in orphans:
        heir = store.do(
            "SELECT min(ord) FROM items WHERE same_as = ? AND generation = ?", (gone, generation)
        ).fetchone()[0]
        store.do("UPDATE items SET same_as = NULL WHERE ord = ?", (heir,))
        store.do("UPDATE items SET same_as = ? WHERE same_as = ? AND ord > ?", (heir, gone, heir))


class _Known(NamedTuple):
    ord: int
    source: str
    local: int
    origin: str
    generation: int
    state: int
    calls: str
    segment: int | None

    def shows(self, item: Item) -> bool:
        return (self.source, bool(self.local)) == (_storable(item.source), item.local)

    @property
    def unpaid(self) -> bool:
        """Nothing came of what was sent for it: no hits, no task."""
        return self.untouched or (self.state == State.FAILED and self.segment is None)

    @property
    def untouched(self) -> bool:
        """Nothing was ever sent for it."""
        return self.state in (State.PENDING, State.FAILED) and not any(msgspec.json.decode(self.calls).values())


def _known(store: Store, id_: str) -> _Known | None:
    row = store.do(
        "SELECT ord, source, local, origin, generation, state, calls, segment FROM items WHERE id = ?", (id_,)
    ).fetchone()
    return _Known(*row) if row else None


def _insert(store: Store, item: Item, generation: int, *, forgotten: bool) -> bool:
    """Enter an item; True when it enters in doubt: a damaged journal may have forgotten a create for it."""
    values = _columns(store, item, generation)
    doubtful = forgotten and item.problem is None and values["same_as"] is None
    if doubtful:
        message = "the journal was damaged and repaired: nobody knows whether a task was created for this item"
        problem = Problem("create", Code.REPAIRED, message, "in_doubt", False)
        values |= {"state": int(State.IN_DOUBT), "problem": msgspec.json.encode(problem).decode()}
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    store.do(f"INSERT INTO items ({names}) VALUES ({marks})", tuple(values.values()))  # noqa: S608 - names of ours
    return doubtful


def _replace(store: Store, ord_: int, item: Item, generation: int) -> None:
    values = _columns(store, item, generation, ord_)
    names = ", ".join(f"{name} = ?" for name in values)
    store.do(f"UPDATE items SET {names} WHERE ord = ?", (*values.values(), ord_))  # noqa: S608 - names of ours


def _columns(store: Store, item: Item, generation: int, ord_: int = 0) -> dict[str, Any]:
    key = NO_PICTURE if item.problem else zlib.crc32(item.source.encode("utf-8", "surrogateescape"))
    return {
        "id": item.id,
        "source": _storable(item.source),
        "local": int(item.local),
        "origin": item.origin,
        "labels": msgspec.json.encode(item.labels).decode(),
        "source_key": key,
        "same_as": None if item.problem else _first_with(store, item, key, ord_),
        "generation": generation,
        "state": int(State.FAILED if item.problem else State.PENDING),
        "problem": msgspec.json.encode(item.problem).decode() if item.problem else None,
    }


def _storable(text: str) -> str:
    """Text that SQLite takes: a file name with bytes that are no UTF-8 is shown with question marks."""
    return text.encode("utf-8", "replace").decode()


def _first_with(store: Store, item: Item, key: int, but: int) -> int | None:
    """The item that is worked on for this picture, `but` (the row itself when it is read anew) left aside."""
    rows = store.do(
        "SELECT ord, source, local FROM items WHERE source_key = ? AND same_as IS NULL AND ord <> ?", (key, but)
    ).fetchall()
    return next((int(ord_) for ord_, source, local in rows if (source, bool(local)) == (item.source, item.local)), None)


def _still_listed(store: Store, ord_: int, item: Item, generation: int) -> None:
    store.do(
        "UPDATE items SET generation = ?, labels = ?, origin = ? WHERE ord = ? AND generation < ?",
        (generation, msgspec.json.encode(item.labels).decode(), item.origin, ord_, generation),
    )


def _clash(item: Item, other: str) -> Item:
    message = f"{item.origin}: the id {item.id!r} is already used by {other} for another picture"
    problem = Problem("read", Code.ID_TWICE, message, "fail", False)
    return Item(f"{item.origin} {item.id}"[:128], item.source, item.local, item.origin, item.labels, problem)
