"""Looks at local pictures, kept in the user's cache folder: a second look reads only what changed.

What was found is known again by the file's device, inode, size and time of change. A cache that cannot be used is never
an error: the pictures are read again.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from pipeline.sources.decoding import PictureRefused
from pipeline.sources.made_ahead import MadeAhead
from pipeline.sources.pictures import (
    MAX_BYTES,
    Picture,
    digest_of,
    digest_of_pixels,
    most_of,
    read_picture,
    stamp_of,
    why_not_as_it_is,
)
from pipeline.sources.stamps import Stamp
from pipeline.sources.urls import digest_of_views, identity_of_url
from pipeline.system.folders import cache_folder
from pipeline.system.structs import decode
from pipeline.views import has_views, is_url, views_of

_BYTES = "pictures"
_FAULTS, _FAULTS_OF_FIT = "faults_3", "faults_3_fit"  # another number where pictures.py judges otherwise than before
_PIXELS, _PIXELS_OF_FIT = "pixels_1", "pixels_1_fit"  # another number where pixels.py digests otherwise than before
_COLUMNS = {_BYTES: "sha256", _FAULTS: "fault", _FAULTS_OF_FIT: "fault", _PIXELS: "digest", _PIXELS_OF_FIT: "digest"}
_WHERE = "WHERE device = ? AND inode = ? AND size = ? AND changed_ns = ?"
_TOGETHER = 200  # notes that are written at once
# A file that changed just now may change again without a later time of change, as coarse as a file system's clock is.
_TOO_YOUNG_NS = 2_000_000_000


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The verdict on a picture; the empty one is that it can be sent as it is.

    fault   what is wrong with it
    helps   True when `upload.fit` would mend the fault
    fitted  why it is made fit, or would be better so
    lasts   True while the file stays as it is; permissions change without it
    """

    fault: str = ""
    helps: bool = False
    fitted: str = ""
    lasts: bool = True

    @classmethod
    def of(cls, refused: PictureRefused) -> "Verdict":
        """Return the verdict on a picture that was refused."""
        return cls(fault=refused.message, helps=refused.fit_helps, lasts=refused.lasts)


def verdict_on(data: bytes, *, fit: bool) -> Verdict:
    """Decode a picture and judge whether it can be sent, with or without `fit`."""
    try:
        return Verdict(fitted=why_not_as_it_is(data, fit=fit))
    except PictureRefused as refused:
        return Verdict.of(refused)


