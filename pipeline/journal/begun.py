"""The question whether a run has begun in a directory, which every command asks before it reads or makes a journal.

1. The journal is laid out: a run has begun.
2. It is not, and what lies beside it may have been paid for: the journal is lost, which is refused.
3. It is not, and nothing of that kind is there: a run was stopped in its first milliseconds, before anything was sent,
   or there never was one. The next run begins anew.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.journal.evidence import doubts_in
from pipeline.journal.identity import NOTE
from pipeline.journal.kept_files import left_over
from pipeline.journal.places import AS_RUN as AS_RUN
from pipeline.journal.places import JOURNAL, SPOOL, results_file
from pipeline.system.fault import Fault, typed

REPAIRING = ".repairing"  # there while a repair is under way, and after one that was cut short
BEGINS_ANEW = (
    "a run was stopped here before anything was sent, so there is nothing to mend: run the job again, it begins anew"
)

_LARGEST_PAGE = 64 << 10  # of SQLite; a journal without a table has one page
_HOT = bytes.fromhex("d9d505f920a163d7")  # a rollback journal that is in use begins with it
_PAGES_BEFORE = slice(16, 20)  # in such a journal: the size of the database before the change, in pages


def has_begun(folder: Path) -> bool:
    """Return whether there is a journal to read. Raises JournalError if it is lost beside what may have been paid."""
    refuse_lost_journal(folder)
    return _is_laid_out(folder)


def was_stopped_at_once(folder: Path) -> bool:
    """Return whether a run was stopped here while its journal was made, and nothing was sent."""
    if not (folder / JOURNAL).exists() and not results_file(folder).exists():
        return False
    try:
        return not has_begun(folder)
    except JournalError:
        return False


def refuse_lost_journal(folder: Path) -> None:
    """Raise JournalError where a new journal would begin beside results of a run whose journal is gone.

    It would cut all lines off results.jsonl, and forget every task.
    """
    if (folder / REPAIRING).exists():
        raise _to_repair(folder, "a repair of this run was cut short; let it go on")
    if _is_laid_out(folder):
        return
    lost = f"{JOURNAL} is {'empty' if _size(folder / JOURNAL) else 'gone'}"
    if _size(results_file(folder)) or list(folder.glob(f"{JOURNAL}.damaged-*")):
        raise _to_repair(folder, f"{lost}, and there are results; put it back, or make it anew from them")
    if any(_traces(folder)):
        what = f"{lost}, and creates may have been paid; nothing was sent: put it and its {JOURNAL}-wal back, or let a "
        raise _to_repair(folder, f"{what}repair put every item without a line in doubt")
    if kept := left_over(folder):
        what = f"it was taken away while a run went on, and {kept[-1]} holds what was paid for; nothing was sent: put "
        raise _to_repair(folder, f"{what}the directory back, or make it anew from that")


def _to_repair(folder: Path, what: str) -> JournalError:
    return JournalError(Fault(what, where=str(folder), fix=typed("repair", folder)))


def _traces(folder: Path) -> Iterator[bool]:
    """Yield whether there is each thing that only a run leaves whose journal was laid out."""
    yield (folder / NOTE).exists()
    yield (folder / AS_RUN).exists()
    yield (folder / SPOOL).is_dir() and any(_size(file) for file in (folder / SPOOL).iterdir())
    yield any(doubts_in(folder))
    yield not _size(folder / JOURNAL) and bool(_size(folder / f"{JOURNAL}-wal"))  # the header comes before the log


def _is_laid_out(folder: Path) -> bool:
    """Return whether the journal has tables; also where it cannot be read, which whoever opens it explains."""
    journal = folder / JOURNAL
    if not journal.is_file() or not _size(journal) or pages_before(journal) == 0:
        return False
    if _size(journal) > _LARGEST_PAGE:
        return True
    # Without a log all that there is stands in the file; with one SQLite alone knows which of its pages count.
    mode = "mode=ro" if _size(folder / f"{JOURNAL}-wal") else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{journal.resolve().as_uri()}?{mode}", uri=True)) as connection:
            return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    except sqlite3.Error:
        return True


def pages_before(journal: Path) -> int | None:
    """Return the size in pages that SQLite will bring a journal back to; None where no change of it was cut short.

    Only without a write-ahead log: there a change is in the file before it counts.
    """
    try:
        with journal.with_name(f"{journal.name}-journal").open("rb") as file:
            head = file.read(_PAGES_BEFORE.stop)
    except OSError:
        return None
    return int.from_bytes(head[_PAGES_BEFORE], "big") if head.startswith(_HOT) else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0
