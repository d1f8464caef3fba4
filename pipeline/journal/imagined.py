"""An imagined start: a private copy of a journal, made whole as the next run would make it, for plans to try things on.

Nothing in the run directory is changed, and a run may go on meanwhile.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.journal.begun import has_begun
from pipeline.journal.identity import of_journal, refuse_other
from pipeline.journal.kept_files import left_over
from pipeline.journal.kept_lines import kept_in
from pipeline.journal.places import RESULTS
from pipeline.journal.recovery import recover
from pipeline.journal.results_file import ResultsFile
from pipeline.journal.sql import schema
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Line
from pipeline.journal.storage import explaining_rows, reading_only
from pipeline.journal.tail_check import CHECK, read_check
from pipeline.system.checksum import RecordLine
from pipeline.system.fault import Fault

# With less, a sixth of the time of a large plan is system time: a million items are 300 MB with their indexes.
_CACHE_KB = 64 << 10


@contextlib.contextmanager
def imagine(folder: Path, *, now: float, running: bool = False, places: Path | None = None) -> Iterator[Database]:
    """Yield a copy of the journal in `folder`, or an empty one where no run has begun, until the block ends.

    It lies in memory, and in an unnamed temporary file where that is large. What a death left over is made whole in it,
    unless a run is under way (`running`). Raises JournalError when the journal is damaged or gone.
    """
    with explaining_rows(folder), contextlib.closing(sqlite3.connect("", isolation_level=None)) as connection:
        copy = Database(connection)
        copy.do(f"PRAGMA cache_size=-{_CACHE_KB}")
        try:
            if has_begun(folder):
                with reading_only(folder) as db:
                    assert isinstance(db.connection, sqlite3.Connection)
                    db.connection.backup(connection)
            if not running:
                refuse_other(folder, of_journal(copy), places=places)
            schema.create(copy)
            if not running:
                _make_whole(folder, copy, now=now)
            yield copy
        except sqlite3.Error as exc:
            what = f"its journal cannot be looked at: {exc}; is the temporary folder full?"
            raise JournalError(Fault(what, where=str(folder))) from exc


def _make_whole(folder: Path, copy: Database, *, now: float) -> None:
    with contextlib.closing(_Untouched(folder / RESULTS)) as results:
        left = kept_in(left_over(folder))
        recover(copy, results, now=now, written=read_check(folder / CHECK), kept=left)


class _Untouched(ResultsFile):
    """The lines of results.jsonl to read alone: what would be written or cut is only counted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = self._end = 0
        self._check = None
        self._fd = os.open(path if path.is_file() else os.devnull, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def append(self, lines: Sequence[bytes | RecordLine]) -> list[Line]:
        return [self.adopt(bytes(line)) for line in lines]

    def cut(self) -> int:
        return 0
