"""A whole copy of a journal that its owner, who was taken for dead, may still be writing on another machine.

SQLite's locks are of no use between machines, so the copy is proved instead. With a write-ahead log the journal's own
file is changed by nothing but pages of that log, which stay in it until it begins anew with another salt in its header:
the file, then a log with the same salt before and after, is what was committed when the log was read. Without one, the
file and its rollback journal must be the same after the copy as before. The copy is another journal than the original:
it gets an id of its own, and the original, which has been gone on with, is refused from then on (`refuse_superseded`).
"""

import hashlib
import os
import time
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import JournalError
from pipeline.journal.identity import COUNTER, ID, Known, of_journal
from pipeline.journal.places import JOURNAL
from pipeline.journal.sql import items
from pipeline.journal.sql.database import Database
from pipeline.journal.storage import connect
from pipeline.models import SETTLED, State
from pipeline.system.fault import Fault
from pipeline.system.files import private

PATIENCE_S = 30.0  # for an owner that writes on and on: it only records the answers that were on their way
_POLL_S = 0.1
_LOG, _ROLLBACK = f"{JOURNAL}-wal", f"{JOURNAL}-journal"
_HEADER = 32  # bytes of a log: its salt is among them
_CHUNK = 1 << 20


class _Marks(NamedTuple):
    """The beginning of the log or of the rollback journal; without a log, also the sum of the journal's bytes."""

    log: bytes
    rollback: bytes
    pages: str


def copy_journal(source: Path, target: Path, *, patience_s: float = PATIENCE_S) -> None:
    """Copy the journal of one run directory into another. Raises JournalError where it does not stand still."""
    end = time.monotonic() + patience_s
    while True:
        before = _marks(source)
        for name in (JOURNAL, _LOG, _ROLLBACK):
            (target / name).unlink(missing_ok=True)
            copy_file(source / name, target / name)
        if before == _marks(source) and _begin_of(target / _LOG) == before.log:
            return
        if time.monotonic() >= end:
            what = "this journal is written while it is copied, though its owner was declared dead; try again later"
            raise JournalError(Fault(what, where=str(source / JOURNAL)))
        time.sleep(_POLL_S)


def copy_file(source: Path, target: Path) -> int:
    """Copy a file as far as it is there now, durably; return its size. Does nothing where there is none."""
    try:
        read = os.open(source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return 0
    copied = 0
    try:
        with open(private(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            while some := os.read(read, _CHUNK):
                file.write(some)
                copied += len(some)
            file.flush()
            os.fsync(file.fileno())
    finally:
        os.close(read)
    return copied


def known_of(folder: Path) -> Known | None:
    """Read what a copied journal says of itself, of whichever version it is."""
    with closing(Database(connect(folder / JOURNAL))) as db:
        return of_journal(db)


def become_another(folder: Path) -> dict[State, int]:
    """Let a copied journal forget whose copy it is, so that it gets an id of its own; return its items by state."""
    with closing(Database(connect(folder / JOURNAL))) as db:
        db.do("DELETE FROM meta WHERE key IN (?, ?)", (ID, COUNTER))
        return items.counts(db)


def finished_in(counts: dict[State, int]) -> int:
    """Count the items that came to an end that needs nobody's decision."""
    return sum(counts.get(state, 0) for state in (*SETTLED, State.FAILED))


def _marks(folder: Path) -> _Marks:
    log = _begin_of(folder / _LOG)
    return _Marks(log, _begin_of(folder / _ROLLBACK), "" if log else _sum_of(folder / JOURNAL))


def _begin_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEADER)
    except FileNotFoundError:
        return b""


def _sum_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
