"""Items with one picture: the first is worked on, the others are its twins and share its outcome.

A row's `picture` is the identity of what it shows. Rows of an earlier version have none and are known by their source.
A twin by its pixels has other bytes than its first item: `picture` names the first's, `sha256` its own, which nobody
has sent (so it has no `url`).
"""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import IN_DOUBT, state_in
from pipeline.journal.sql.rows import SETTLED as IS_SETTLED
from pipeline.models import BY_PATH, CONTENT, OF_REPORT, SETTLED, Item, State
from pipeline.system.checksum import crc32

_SAME_PICTURE = (
    "CASE WHEN first.picture IS NULL OR twin.picture IS NULL THEN first.source = twin.source "
    "AND first.local = twin.local ELSE first.picture = twin.picture END"
)
_OWN = "iif(url IS NULL, sha256, NULL)"  # the digest of the bytes of a twin by its pixels
# States in which a first item that is no longer listed has no outcome to share, and no doubt to wait for.
_NOTHING_TO_SHARE = state_in(
    (state for state in State if state not in (*SETTLED, *OF_REPORT, State.IN_DOUBT)), "first.state"
)


def source_key(text: str) -> int:
    """Compute the key under which items with the same picture, or the same source, are found."""
    return crc32(text.encode("utf-8", "surrogateescape"))


def storable(text: str) -> str:
    """Make text that SQLite takes: a file name with bytes that are no UTF-8 is shown with question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def identity_of(item: Item) -> str:
    """Return the identity of an item's picture as rows hold it."""
    return storable(item.identity)


def first_with(db: Database, identity: str, source: str, *, local: bool, but: int = 0) -> int | None:
    """Find the item that is worked on for this picture, other than `but` (the row itself when it is read anew)."""
    rows = db.do(
        "SELECT ord, picture, source, local FROM items WHERE source_key IN (?, ?) AND same_as IS NULL AND ord <> ? "
        "ORDER BY ord",
        (source_key(identity), source_key(source), but),
    ).fetchall()
    for ord_, picture, known, is_local in rows:
        if picture == identity or (picture is None and (known, bool(is_local)) == (storable(source), local)):
            return int(ord_)
    return None


def first_of(db: Database, ord_: int) -> int | None:
    """Find the item whose twin this one is; None when it is none."""
    first: int | None = db.do("SELECT same_as FROM items WHERE ord = ?", (ord_,)).fetchone()[0]
    return first


def settled_beside(db: Database, ord_: int) -> list[int]:
    """List the settled items that show the picture of this one: its first item, its twins, and others alike."""
    beside = "SELECT other.ord FROM one JOIN items AS other ON"
    rows = db.do(
        f"WITH one AS (SELECT * FROM items WHERE ord = ?1), alike AS ({beside} other.ord = one.same_as "
        f"UNION {beside} other.same_as IN (one.ord, one.same_as) "
        f"UNION {beside} other.source_key = one.source_key AND other.same_as IS NULL AND (other.picture = one.picture "
        "OR (other.source = one.source AND other.local = one.local))) "
        f"SELECT other.ord FROM alike JOIN items AS other USING (ord) WHERE other.ord <> ?1 "
        f"AND {state_in(SETTLED, '+other.state')} ORDER BY other.ord",  # `+`: there are far more settled items
        (ord_,),
    ).fetchall()
    return [int(other) for (other,) in rows]


class Shared(NamedTuple):
    """An item that shares the picture of another one; `waits` until it has its outcome."""

    first_id: str
    first_source: str
    id: str
    source: str
    local: bool
    waits: bool


def shared(db: Database, *, generation: int) -> Iterator[Shared]:
    """Yield the items listed in a reading that share another item's picture, those of one picture together."""
    rows = db.do(
        "SELECT first.id, first.source, twin.id, twin.source, twin.local, twin.state = ? FROM items AS twin "
        "JOIN items AS first ON first.ord = twin.same_as WHERE twin.same_as IS NOT NULL AND twin.generation = ? "
        "ORDER BY twin.same_as, twin.ord",
        (int(State.PENDING), generation),
    )
    while (row := rows.fetchone()) is not None:
        first_id, first_source, id_, source, local, waits = row
        yield Shared(first_id, first_source, id_, source, bool(local), bool(waits))


