"""Checks that results.jsonl and the journal are still what was written: every line against its CRC."""

import io
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline.errors import JournalError
from pipeline.journal.places import JOURNAL, folder_of
from pipeline.journal.sql import line_index
from pipeline.journal.sql.database import CLEAN, Cursor, Database
from pipeline.journal.sql.rows import Line
from pipeline.journal.sql.sense import nonsense
from pipeline.system.checksum import crc32
from pipeline.system.fault import Fault, typed

READ_ALWAYS = 64 << 20  # bytes of results.jsonl that every start reads: 0.1 s of records with hits, 0.4 s without
_BATCH = 1000
WHOLE = "ok"


class Verified(NamedTuple):
    """The result of a check.

    lines     how many lines the journal knows
    damaged   the numbers (from 1) of those that are not what was written
    journal   what is wrong with its pages, in SQLite's words, or with its rows; `WHOLE` when nothing is
    behind    bytes behind the last of these, of a run that came to its end; the journal does not know them
    """

    lines: int
    damaged: tuple[int, ...]
    journal: str
    behind: int = 0

    @property
    def ok(self) -> bool:
        """True if all that was written is as it was."""
        return self.journal == WHOLE and not self.damaged


def faults_of_pages(execute: Callable[[str], Cursor]) -> str:
    """Read every page of a journal; return SQLite's own report, `WHOLE` where nothing is wrong with them.

    Raises sqlite3.Error where pages cannot be read at all.
    """
    return "; ".join(str(row[0]) for row in execute("PRAGMA quick_check(3)").fetchall())


def verify(db: Database, results: Path) -> Verified:
    """Check every line, and the journal's own pages. Lines that a run has not committed yet are not looked at.

    Where results.jsonl is not there, no line is what was written.
    """
    try:
        journal = faults_of_pages(db.do)
        if journal == WHOLE and (found := nonsense(db.do)):
            journal = f"{found} is nothing that this program writes"
    except sqlite3.DatabaseError as exc:
        return Verified(0, (), str(exc))
    lines, damaged = 0, []
    with results.open("rb") if results.is_file() else io.BytesIO() as file:
        for number, whole in enumerate(_forwards(db, file), start=1):
            lines = number
            if not whole:
                damaged.append(number)
    return Verified(lines, tuple(damaged), journal, _behind(db, results))


def _behind(db: Database, results: Path) -> int:
    """Count the bytes behind the last known line; none while a run may be under way, whose own lines they are then.

    A journal that is read without its log, in a folder that cannot be written, is that of before the run.
    """
    log = folder_of(results) / f"{JOURNAL}-wal"
    if db.meta(CLEAN) != "1" or not results.is_file() or (log.exists() and log.stat().st_size):
        return 0
    last = line_index.last(db)
    return max(0, results.stat().st_size - (0 if last is None else last.offset + last.length))


def refuse_changed_lines(db: Database, results: Path, *, most: int = READ_ALWAYS) -> None:
    """Check the last lines before a start, as many as fit into `most` bytes: a million must not hold up a run.

    Raises JournalError at one that is not what was written.
    """
    last = line_index.last(db)
    if last is None:
        return
    with results.open("rb") as file:
        for seq, whole in _backwards(db, file, last.seq, most):
            if not whole:
                what = f"the file was changed: line {seq + 1:,} is not what was written; put the original file back"
                raise JournalError(
                    Fault(
                        f"{what}, or leave that line out", where=str(results), fix=typed("repair", folder_of(results))
                    )
                )


def _backwards(db: Database, file: BinaryIO, last: int, most: int) -> Iterator[tuple[int, bool]]:
    """Yield, for each of the last known lines, its number from 0 and whether it is whole, without a gap behind it."""
    follows: int | None = None
    while most > 0 and (lines := line_index.backwards(db, last, limit=_BATCH)):
        for line in lines:
            yield line.seq, line.offset + line.length == (follows or line.offset + line.length) and _whole(file, line)
            follows, last, most = line.offset, line.seq - 1, most - line.length
            if most <= 0:
                return


def _forwards(db: Database, file: BinaryIO) -> Iterator[bool]:
    """Yield, for each known line, whether it is whole, without a gap before it."""
    after, end = -1, 0
    while lines := line_index.following(db, after, limit=_BATCH):
        for line in lines:
            yield (line.seq, line.offset) == (after + 1, end) and _whole(file, line)
            after, end = line.seq, line.offset + line.length


def _whole(file: BinaryIO, line: Line) -> bool:
    file.seek(line.offset)
    return crc32(file.read(line.length)) == line.crc
