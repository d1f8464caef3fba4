"""The journal's tables, and the changes of state that SQLite itself allows.

Eight columns of `items` are not obvious:

generation   The number of the reading in which the item was last listed. A job's sources are read anew when they have
             changed, each time under the next number; an item with a smaller number than the last whole reading is no
             longer listed, so it is not worked on. It stays, for what was paid for it.
ord          The item's number in the order in which items came in. It never changes and is never given again; "work on
             items beyond `ord`" is how a run goes through them all in batches.
picture      The identity of its picture: the digest of its bytes, its URL in one spelling, or its path. NULL in rows of
             an earlier version, which are known by `source` alone until they are listed again.
source_key   The CRC-32 of `picture` (of `source` where that is NULL), to find items with the same picture by an index.
             -1 for an item that names no usable picture: it is never the first of several.
same_as      The `ord` of the first item with the same picture. Only that one is searched and created; this one waits
             for its outcome and shares it. NULL for an item that is worked on itself.
segment      With `spooled_at` and `spooled`: where its hits lie in the spool, as the number of the segment, and their
             offset and size in it, in bytes (rows.SpoolRef). NULL without hits.

`attempt` counts intents; only the proofs read it. `search`, `problem`, `labels`, `calls` and `report` are JSON; the
last says what was asked of a task whose report is awaited.
"""

from pathlib import Path

from pipeline.errors import JournalError, OtherVersion
from pipeline.journal.sql import laid_by
from pipeline.journal.sql.database import Database
from pipeline.models import KINDS, SETTLED, WAITING, State
from pipeline.system.fault import Fault, typed

VERSION = 1

