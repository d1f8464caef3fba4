"""How items enter the journal: once each by id, and only one of several that show the same picture is worked on."""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from pipeline.journal.store import Store
from pipeline.models import Item, Problem, State

_NO_PICTURE = -1  # the source key of rows that name no usable picture: never the first of several


class Change(NamedTuple):
    """A known id whose source is another one now."""

    id: str
    before: str
    now: str


class Admitted(NamedTuple):
    """What a batch brought: new items, rows that repeat one, and known ids with another source."""

    new: int
    repeated: int
    changes: tuple[Change, ...]


def admit(store: Store, batch: Sequence[Item], *, generation: int, accept_changes: bool) -> Admitted:
    """Enter a batch of items; known ones are only marked as still listed.

    With `accept_changes` another source replaces the old one as long as nothing was paid for the item.
    """
    new = repeated = 0
    changes: list[Change] = []
    for item in batch:
        known = store.do(
            "SELECT ord, source, local, generation, state, calls, origin FROM items WHERE id = ?", (item.id,)
        ).fetchone()
        if known is None:
            _insert(store, item, generation)
            new += 1
        elif (known[1], bool(known[2])) == (item.source, item.local):
            repeated += known[3] == generation
            _still_listed(store, known[0], item, generation)
        elif known[3] == generation:
            _insert(store, _clash(item, known[6]), generation)
            new += 1
        elif _unpaid(known) and (accept_changes or known[4] == State.FAILED):
            _replace(store, known[0], item, generation)
        else:
            changes.append(Change(item.id, known[1], item.source))
    return Admitted(new, repeated, tuple(changes))


def close_admission(store: Store, generation: int) -> None:
    """Let another item with the same picture be worked on when the one it waited for is not listed any more."""
    orphans = store.do(
        "SELECT DISTINCT first.ord FROM items AS first JOIN items AS twin ON twin.same_as = first.ord "
        "WHERE first.generation < ? AND first.state < 10 AND twin.generation = ?",
        (generation, generation),
    ).fetchall()
    for (gone,) in orphans:
        heir = store.do(
            "SELECT min(ord) FROM items WHERE same_as = ? AND generation = ?", (gone, generation)
        ).fetchone()[0]
        store.do("UPDATE items SET same_as = NULL WHERE ord = ?", (heir,))
        store.do("UPDATE items SET same_as = ? WHERE same_as = ? AND ord > ?", (heir, gone, heir))


def _insert(store: Store, item: Item, generation: int) -> None:
    key = _NO_PICTURE if item.problem else zlib.crc32(item.source.encode("utf-8", "surrogateescape"))
    same_as = None if item.problem else _first_with(store, item, key)
    state = State.FAILED if item.problem else State.PENDING
    store.do(
        "INSERT INTO items (id, source, local, origin, labels, source_key, same_as, generation, state, problem) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (
            item.id,
            item.source.encode("utf-8", "replace").decode(),
            int(item.local),
            item.origin,
            msgspec.json.encode(item.labels).decode(),
            key,
            same_as,
            generation,
            int(state),
            msgspec.json.encode(item.problem).decode() if item.problem else None,
        ),
    )


def _first_with(store: Store, item: Item, key: int) -> int | None:
    rows = store.do("SELECT ord, source, local FROM items WHERE source_key = ? AND same_as IS NULL", (key,)).fetchall()
    return next((int(ord_) for ord_, source, local in rows if (source, bool(local)) == (item.source, item.local)), None)


def _still_listed(store: Store, ord_: int, item: Item, generation: int) -> None:
    store.do(
        "UPDATE items SET generation = ?, labels = ?, origin = ? WHERE ord = ? AND generation < ?",
        (generation, msgspec.json.encode(item.labels).decode(), item.origin, ord_, generation),
    )


def _unpaid(known: Sequence[Any]) -> bool:
    return known[4] in (State.PENDING, State.FAILED) and known[5] in ("{}", '{"upload":0,"search":0,"create":0}')


def _replace(store: Store, ord_: int, item: Item, generation: int) -> None:
    store.do("DELETE FROM items WHERE ord = ?", (ord_,))
    _insert(store, item, generation)


def _clash(item: Item, other: str) -> Item:
    message = f"{item.origin}: the id {item.id!r} is already used by {other} for another picture"
    problem = Problem("read", "id_twice", message, "fail", True)
    return Item(f"{item.origin} {item.id}"[:128], item.source, item.local, item.origin, item.labels, problem)