class Looks:
    """Digests of local pictures, from the cache where the file is as it was."""

    def __init__(self, cache: Path | None = None) -> None:
        """Keep the notes in the folder `cache`; by default in the user's."""
        self._cache = cache
        self._db: sqlite3.Connection | None = None
        self._tried = False
        self._notes: dict[str, list[tuple[int, int, int, int, str]]] = {table: [] for table in _COLUMNS}

    def close(self) -> None:
        """Write what is not written yet, and close the cache."""
        self._write()
        if self._db is not None:
            self._db.close()
            self._db = None

    def digest(self, root: Path, source: str, most: int = MAX_BYTES) -> str | None:
        """Return the SHA-256 of a picture inside `root`; None where it cannot be read or has more bytes than `most`.

        That of several views names each of them; None where one of them cannot be read.
        """
        if has_views(source):
            return self._of_views(root, source, most)
        try:
            before = stamp_of(root, source)
            if before.size > most:
                return None
            return self._find(_BYTES, before) or self._read(
                _BYTES, root, source, before, lambda: digest_of(root, source, most)
            )
        except (OSError, RuntimeError, ValueError):
            return None

    def pixels(self, root: Path, source: str, *, fit: bool) -> str | None:
        """Return the digest of the pixels of a picture inside `root`; None where it cannot be read or decoded."""
        table = _PIXELS_OF_FIT if fit else _PIXELS
        try:
            before = stamp_of(root, source)
            return self._find(table, before) or self._read(
                table, root, source, before, lambda: digest_of_pixels(root, source, fit=fit)
            )
        except (OSError, RuntimeError, ValueError):
            return None

    def verdict(self, stamp: Stamp, *, fit: bool) -> Verdict | None:
        """Return what was found of a picture that was looked at before, with or without `fit`; None for a new one."""
        kept = self._find(_FAULTS_OF_FIT if fit else _FAULTS, stamp)
        with contextlib.suppress(msgspec.MsgspecError):
            return None if kept is None else decode(kept, Verdict)
        return None

    def note_digest(self, stamp: Stamp, found: str) -> None:
        """Keep the digest of a picture that another process, or machine, has read; its file is as `stamp` says."""
        if self._find(_BYTES, stamp) is None:
            self._note(_BYTES, stamp, found)

    def note_pixels(self, stamp: Stamp, found: str, *, fit: bool) -> None:
        """Keep the digest of the pixels of a picture that another process, or machine, has decoded."""
        if self._find(table := _PIXELS_OF_FIT if fit else _PIXELS, stamp) is None:
            self._note(table, stamp, found)

    def _of_views(self, root: Path, source: str, most: int) -> str | None:
        views = views_of(source)
        pictures = [identity_of_url(view) if is_url(view) else self.digest(root, view, most) for view in views]
        return None if None in pictures else digest_of_views(filter(None, pictures))

    def note_verdict(self, stamp: Stamp, verdict: Verdict, *, fit: bool) -> None:
        """Keep what was found of a picture, where that lasts."""
        if verdict.lasts:
            self._note(_FAULTS_OF_FIT if fit else _FAULTS, stamp, msgspec.json.encode(verdict).decode())

    def _read(self, table: str, root: Path, source: str, before: Stamp, look: Callable[[], str | None]) -> str | None:
        found = look()
        if found is not None and before == (after := stamp_of(root, source)):
            self._note(table, after, found)
        return found

    def _note(self, table: str, stamp: Stamp, found: str) -> None:
        if time.time_ns() - stamp.changed_ns > _TOO_YOUNG_NS:
            self._notes[table].append((*stamp, found))
            if len(self._notes[table]) >= _TOGETHER:
                self._write()

    def _find(self, table: str, stamp: Stamp) -> str | None:
        if not self._tried:
            self._tried, self._db = True, _opened(self._cache)
        if self._db is None:
            return None
        query = f"SELECT {_COLUMNS[table]} FROM {table} {_WHERE}"  # noqa: S608
        try:
            row = self._db.execute(query, tuple(map(_signed, stamp))).fetchone()
        except sqlite3.Error:
            return None
        return None if row is None else str(row[0])

    def _write(self) -> None:
        batches, self._notes = self._notes, {table: [] for table in _COLUMNS}
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


def readers(
    root: Path, *, fit: bool, ahead: Path | None = None
) -> tuple[Callable[[str], Picture], Callable[[str], str | None]]:
    """Return what reads a picture inside `root` to be sent, and what digests one; some may be made fit `ahead`."""
    made = None if ahead is None else MadeAhead(ahead)
    return partial(read_picture, root, fit=fit, ahead=made), partial(digest_now, root, most=most_of(fit=fit))


def digest_now(root: Path, source: str, most: int = MAX_BYTES) -> str | None:
    """Return the SHA-256 of one picture inside `root` as it is now; None where it cannot be read."""
    with looking() as looks:
        return looks.digest(root, source, most)


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
        for table, column in _COLUMNS.items():
            db.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (device INTEGER, inode INTEGER, size INTEGER, changed_ns INTEGER, "
                f"{column} TEXT NOT NULL, PRIMARY KEY (device, inode)) WITHOUT ROWID"
            )
    except (OSError, RuntimeError, sqlite3.Error):
        if db is not None:
            db.close()
        return None
    return db