_CREATING, _IN_DOUBT = State.CREATING, State.IN_DOUBT
_RETRYABLE = (State.FAILED, State.EXPIRED)
_PENDING, _REPORT_FAILED, _LOST = State.REPORT_PENDING, State.REPORT_FAILED, State.REPORT_LOST
LEGAL: frozenset[tuple[State, State]] = frozenset(
    # A waiting item is searched, loses its hits, stays as it is (its calls are noted), is created, or has an outcome.
    {(old, new) for old in WAITING for new in (*WAITING, _CREATING, *SETTLED, *_RETRYABLE)}
    # A create ends, is sent again, or was provably not executed; a submit, which searches by itself, is pending then.
    | {(_CREATING, new) for new in (*WAITING, _CREATING, State.TASKED, State.FAILED, _IN_DOUBT)}
    | {(_CREATING, _PENDING)}
    # The task of another run stands for one of its own, and its report is awaited here.
    | {(old, _PENDING) for old in WAITING}
    # What failed or expired waits again; a row that was read anew may fail once more.
    | {(old, new) for old in _RETRYABLE for new in WAITING}
    | {(State.FAILED, State.FAILED)}
    # A doubt ends by decision alone: a person's, or the job's (api.on_in_doubt), and never straight in a create.
    | {(_IN_DOUBT, new) for new in (*WAITING, State.TASKED, _PENDING, _IN_DOUBT)}
    # A report comes, fails or is lost, and may still come after an answer that brought none. The last two are paid for
    # anew by a person's decision alone (retry_selection), and put back where that came to nothing.
    | {
        (old, new)
        for old in (_PENDING, _REPORT_FAILED)
        for new in (State.REPORTED, State.NO_HITS, _REPORT_FAILED, _LOST)
    }
    | {(_PENDING, _PENDING)}
    | {(old, new) for old in (_REPORT_FAILED, _LOST) for new in WAITING}
    | {(old, new) for old in WAITING for new in (_REPORT_FAILED, _LOST)}
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
# `view_uploads`: pictures that are views of some item, each uploaded once for all of them.
# `decisions`: what a person decided about an item in doubt; kept for good.
# `money`: what the reserved calls of each kind cost, where the job names prices; `calls` of them are in `amount`.
# `sent_calls`: the calls of each account by hour and path, for the comparison with its statement.
# `collected`: in the journal of reports that are collected, where the records lie whose tasks were taken in.
# `again`: what an item was before a person had it tried again, until that run ends (retry_selection).
COLLECTED = (
    "CREATE TABLE IF NOT EXISTS collected (ord INTEGER PRIMARY KEY, task_id TEXT NOT NULL, offset INTEGER NOT NULL, "
    "length INTEGER NOT NULL, crc INTEGER NOT NULL)"
)
LATER = (
    "CREATE TABLE IF NOT EXISTS risks (ord INTEGER PRIMARY KEY, spent INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS view_uploads (sha256 TEXT PRIMARY KEY, url TEXT NOT NULL, expires REAL NOT NULL) "
    "WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS decisions (at REAL NOT NULL, ord INTEGER NOT NULL, decision TEXT NOT NULL, "
    "request_id TEXT, task_id TEXT)",
    "CREATE TABLE IF NOT EXISTS again (ord INTEGER PRIMARY KEY, state INTEGER NOT NULL, problem TEXT, "
    "segment INTEGER, spooled_at INTEGER)",
    "CREATE TABLE IF NOT EXISTS money (kind TEXT PRIMARY KEY, calls INTEGER NOT NULL, amount TEXT NOT NULL) "
    "WITHOUT ROWID",
    laid_by.TABLE,
    COLLECTED,
    "CREATE TABLE IF NOT EXISTS sent_calls (account TEXT NOT NULL, hour INTEGER NOT NULL, path TEXT NOT NULL, "
    "kind TEXT NOT NULL, sent INTEGER NOT NULL, granted INTEGER NOT NULL, refused INTEGER NOT NULL, "
    "PRIMARY KEY (account, hour, path, kind)) WITHOUT ROWID",
    # Only what a submit was sent for, without paid hits, goes back to the start, or ends in a report of no hits.
    "CREATE TRIGGER IF NOT EXISTS searched_is_paid BEFORE UPDATE OF state ON items WHEN OLD.segment IS NOT NULL AND "
    f"((OLD.state = {_CREATING:d} AND NEW.state = {State.PENDING:d}) OR "
    f"(OLD.state IN ({_PENDING:d}, {_REPORT_FAILED:d}) AND NEW.state = {State.NO_HITS:d})) "
    "BEGIN SELECT RAISE(ABORT, 'illegal change of state'); END",
)
ADDED = {"picture": "TEXT", "report": "TEXT"}  # columns of `items` that an earlier version's journal lacks


def create(db: Database) -> None:
    """Lay out an empty journal, or add what an older one lacks. Raises JournalError on another version."""
    fresh = not db.do("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if not fresh:
        check_version(db)
    db.do("BEGIN IMMEDIATE")
    for statement in (*(_statements() if fresh else ()), *LATER):
        db.do(statement)
    there = columns(db)
    for name, kind in ADDED.items():
        if name not in there:
            db.do(f"ALTER TABLE items ADD COLUMN {name} {kind}")
    for old, new in sorted(LEGAL):
        db.do("INSERT OR IGNORE INTO legal VALUES (?, ?)", (int(old), int(new)))
    for kind in KINDS:  # an earlier version's journal may lack some
        db.do("INSERT OR IGNORE INTO calls VALUES (?, 0, 0)", (kind.value,))
    if fresh:
        db.set_meta("version", str(VERSION))
    db.do("COMMIT")


def columns(db: Database) -> set[str]:
    """Name the columns of `items` that a journal has: one of an earlier version that is only read may lack some."""
    return {str(row[1]) for row in db.do("PRAGMA table_info(items)").fetchall()}


def check_version(db: Database) -> None:
    """Raise OtherVersion for a journal that another version of this program wrote, JournalError for no version."""
    found = db.meta("version")
    file = str(db.do("PRAGMA database_list").fetchone()[2])  # "" for a copy in memory
    if found is None or not found.isdecimal():
        fix = typed("repair", Path(file).parent) if file else ""
        raise JournalError(Fault("this journal names no version, so it is damaged", where=file, fix=fix))
    if found != str(VERSION):
        use = "a newer" if int(found) > VERSION else "an older"
        what = f"this journal has version {found}, and this program reads {VERSION}: use {use} pipeline"
        raise OtherVersion(Fault(what, where=file))


def _statements() -> list[str]:
    """Split the schema into statements: the trigger holds semicolons of its own."""
    head, _, trigger = SCHEMA.partition("CREATE TRIGGER")
    return [part.strip() for part in head.split(";") if part.strip()] + [
        "CREATE TRIGGER" + trigger.rstrip().rstrip(";")
    ]
