"""Hits that are paid and lie in the spool: for items that wait, and for people to look at while an item is open.

Hits of a waiting item that expired or were lost are dropped, to be searched (and paid) again.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.journal.spool import mark_of, read_spooled
from pipeline.journal.sql import items
from pipeline.journal.sql.changes import forget_hits
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.doubts import repeated_by_itself
from pipeline.journal.sql.rows import PaidHits, SpoolRef, Waiting, hits_of, note_of
from pipeline.journal.storage import Disk
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, Hits, Problem, State, Work
from pipeline.system.clock import from_the_future

_BATCH = 512


class OpenItem(NamedTuple):
    """An open item with the hits that are paid for it; `hits_lost` when their bytes are gone."""

    work: Work
    state: State
    problem: Problem
    hits_lost: bool


def with_hits(disk: Disk, found: Iterable[Waiting], *, now: float) -> list[tuple[Work, SpoolRef | None]]:
    """Give each item its hits, and return where these lie; None for an item without hits that can still be used."""
    taken = []
    for work, note, ref in found:
        if ref is not None and note is not None:
            array = disk.spool.read(ref, mark=mark_of(work.ord, note))
            disk.spool.hold(work.ord, ref.segment)
            if array is None or not hits_last(note.at, now=now):
                disk.spool.drop(work.ord)
                forget_hits(disk.db, work.ord)
                ref = None
            else:
                work.hits = hits_of(note, array)
        taken.append((work, ref))
    return taken


def open_with_hits(db: Database, spool_folder: Path, *, duplicates: int = 0) -> Iterator[OpenItem]:
    """Yield the open items in order, each with its hits, also those too old for a task; nothing is changed.

    The hits of one item are in memory at a time. `duplicates` is how many in doubt the job creates once more.
    """
    after = 0
    repeated = repeated_by_itself(db, most=duplicates)
    while batch := items.open_items(db, after=after, limit=_BATCH, repeated=repeated):
        for work, state, problem in batch:
            after = work.ord
            lost = work.hits is not None and not _fill(db, spool_folder, work)
            yield OpenItem(work, state, problem, lost)
            work.hits = None


def _fill(db: Database, spool_folder: Path, work: Work) -> bool:
    """Give an item the bytes of its hits; return False when they are gone."""
    _, note, ref = items.work(db, work.ord)
    if note is None or ref is None:
        return False
    array = read_spooled(spool_folder, ref, mark=mark_of(work.ord, note))
    if array is not None:
        work.hits = hits_of(note, array)
    return array is not None


def spool(disk: Disk, ord_: int, hits: Hits | None) -> PaidHits | None:
    """Write an item's hits to the spool; return their note and place for the journal, None if they were there."""
    if hits is None or disk.spool.holds(ord_):
        return None
    note = note_of(hits)
    ref = disk.spool.append(hits.array, mark=mark_of(ord_, note))
    disk.spool.hold(ord_, ref.segment)
    return note, ref


def hits_last(at: float, *, now: float) -> bool:
    """Return whether hits of a search that was answered `at` can still be used."""
    return now <= at + HITS_LIFE_S - EXPIRY_MARGIN_S and not from_the_future(at, now=now)
