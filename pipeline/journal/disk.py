"""The three places a run writes to, opened together: the states, the hits under way, and the lines."""

import errno
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.journal.recovery import Recovered, recover
from pipeline.journal.schema import Connection, configure
from pipeline.journal.spool import Spool
from pipeline.journal.store import Store
from pipeline.sink import Sink

JOURNAL, RESULTS, SPOOL = "journal.sqlite", "results.jsonl", "spool"


@dataclass(frozen=True, slots=True)
class Disk:
    """What the writing thread owns; `recovered` is what it found left over when it opened."""

    store: Store
    spool: Spool
    sink: Sink
    recovered: Recovered

    def close(self) -> None:
        """Close all three."""
        self.spool.close()
        self.sink.close()
        self.store.close()


def connect(path: Path) -> Connection:
    """Open the journal with the standard library's SQLite; transactions are begun and ended by us alone."""
    return sqlite3.connect(path, isolation_level=None, timeout=5.0, cached_statements=256)


def open_disk(folder: Path, *, now: float, connect: Callable[[Path], Connection] = connect) -> Disk:
    """Open a run directory's files and make them whole after whatever ended the last run.

    Raises JournalError when they cannot be opened, or are not what was written.
    """
    try:
        _refuse_lost_journal(folder)
        store = Store(connect(folder / JOURNAL))
        (folder / JOURNAL).chmod(0o600)
        configure(store.do)
        store.create()
        sink = Sink(folder / RESULTS)
        recovered = recover(store, sink, now=now)
        sync_names(folder)
        live = store.do("SELECT segment, count(*) FROM items WHERE segment IS NOT NULL GROUP BY segment").fetchall()
        return Disk(store, Spool(folder / SPOOL, live, first=int(now * 1000)), sink, recovered)
    except sqlite3.Error as exc:
        raise JournalError(f"{folder / JOURNAL}: the journal cannot be read: {exc}") from exc
    except OSError as exc:
        raise JournalError(f"{folder}: cannot be written: {exc.strerror}; check the disk and the permissions") from exc


def _refuse_lost_journal(folder: Path) -> None:
    """An empty journal would cut all lines off results.jsonl, and forget every task: never start one beside results."""
    journal, results, log = folder / JOURNAL, folder / RESULTS, folder / f"{JOURNAL}-wal"
    if journal.is_file() and (journal.stat().st_size or (log.is_file() and log.stat().st_size)):
        return
    if results.is_file() and results.stat().st_size:
        raise JournalError(
            f"{folder}: {JOURNAL} is gone, and only it can tell what the results are; "
            "put it back, or start with `run --new`"
        )


def sync_names(folder: Path) -> None:
    """Make the names of the files durable, and those of the folders up to them: a synced file can still lose its name.

    Done at every start, for the start that made them may have been killed before it came to this.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    _sync_folder(folder)
    for parent in folder.absolute().parents:
        try:
            _sync_folder(parent)
        except OSError as exc:  # not ours to read, or no folder that can be synced: then we have not made it either
            if exc.errno not in (errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTSUP):
                raise


def _sync_folder(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def open_store_read_only(folder: Path) -> Store:
    """Open a journal only to look at it, also while a run writes. Raises JournalError when there is none."""
    path = folder / JOURNAL
    if not path.is_file():
        raise JournalError(f"{folder}: no run here (no {JOURNAL})")
    failures: list[str] = []
    for mode in ("mode=ro", "immutable=1"):  # a folder that cannot be written has no room for SQLite's shared memory
        try:
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, isolation_level=None)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return Store(connection)
        except sqlite3.Error as exc:
            failures.append(str(exc))
    raise JournalError(f"{path}: the journal cannot be read: {failures[0]}")