def identify(db: Database, ord_: int, identity: str) -> None:
    """Note what picture an item shows."""
    db.do("UPDATE items SET picture = ?, source_key = ? WHERE ord = ?", (identity, source_key(identity), ord_))


def identify_by_call(db: Database, ord_: int, now: str) -> None:
    """Note the picture of an item of an earlier version: what was uploaded for it, else what it shows `now`."""
    local, sha256, settled = db.do(
        f"SELECT local, sha256, {state_in(SETTLED)} FROM items WHERE ord = ?", (ord_,)
    ).fetchone()
    if local and sha256:
        identify(db, ord_, CONTENT + str(sha256))
    elif not (local and settled):
        identify(db, ord_, now)


def promote(db: Database, generation: int) -> None:
    """Promote the next twin when the first item of a picture is no longer listed, or shows another picture now."""
    left = db.do(
        "SELECT DISTINCT first.ord FROM items AS first JOIN items AS twin ON twin.same_as = first.ord "
        f"WHERE twin.generation = ?1 AND (NOT {_SAME_PICTURE} "
        f"OR (first.generation < ?1 AND {_NOTHING_TO_SHARE}))",
        (generation,),
    ).fetchall()
    for (gone,) in left:
        promoted = db.do(
            "SELECT min(ord) FROM items WHERE same_as = ? AND generation = ?", (gone, generation)
        ).fetchone()[0]
        db.do("UPDATE items SET same_as = NULL WHERE ord = ?", (promoted,))
        db.do("UPDATE items SET same_as = ? WHERE same_as = ? AND ord > ?", (promoted, gone, promoted))
        _lead(db, promoted, promoted)


def part(db: Database, ord_: int, digest: str) -> bool:
    """Part a twin from its first item: by now its file has the bytes of `digest`, which are not the first's.

    The first is known from now on by the bytes that were sent for it, so that the twin does not find it again. A twin
    by its pixels whose own file is as it was leads the others that show the same, or follows one that does. Return
    False where hits or a create of just these bytes are paid for the first, whose own file was replaced: the twin is
    not paid for beside it.
    """
    first, source, picture, own = db.do(
        f"SELECT same_as, source, picture, {_OWN} FROM items WHERE ord = ?", (ord_,)
    ).fetchone()
    if first is not None:
        sent, path, shows, paid = db.do(
            f"SELECT sha256, source, picture, segment IS NOT NULL OR {IN_DOUBT} FROM items WHERE ord = ?", (first,)
        ).fetchone()
        if own == digest and shows == picture:  # it follows another one by now, which was parted a moment ago
            return True
        if sent == digest and paid:
            return False
        identify(db, first, CONTENT + sent if sent and sent != digest else f"{BY_PATH}{path}")
    identity = picture if own == digest else CONTENT + digest
    identify(db, ord_, identity)
    other = first_with(db, identity, source, local=True, but=ord_)
    db.do("UPDATE items SET same_as = ? WHERE ord = ?", (other, ord_))
    if own not in (None, digest):
        db.do("UPDATE items SET sha256 = NULL WHERE ord = ?", (ord_,))
    elif other is None and first is not None:
        _lead(db, ord_, first)
    return True


def _lead(db: Database, heir: int, first: int) -> None:
    """Let a twin by its pixels, now worked on itself, lead the other twins of `first` that show them.

    It is known by its own bytes from then on, which are sent, and the others by the same; they keep what is their own.
    """
    picture, own = db.do(f"SELECT picture, {_OWN} FROM items WHERE ord = ?", (heir,)).fetchone()
    if own is None:
        return
    identity, before = CONTENT + own, str(picture).removeprefix(CONTENT)
    db.do(
        f"UPDATE items SET same_as = ?, picture = ?, source_key = ?, sha256 = coalesce({_OWN}, ?) "
        f"WHERE same_as = ? AND picture = ? AND NOT {IS_SETTLED}",
        (heir, identity, source_key(identity), before, first, picture),
    )
    identify(db, heir, identity)
    db.do("UPDATE items SET sha256 = NULL WHERE ord = ?", (heir,))
