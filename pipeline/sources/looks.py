"""Looks at local pictures, kept in the user's cache folder: a second look reads only what changed.

What was found is known again by the file's device, inode, size and time of change. A cache that cannot be used is never
an error: the pictures are read again.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.sources.pictures import MAX_BYTES, digest_of, stamp_of
from pipeline.sources.stamps import Stamp
from pipeline.system.folders import cache_folder

_FAULTS = "faults_1"  # another number where pictures.py judges otherwise than before
_WHERE = "WHERE device = ? AND inode = ? AND size = ? AND changed_ns = ?"
_TOGETHER = 200  # notes that are written at once
# A file that changed just now may change again without a later time of change, as coarse as a file system's clock is.
_TOO_YOUNG_NS = 2_000_000_000


class Looks:
    """Digests of local pictures, from the cache where the file is as it was."""

    def __init__(self, cache: Path | None = None) -> None:
        """Keep the notes in the folder `cache`; by default in the user's."""
        self._cache = cache
        self._db: sqlite3.Connection | None = None
        self._tried = False
        self._notes: list[tuple[int, int, int, int, str]] = []
        self._faults: list[tuple[int, int, int, int, str]] = []

    def close(self) -> None:
        """Write what is not written yet, and close the cache."""
        self._write()
        if self._db is not None:
            self._db.close()
            self._db = None

    def digest(self, root: Path, source: str) -> str | None:
        """Return the SHA-256 of a picture inside `root`; None where it cannot be read or is too large to be sent."""
        try:
            before = stamp_of(root, source)
            if before.size > MAX_BYTES:
                return None
            return self._known(before) or self._read(root, source, before)
        except (OSError, RuntimeError, ValueError):
            return None

    def fault(self, stamp: Stamp) -> str | None:
        """Return what is wrong with a picture that was looked at before, "" when nothing is; None for a new one."""
        return self._find(f"SELECT fault FROM {_FAULTS} {_WHERE}", stamp)  # noqa: S608

    def note_fault(self, stamp: Stamp, fault: str) -> None:
        """Keep what is wrong with a picture; "" when nothing is."""
        if time.time_ns() - stamp.changed_ns > _TOO_YOUNG_NS:
            self._faults.append((*stamp, fault))
            if len(self._faults) >= _TOGETHER:
                self._write()

    def _read(self, root: Path, source: str, before: Stamp) -> str | None:
        found = digest_of(root, source)
        after = stamp_of(root, source)
        if found is not None and before == after and time.time_ns() - after.changed_ns > _TOO_YOUNG_NS:
            self._notes.append((*after, found))
            if len(self._notes) >= _TOGETHER:
                self._write()
        return found

    def _known(self, stamp: Stamp) -> str | None:
        return self._find(f"SELECT sha256 FROM pictures {_WHERE}", stamp)  # noqa: S608

    def _find(self, query: str, stamp: Stamp) -> str | None:
        if not self._tried:
            self._tried, self._db = True, _opened(self._cache)
        if self._db is None:
            return None
        try:
            row = self._db.execute(query, tuple(map(_signed, stamp))).fetchone()
        except sqlite3.Error:
            return None
        return None if row is None else str(row[0])

    def _write(self) -> None:
        batches = {"pictures": self._notes, _FAULTS: self._faults}
        self._notes, self._faults = [], []
        if self._db is None:
            return
        with contextlib.suppress(sqlite3.Error), self._db:
            for table, notes in batches.items():
                rows = [(*map(_signed, note[:4]), note[4]) for note in notes]
                self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?)", rows)  # noqa: S608


@contextlib.contextmanager
def looking() -> Iterator[Looks]:
    """Open the user's cache of looks while the block lasts."""
    looks = Looks()
    try:
        yield looks
    finally:
        looks.close()


def digest_now(root: Path, source: str) -> str | None:
    """Return the SHA-256 of one picture inside `root` as it is now; None where it cannot be read."""
    with looking() as looks:
        return looks.digest(root, source)


def _signed(number: int) -> int:
    """Fold a number into SQLite's 64 bits: some file systems' inodes use all of them."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def _opened(cache: Path | None) -> sqlite3.Connection | None:
    db = None
    try:
        folder = cache or cache_folder()
        if folder is None:
            return None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = sqlite3.connect(folder / "pictures.sqlite", timeout=1, check_same_thread=False)
        db.execute("PRAGMA synchronous = OFF")
        for table, column in (("pictures", "sha256"), (_FAULTS, "fault")):
            db.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (device INTEGER, inode INTEGER, size INTEGER, changed_ns INTEGER, "
                f"{column} TEXT NOT NULL, PRIMARY KEY (device, inode)) WITHOUT ROWID"
            )
    except (OSError, RuntimeError, sqlite3.Error):
        if db is not None:
            db.close()
        return None
    return db
