"""Spooled hits for waiting items; hits that expired or were lost are dropped, to be searched (and paid) again."""

from collections.abc import Iterable

from pipeline.journal.spool import mark_of
from pipeline.journal.sql.changes import forget_hits
from pipeline.journal.sql.rows import PaidHits, SearchNote, SpoolRef, Waiting, hits_of, note_of
from pipeline.journal.storage import Disk
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, Hits, Work
from pipeline.system.clock import from_the_future


def with_hits(disk: Disk, found: Iterable[Waiting], *, now: float) -> list[tuple[Work, SpoolRef | None]]:
    """Give each item its hits, and return where these lie; None for an item without hits that can still be used."""
    taken = []
    for work, note, ref in found:
        if ref is not None and note is not None:
            array = disk.spool.read(ref, mark=mark_of(work.ord, note))
            if array is None or _too_old(note, now):
                disk.spool.release(ref.segment)
                forget_hits(disk.db, work.ord)
                ref = None
            else:
                work.hits = hits_of(note, array)
        taken.append((work, ref))
    return taken


def spool(disk: Disk, ord_: int, hits: Hits) -> PaidHits:
    """Write an item's hits to the spool; return their note and place for the journal."""
    note = note_of(hits)
    return note, disk.spool.append(hits.array, mark=mark_of(ord_, note))


def _too_old(note: SearchNote, now: float) -> bool:
    return now > note.at + HITS_LIFE_S - EXPIRY_MARGIN_S or from_the_future(note.at, now=now)
