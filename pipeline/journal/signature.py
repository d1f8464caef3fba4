"""The signature of a run directory: while it stays the same, whoever reads the directory finds the same.

It is made of the marks of all files there, and of those of the reports that were collected for it: inode, size, and the
times of change. The device is none of them: each machine numbers its mounts in its own way. Left out is what readers
themselves make and change: the lock, the memory that SQLite shares, and a write-ahead log that holds nothing.
"""

import os
import stat
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from pipeline.journal.places import AS_RUN, JOURNAL, REPORT, REPORTS_FOLDER, SUMMARY

_LOG = f"{JOURNAL}-wal"
_OF_READERS = frozenset({"lock", f"{JOURNAL}-shm"})
# A network file system asks its server about a file that is opened; what it says of others may be a minute old.
_OPENED = frozenset({JOURNAL, _LOG, f"{JOURNAL}-journal", AS_RUN, SUMMARY, REPORT})
# A file that changed just now may change again without a later time: file systems count in up to 2 s, and the clocks of
# machines that share a folder differ by up to 5 s.
TOO_YOUNG_S = 10.0


class Signature(NamedTuple):
    """The signature of a run directory, and when anything in it changed last, in nanoseconds since the epoch."""

    marks: bytes
    changed_ns: int

    def is_proof(self, *, now: float) -> bool:
        """Return whether any later change would make another signature."""
        return now - self.changed_ns / 1e9 > TOO_YOUNG_S


def signature_of(run: Path, *, remote: bool = True) -> Signature | None:
    """Take the signature of a run directory; None where one of its files cannot be seen.

    With `remote` false it lies on a disk of this machine, which is quicker to ask.
    """
    folder = os.fspath(run)
    try:
        entries = sorted(_entries(folder, len(folder), remote=remote))
    except OSError:
        return None
    changed_ns = max((max(times) for _, _, _, *times in entries), default=0)
    return Signature(blake2b(repr(entries).encode(), digest_size=16).digest(), changed_ns)


def _entries(folder: str, skipped: int, *, remote: bool) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield path (without its first letters), inode, size and times; folders have an inode alone, their files count."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name in _OF_READERS:
                continue
            status = _status(entry, remote=remote)
            if stat.S_ISDIR(status.st_mode):
                yield entry.path[skipped:], status.st_ino, 0, 0, 0
                if entry.name == REPORTS_FOLDER:
                    yield from _entries(entry.path, skipped, remote=remote)
            elif status.st_size or entry.name != _LOG:
                yield entry.path[skipped:], status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _status(entry: os.DirEntry[str], *, remote: bool) -> os.stat_result:
    if not remote or entry.name not in _OPENED:
        return os.stat(entry.path)
    descriptor = os.open(entry.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)
