"""The store that several machines share: series of numbered entries, each of which is written once and never changed.

Everything here rests on one thing: of all who put an entry with the same name, one succeeds. Reads may be old; whoever
acts on an old view loses its `put_new` and looks again. A series that is not seen proves nothing.
"""

import json
import re
import secrets
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

VERSION = 2  # of the series and their entries; another version refuses the store
OF_VERSION = "format"  # the series that holds it

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")  # no capitals: some file systems take them for small letters


class Entry(NamedTuple):
    """The newest entry of a series: its number, from 1 on, and its bytes."""

    number: int
    value: bytes


class StoreUnknown(Exception):
    """The store did not answer, or not clearly: nobody knows whether the entry is there. The text says why."""


class Store(Protocol):
    """A shared store. All calls block, and any thread may make them; event loops must not."""

    def put_new(self, series: str, number: int, value: bytes) -> bool:
        """Put an entry; return False where the name existed already. Raises StoreUnknown when nobody knows."""
        ...

    def read(self, series: str, number: int) -> bytes | None:
        """Return an entry; None where it is not there, or not any more. Raises StoreUnknown."""
        ...

    def newest(self, room: str) -> dict[str, Entry]:
        """Return the newest entry of each series below a room, whose name is the first parts of theirs; it may be old.

        Raises StoreUnknown; a series that is missing in the answer may exist all the same.
        """
        ...

    def drop(self, series: str, number: int) -> None:
        """Delete an entry; do nothing where there is none. Raises StoreUnknown."""
        ...


def body_of(value: bytes) -> dict[str, Any]:
    """Read the object that an entry holds; an empty one where it holds something else."""
    try:
        body = json.loads(value)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def written(body: Mapping[str, object]) -> bytes:
    """Write the bytes of an entry, with a nonce that tells it from every other."""
    return json.dumps({**body, "nonce": secrets.token_hex(8)}, separators=(",", ":")).encode()


def put_value(store: Store, series: str, number: int, value: bytes) -> bool:
    """Put an entry that `written` made; return whether the one with this name is ours, whatever answers were lost.

    Raises StoreUnknown when that cannot be told now; the same value may be put again later.
    """
    try:
        if store.put_new(series, number, value):
            return True
    except StoreUnknown:
        if store.put_new(series, number, value):  # a second time: an answer, or the name exists
            return True
    # A store that sends a put again by itself finds its own entry. The nonce tells.
    found = store.read(series, number)
    if found is None:
        raise StoreUnknown(f"{series}: entry {number} exists and cannot be read")
    return found == value


def put_mine(store: Store, series: str, number: int, body: Mapping[str, object]) -> bool:
    """Put an entry with a nonce added; return whether it is ours. Raises StoreUnknown when that cannot be told."""
    return put_value(store, series, number, written(body))


def put_after(store: Store, series: str, seen: Entry, body: Mapping[str, object]) -> bool:
    """Put the entry that follows the one seen; for series whose old entries are dropped, oldest first.

    Return False too where the view was so old that the entry seen has been dropped: what followed it may have been
    dropped as well, and its name was free for that reason alone. Raises StoreUnknown.
    """
    ours = put_mine(store, series, seen.number + 1, body)
    return ours and store.read(series, seen.number) == seen.value


def name_of(text: str) -> str:
    """Return a part of a series' name for any text: the text itself where it can be one, else letters and a digest."""
    if _NAME.fullmatch(text):
        return text
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
    return f"{plain or 'x'}-{blake2b(text.encode(), digest_size=8).hexdigest()}"


def parts_of(series: str) -> list[str]:
    """Split a series' name into its parts. Raises ValueError for a name that could lead out of the store."""
    parts = series.split("/")
    if not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError(f"{series!r} names no series: parts of small letters, digits, '-' and '_', joined by '/'")
    return parts


def drop_before(store: Store, series: str, number: int) -> None:
    """Drop the entries below a number, oldest first: those that are left follow each other. Raises StoreUnknown."""
    oldest = number
    while oldest > 1 and store.read(series, oldest - 1) is not None:
        oldest -= 1
    for old in range(oldest, number):
        store.drop(series, old)
