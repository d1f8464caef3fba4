"""The cache of patents' details of one account: each patent is asked for, and paid, once in 30 days.

It is one SQLite file in the user's state folder, used by every job and process of the account at once. What was
answered is durable here before anything else is done with it, so a kill costs nothing that came. Before a patent is
asked for it is claimed: of two processes that meet the same patent the second waits for the answer of the first. It
holds what the vendor said of patents, by their ids, and no secret.

A cache that cannot be read or written is no reason to end a run: it is said once, and the run does without.
"""

import contextlib
import logging
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from pipeline.engine.patent_batches import Answers, Taken
from pipeline.system.files import sync_names
from pipeline.system.processes import is_gone, start_of
from pipeline.system.wording import count

LIFE_S = 30 * 86_400.0
NOT_FOUND_LIFE_S = 86_400.0  # what the vendor has not today, or not for an hour, it may have tomorrow; to ask is free
FUTURE_S = 86_400.0  # an answer from further in the future than this is of a clock that was wrong
CLAIM_S = 900.0  # a claim lasts at most so long by anyone's clock; that of a process of this machine ends with it
BUSY_S = 10.0  # how long to wait for another process that writes
_VARIABLES = 500  # ids in one statement

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS patents (endpoint TEXT, patent_id TEXT, at REAL NOT NULL, answer BLOB, "
    "PRIMARY KEY (endpoint, patent_id)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS claims (endpoint TEXT, patent_id TEXT, until REAL NOT NULL, host TEXT NOT NULL, "
    "pid INTEGER NOT NULL, run TEXT NOT NULL, PRIMARY KEY (endpoint, patent_id)) WITHOUT ROWID",
)
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class KnownPatents:
    """The cache of one account, used by one run; its methods block, so they are called in a thread, one at a time.

    path  the file; None keeps everything in memory, for this run alone
    run   names this run among those of this process
    say   is told once, in a line, when the cache cannot be used
    """

    def __init__(
        self,
        path: Path | None,
        *,
        run: str,
        say: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._run = run
        self._say = say
        self._now = now
        self._host, self._pid = socket.gethostname(), os.getpid()
        self._claimer = f"{self._host} {start_of(self._pid)}"  # earlier versions note the host alone
        self._db: sqlite3.Connection | None = None
        self._memory: dict[tuple[str, str], bytes | None] = {}  # what was answered while there is no file
        self.usable = path is not None

    def take(self, endpoint: str, ids: Sequence[str]) -> Taken:
        """Read what is known of these patents, and claim the others for this run, but for those that others claimed."""

        def of_file(db: sqlite3.Connection) -> Taken:
            known: Answers = {}
            others: set[str] = set()
            now = self._now()
            for some in _portions(ids):
                places = ",".join("?" * len(some))
                rows = db.execute(
                    f"SELECT patent_id, answer FROM patents WHERE endpoint = ? AND at BETWEEN ? AND ? "  # noqa: S608
                    f"AND (typeof(answer) = 'blob' OR answer IS NULL AND at >= ?) AND patent_id IN ({places})",
                    (endpoint, now - LIFE_S, now + FUTURE_S, now - NOT_FOUND_LIFE_S, *some),
                )
                known.update(rows.fetchall())
                rows = db.execute(
                    f"SELECT patent_id, host, pid, run FROM claims WHERE endpoint = ? AND until > ? AND until <= ? "  # noqa: S608
                    f"AND patent_id IN ({places})",
                    (endpoint, now, now + CLAIM_S, *some),
                )
                others |= {row[0] for row in rows.fetchall() if self._is_held(*row[1:])}
            ours = [id_ for id_ in ids if id_ not in known and id_ not in others]
            mine = (now + CLAIM_S, self._claimer, self._pid, self._run)
            db.executemany(
                "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?)", [(endpoint, id_, *mine) for id_ in ours]
            )
            return Taken(known, ours, [id_ for id_ in ids if id_ in others and id_ not in known])

        known = {id_: self._memory[endpoint, id_] for id_ in ids if (endpoint, id_) in self._memory}
        otherwise = Taken(known, [id_ for id_ in ids if id_ not in known], [])
        return self._within(of_file, otherwise) if len(known) < len(ids) else otherwise

    def keep(self, endpoint: str, answers: Answers) -> None:
        """Keep what was answered, durably, and let go of the claims; None stands for a patent that was not found."""

        def in_file(db: sqlite3.Connection) -> bool:
            now = self._now()
            db.executemany(
                "INSERT OR REPLACE INTO patents VALUES (?, ?, ?, ?)",
                [(endpoint, id_, now, answer) for id_, answer in answers.items()],
            )
            self._drop_claims(db, endpoint, answers)
            return True

        if not self._within(in_file, False):
            self._memory |= {(endpoint, id_): answer for id_, answer in answers.items()}

    def give_back(self, endpoint: str, ids: Collection[str]) -> None:
        """Let go of the claims of patents that were not answered, so that others may ask for them."""
        self._within(lambda db: self._drop_claims(db, endpoint, ids), None)

    def close(self) -> None:
        """Let go of all claims of this run, and close the file."""
        if self._db is not None:
            self._within(lambda db: db.execute("DELETE FROM claims WHERE run = ?", (self._run,)), None)
        if self._db is not None:
            self._db.close()
            self._db = None

    def _is_held(self, claimer: str, pid: int, run: str) -> bool:
        """Return whether a claim is that of another run which may still be answered."""
        if run == self._run:
            return False
        host, _, started = claimer.partition(" ")
        return not (host == self._host and is_gone(pid, started))

    def _drop_claims(self, db: sqlite3.Connection, endpoint: str, ids: Collection[str]) -> None:
        rows = [(endpoint, id_, self._run) for id_ in ids]
        db.executemany("DELETE FROM claims WHERE endpoint = ? AND patent_id = ? AND run = ?", rows)

    def _within(self, change: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        """Apply a change in one transaction; return `otherwise` once the file cannot be used."""
        if not self.usable:
            return otherwise
        try:
            with _transaction(self._opened()) as db:
                return change(db)
        except (sqlite3.Error, OSError) as exc:
            self.usable = False
            _log.warning("details.cache_failed file=%s %s", self._path, exc)
            what = f"{self._path} cannot be used ({exc}), so details of patents that were paid before may be paid again"
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                self._say(f"note: {what}; leave it where it is, for another process held it too long")
            else:
                self._say(f"note: {what}; mend the disk, and move the file away only if it is damaged")
            return otherwise

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            assert self._path is not None
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            sync_names(self._path.parent)  # SQLite syncs the folder of its file, and none of those that lead to it
            # Without a write-ahead log: the folder may lie on a network, and there are a few changes a second at most.
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_S, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=TRUNCATE")
            self._db.execute("PRAGMA synchronous=FULL")
            with _transaction(self._db) as db:
                for statement in _SCHEMA:
                    db.execute(statement)
                db.execute("DELETE FROM claims WHERE until < ?", (self._now(),))
                gone = db.execute("DELETE FROM patents WHERE at < ?", (self._now() - LIFE_S,)).rowcount
            if gone > 0:
                _log.info("details.cache %s", count(gone, "old patent was", "old patents were") + " dropped")
        return self._db


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _portions(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for at in range(0, len(ids), _VARIABLES):
        yield ids[at : at + _VARIABLES]
