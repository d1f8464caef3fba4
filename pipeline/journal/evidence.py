"""The things beside a journal that it must know: creates that were paid, or may have been.

A journal that does not is an older one that was put back, or lacks its write-ahead log. Run directories that no version
with an identity has opened yet (journal/identity.py) are known by nothing else.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from pipeline.errors import JournalError
from pipeline.journal.places import OPEN_FILE
from pipeline.journal.results_file import read_line
from pipeline.journal.sql import items, line_index
from pipeline.journal.sql.admission import DOUBT_NEW
from pipeline.journal.sql.database import Database
from pipeline.models import State
from pipeline.system.fault import Fault, typed


class _Open(msgspec.Struct):
    item: str
    status: str


_DECODER = msgspec.json.Decoder(_Open)
_IN_DOUBT = State.IN_DOUBT.word


def doubts_in(folder: Path) -> Iterator[str]:
    """Yield the ids of the items that open.jsonl says are in doubt; nothing of a file that is gone or damaged."""
    with contextlib.suppress(OSError), (folder / OPEN_FILE).open("rb") as lines:
        for raw in lines:
            if _IN_DOUBT.encode() not in raw:
                continue
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                line = _DECODER.decode(raw)
                if line.status == _IN_DOUBT:
                    yield line.item


def refuse_unknown_doubts(db: Database, folder: Path) -> None:
    """Raise JournalError if open.jsonl shows a doubt that the journal never had: its create may be paid.

    A journal that a repair made of little knows that: it puts in doubt whatever is listed next.
    """
    if db.meta(DOUBT_NEW) == "1":
        return
    for id_ in doubts_in(folder):
        if not items.had_doubt(db, id_):
            what = f"{id_} is in doubt here, and the journal does not know why: {_OLDER}"
            raise JournalError(Fault(what, where=str(folder / OPEN_FILE), fix=typed("repair", folder)))


def refuse_unknown_tasks(db: Database, results: Path, lines: Iterable[bytes]) -> None:
    """Raise JournalError if one of these lines, which the journal does not know, has a task that it cannot explain."""
    for raw in lines:
        view = read_line(raw)
        if view is None or view.task is None or view.reuses_task:  # that one is known where it was paid
            continue
        if items.explains_task(db, view.item, view.task.task_id):
            continue
        what = (
            f"the journal does not know the task {view.task.task_id} of {view.item}, and nothing was cut off: {_OLDER}"
        )
        raise JournalError(Fault(what, where=str(results), fix=typed("repair", results.parent)))


_OLDER = (
    "an older journal was put back, or its journal.sqlite-wal was left out; nothing was sent: put the newest "
    "journal.sqlite and journal.sqlite-wal back, or let a repair put every item without a line in doubt"
)


def refuse_unexplained(db: Database, folder: Path, results: Path) -> None:
    """Do both checks on a journal that is only read, unless it lacks tables. Raises JournalError."""
    if not all(map(db.has_table, ("items", "decisions", "risks"))):
        return
    refuse_unknown_doubts(db, folder)
    last = line_index.last(db)
    with contextlib.suppress(FileNotFoundError), results.open("rb") as file:
        file.seek(last.offset + last.length if last else 0)
        refuse_unknown_tasks(db, results, file)
