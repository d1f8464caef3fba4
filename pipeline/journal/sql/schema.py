"""The journal's tables, the changes of state that SQL allows, and the settings that durability rests on."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pipeline.errors import JournalError, OtherVersion
from pipeline.models import State

VERSION = 1


class Cursor(Protocol):
    """What a statement answers with; `rowcount` is how many rows it changed."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


class Connection(Protocol):
    """The little of a SQLite connection that is used: stdlib sqlite3 fits, and so does apsw with a VFS of a test."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor: ...
    def close(self) -> None: ...


_P, _S, _C = State.PENDING, State.SEARCHED, State.CREATING
_SETTLED = (State.TASKED, State.NO_HITS, State.SEARCH_ONLY)
_OPEN = (State.FAILED, State.IN_DOUBT, State.EXPIRED)
LEGAL: frozenset[tuple[State, State]] = frozenset(
    {(State.FAILED, State.FAILED), (_P, _S), (_P, _C), (_S, _C), (_C, _S), (_C, _C), (_S, _P), (_P, _P), (_S, _S)}
    | {(old, new) for old in (_P, _S) for new in (*_SETTLED, State.FAILED, State.EXPIRED)}
    | {(_C, State.TASKED), (_C, State.IN_DOUBT), (_C, State.FAILED)}
    | {(old, new) for old in (State.FAILED, State.EXPIRED) for new in (_P, _S)}
    # A doubt ends by decision alone: a person's, or the job's (api.on_in_doubt), and never straight in a create.
    | {(State.IN_DOUBT, new) for new in (_P, _S, State.TASKED, State.IN_DOUBT)}
)

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE calls (kind TEXT PRIMARY KEY, reserved INTEGER NOT NULL, sent INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE legal (old INTEGER, new INTEGER, PRIMARY KEY (old, new)) WITHOUT ROWID;
CREATE TABLE items (
  ord INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  source TEXT NOT NULL, local INTEGER NOT NULL, origin TEXT NOT NULL, labels TEXT NOT NULL,
  source_key INTEGER NOT NULL, same_as INTEGER, generation INTEGER NOT NULL,
  state INTEGER NOT NULL,
  url TEXT, url_expires REAL, sha256 TEXT,
  search TEXT, segment INTEGER, spooled_at INTEGER, spooled INTEGER,
  attempt INTEGER NOT NULL DEFAULT 0, intent TEXT, intent_at REAL,
  problem TEXT,
  task_id TEXT, task_at REAL,
  seq INTEGER, offset INTEGER, length INTEGER, crc INTEGER,
  calls TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX by_state ON items (state, ord);
CREATE INDEX by_twin ON items (same_as) WHERE same_as IS NOT NULL;
CREATE INDEX by_source ON items (source_key) WHERE same_as IS NULL;
CREATE UNIQUE INDEX by_seq ON items (seq) WHERE seq IS NOT NULL;
CREATE INDEX by_segment ON items (segment) WHERE segment IS NOT NULL;
CREATE TRIGGER legal_changes BEFORE UPDATE OF state ON items
WHEN NOT EXISTS (SELECT 1 FROM legal WHERE old = OLD.state AND new = NEW.state)
BEGIN SELECT RAISE(ABORT, 'illegal change of state'); END;
"""

# `risks`: items in doubt that may be created once more because the job says so; `spent` once such a create was sent.
# `decisions`: what a person decided about an item in doubt; kept for good.
# `again`: what an item was that a person has tried again, until that run ends (journal/chosen.py).
LATER = (
    "CREATE TABLE IF NOT EXISTS risks (ord INTEGER PRIMARY KEY, spent INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS decisions (at REAL NOT NULL, ord INTEGER NOT NULL, decision TEXT NOT NULL, "
    "request_id TEXT, task_id TEXT)",
    "CREATE TABLE IF NOT EXISTS again (ord INTEGER PRIMARY KEY, state INTEGER NOT NULL, problem TEXT, "
    "segment INTEGER, spooled_at INTEGER)",
)


def statements() -> list[str]:
    """The schema, one statement each: the trigger holds semicolons of its own."""
    head, _, trigger = SCHEMA.partition("CREATE TRIGGER")
    return [part.strip() for part in head.split(";") if part.strip()] + [
        "CREATE TRIGGER" + trigger.rstrip().rstrip(";")
    ]


def check_version(found: str | None) -> None:
    """Raise OtherVersion for a journal that another version of this program wrote, JournalError for no version."""
    if found is None or not found.isdecimal():
        raise JournalError(
            "this journal names no version, so it is damaged; run `pipeline repair` on the run directory"
        )
    if found != str(VERSION):
        use = "a newer" if int(found) > VERSION else "an older"
        raise OtherVersion(f"this journal has version {found}, and this program reads {VERSION}: use {use} pipeline")


def configure(execute: Callable[[str], Cursor], *, journal_mode: str = "WAL") -> None:
    """Set what durability rests on: FULL makes every commit survive a power loss (measured: NORMAL lost up to 40)."""
    if journal_mode != "WAL":  # a network file system: its locks between processes are not to be relied on either
        execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
    execute(f"PRAGMA journal_mode={journal_mode}").fetchall()
    execute("PRAGMA synchronous=FULL").fetchall()
    execute("PRAGMA cache_size=-4000").fetchall()
