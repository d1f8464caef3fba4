"""Waiting items with the hits that are paid for them, as far as these can still be used."""

from collections.abc import Iterable

from pipeline.journal.spool import mark_of
from pipeline.journal.sql.database import Waiting
from pipeline.journal.sql.rows import SearchNote, SpoolRef, hits_of
from pipeline.journal.storage import Disk
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, Work
from pipeline.system.clock import from_the_future


def with_hits(disk: Disk, found: Iterable[Waiting], *, now: float) -> list[tuple[Work, SpoolRef | None]]:
    """Give each item its hits; hits that are too old or lost are dropped, and searched and paid again."""
    taken = []
    for work, note, ref in found:
        if ref is not None and note is not None:
            array = disk.spool.read(ref, mark=mark_of(work.ord, note))
            if array is None or _too_old(note, now):
                disk.spool.release(ref.segment)
                disk.store.forget_hits(work.ord)
                ref = None
            else:
                work.hits = hits_of(note, array)
        taken.append((work, ref))
    return taken


def _too_old(note: SearchNote, now: float) -> bool:
    return now > note.at + HITS_LIFE_S - EXPIRY_MARGIN_S or from_the_future(note.at, now=now)
