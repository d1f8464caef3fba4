"""The parts of a run directory that are open: for them it stays where old ones are removed."""

from pathlib import Path

from pipeline.journal.begun import refuse_lost_journal
from pipeline.journal.collected import has_collection
from pipeline.journal.kept_files import left_over
from pipeline.journal.places import collection_of
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.forecast import expiries
from pipeline.journal.sql.items import in_view
from pipeline.journal.storage import reading_only
from pipeline.models import WAITING, State
from pipeline.results.records import read_records
from pipeline.results.summary import item_counts
from pipeline.system.wording import count

CLIENT = "client"  # the label that names an item's client


def open_parts(folder: Path, *, now: float, own: bool = False) -> str:
    """Say what is open in a run directory, or in the collection of its reports; "" for nothing. Raises JournalError."""
    for one in (folder, collection_of(folder)):
        refuse_lost_journal(one)
        if left_over(one):
            return "what was paid when a disk failed is not taken in yet"
    for one in journals(folder):
        with reading_only(one, own=own) as db:
            if open_ := _open(db, now=now):
                return open_
    return ""


def _open(db: Database, *, now: float) -> str:
    counts, removed = in_view(db)
    items = item_counts(counts, removed=removed)
    unfinished = counts.get(State.CREATING, 0)
    open_ = items["open"] + unfinished
    if open_:
        return f"{count(open_, 'item is', 'items are')} open"
    if left := sum(counts.get(state, 0) for state in WAITING):
        return f"{count(left, 'item was', 'items were')} not started"
    if "tasks" in expiries(db, now=now):
        return "its tasks can still be read at the vendor"
    return ""


def others(folder: Path, client: str) -> str:
    """Say that a run holds items that are not this client's; "" when all are. Raises JournalError."""
    records = list(read_records(folder, include_open=True))
    found = sum(record.image.labels.get(CLIENT) != client for record in records)
    if found == len(records):
        return f"no item has the label {CLIENT}: {client}"
    return f"{count(found, 'item is', 'items are')} of other clients" if found else ""


def journals(folder: Path) -> list[Path]:
    """List the folders of a run directory that have a journal: itself, and that in which its reports are collected."""
    return [folder, *([collection_of(folder)] if has_collection(folder) else [])]
