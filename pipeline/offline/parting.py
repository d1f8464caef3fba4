"""Twins that show another picture by now, foreseen: the next run parts each from its first item and works on it."""

from collections.abc import Callable, Collection, Iterator

from pipeline.engine.cost import upload_lasts
from pipeline.journal.sql import twins, waiting
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.sent import first_item
from pipeline.models import Work

_BATCH = 512
Digest = Callable[[str], str | None]


def part_changed(db: Database, digest: Digest, *, generation: int, unusable: Collection[int], now: float) -> set[int]:
    """Part them in an imagined journal as the run would; return those that are worked on by themselves then."""
    parted = []
    for twin, first in _waiting(db, generation=generation):
        if not twin.item.local or (shown := digest(twin.item.source)) is None:
            continue
        sent = _sent_for(db, first, digest, unusable, now=now)
        if sent is not None and sent != shown and twins.part(db, twin.ord, shown):
            parted.append(twin.ord)
    return {ord_ for ord_ in parted if twins.first_of(db, ord_) is None}


def _waiting(db: Database, *, generation: int) -> Iterator[tuple[Work, int]]:
    after = 0
    while batch := waiting.twins(db, after=after, limit=_BATCH, generation=generation):
        after = batch[-1][0].ord
        yield from batch


def _sent_for(db: Database, first: int, digest: Digest, unusable: Collection[int], *, now: float) -> str | None:
    """Return the digest of what is sent for a first item by the time its outcome is shared.

    It is "" where its file cannot be sent, and None where nobody will ask: nothing was noted, or it waits for a person.
    """
    item = first_item(db, first)
    if item.is_paid:
        return item.sha256
    if not item.is_waiting or not item.local:
        return None
    shown = digest(item.source)
    if upload_lasts(item.upload_expires, now=now) and shown in (None, item.sha256):
        return item.sha256
    return "" if first in unusable else shown or ""
