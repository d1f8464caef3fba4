"""One connection to a journal, and the two things that everything else is made of: remembered values and changed rows.

Call what changes rows inside a transaction only. Each change either changes exactly the row it names or raises
JournalError (or SQLite's own error, where the trigger refuses it); a raise stops the writing thread for good.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from pipeline.errors import JournalError

CLEAN = "clean"  # a remembered value: "0" while a run is under way, and after one that died
DURABLE = "PRAGMA synchronous=FULL"  # each commit survives a power loss (measured: NORMAL lost up to 40)
UNSYNCED = "PRAGMA synchronous=NORMAL"  # with a write-ahead log: survives a kill, and a power loss once one is synced


class Cursor(Protocol):
    """The result of a statement; `rowcount` is how many rows it changed."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


class Connection(Protocol):
    """The little of a SQLite connection that is used: stdlib sqlite3 fits, and so does apsw with a VFS of a test."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...
    def close(self) -> None: ...


class Database:
    """A journal's connection, used by one thread.

    do            execute one statement
    only_chosen   a condition in SQL, " AND ...", while a person has chosen the items to work on; else empty
    has_log       True when commits go to a write-ahead log, where one without a sync leaves the journal whole
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.do = connection.execute
        self.only_chosen = ""
        self.has_log = False

    def has_table(self, name: str) -> bool:
        """Return whether there is such a table; a journal of an earlier version that is only read lacks later ones."""
        return bool(self.do("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone())

    def meta(self, key: str) -> str | None:
        """Read one remembered value."""
        row = self.do("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Remember one value."""
        self.do("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))

    def change(self, ord_: int, assignment: str, values: Sequence[Any] = (), *, only: str = "") -> None:
        """Assign columns of one item. Raises JournalError when there is no such item, or `only` is not true of it."""
        where = f"ord = ? AND {only}" if only else "ord = ?"
        sql = f"UPDATE items SET {assignment} WHERE {where} RETURNING ord"
        if len(self.do(sql, (*values, ord_)).fetchall()) != 1:
            raise JournalError(f"the journal refused a change: {assignment.split(' ')[0]} of item {ord_}")

    @contextmanager
    def unsynced(self) -> Iterator[None]:
        """Let the commits of the block survive a kill at once, and a power loss with the next commit after it."""
        if not self.has_log:
            yield
            return
        self.do(UNSYNCED)
        yield
        self.do(DURABLE)

    def close(self) -> None:
        """Close the connection; SQLite folds its write-ahead log into the file."""
        self.connection.close()


def configure(execute: Callable[[str], Cursor], *, journal_mode: str = "WAL") -> None:
    """Make commits durable."""
    if journal_mode != "WAL":  # a network file system: its locks between processes are not to be relied on either
        execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
    execute(f"PRAGMA journal_mode={journal_mode}").fetchall()
    execute(DURABLE).fetchall()
    execute("PRAGMA cache_size=-4000").fetchall()
