"""The identity of a run directory: a random id, and a counter that only grows, in the journal and outside of it.

A journal cannot tell by itself that it is a copy, or an older one that was put back; both forget creates that are paid.
So the counter grows at each start and end and twice a second of a run, durably in the journal first; then it is noted
in the run directory (`.identity`) and, with the directory's path, in the state folder of the user. Whoever finds a note
that is ahead of the journal, or the same id in another directory that is still there, refuses. A directory that was
moved (its old place is gone) goes on, also on another host or disk. The notes are not synced: one that a power loss
takes, or leaves behind the journal, refuses nothing.
"""

import contextlib
import json
import logging
import os
import secrets
import socket
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import JournalError
from pipeline.journal.sql.database import Database
from pipeline.system.fault import Fault, typed
from pipeline.system.files import private, write_whole

NOTE = ".identity"
ID, COUNTER = "identity", "counter"  # keys in the journal
EVERY_S = 0.5
ACCEPT = "--this-is-the-only-copy"
_DIGITS = 20
_AT = len('{"counter": "')  # where the counter stands in a note: it is written over in place

_log = logging.getLogger(__name__)


class Known(NamedTuple):
    """An id and a counter as they are noted somewhere; `path` and `host` say where the directory was then."""

    id: str
    counter: int
    path: str = ""
    host: str = ""


class OlderCopy(JournalError):
    """The journal that was copied is older than what was noted beside it before."""


def of_journal(db: Database) -> Known | None:
    """Read what a journal says of itself; None for one of an earlier version, or one that was never laid out.

    Raises sqlite3.DatabaseError, as for any other damage, where its counter is no number.
    """
    if not db.has_table("meta"):
        return None
    id_, counter = db.meta(ID), db.meta(COUNTER) or "0"
    if not counter.isdecimal():
        raise sqlite3.DatabaseError("the counter of this run directory is no number")
    return None if id_ is None else Known(id_, int(counter))


def of_note(path: Path) -> Known | None:
    """Read a note outside of the journal; None when there is none, or a power loss left half of it."""
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        return Known(str(note["id"]), int(note["counter"]), str(note["path"]), str(note["host"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def refuse_other(folder: Path, known: Known | None, *, places: Path | None) -> None:
    """Raise JournalError for a copy of a run directory that is still there, and for a journal that is behind the notes.

    `known` is what the journal says of itself; `places` is the folder with the notes of all run directories.
    """
    here = of_note(folder / NOTE)
    if copied := _copy_of(folder, known or here, places):
        raise JournalError(copied)
    if stale := _stale(folder, known, places):
        raise JournalError(stale)


def refuse_older_copy(folder: Path, known: Known | None, *, noted: Known | None, places: Path | None = None) -> None:
    """Raise OlderCopy where a copy of the journal in `folder` is older than what was noted beside it before.

    `noted` is read before the journal is copied: an owner that is alive counts on in both, in the journal first.
    `places` is the folder with the notes of all run directories, where no other process can count on.
    """
    if stale := _behind(folder, known, noted, _noted_place(known or noted, places)):
        raise OlderCopy(stale)


def is_stale(folder: Path, known: Known | None, *, places: Path | None) -> bool:
    """Return whether the journal is behind what is noted outside of it."""
    return bool(_stale(folder, known, places))


def _copy_of(folder: Path, known: Known | None, places: Path | None) -> str:
    """Say that a directory is a copy of another one that is still there; "" when it is none."""
    there = _noted_place(known, places)
    if there is None or known is None or not there.path:
        return ""
    other = Path(there.path)
    beside = of_note(other / NOTE)
    if beside is None or beside.id != known.id or _same(other, folder):
        return ""
    what = (
        f"this is a copy of {other}, which is still there, and neither knows what the other pays for; nothing was "
        f"sent: go on in {other}, or begin anew (`run --new`), unless this is the one to go on with"
    )
    return Fault(what, where=str(folder), fix=typed("repair", folder, ACCEPT))


def _stale(folder: Path, known: Known | None, places: Path | None) -> str:
    here = of_note(folder / NOTE)
    return _behind(folder, known, here, _noted_place(known or here, places))


def _behind(folder: Path, known: Known | None, here: Known | None, there: Known | None) -> str:
    """Say that a journal is behind what was noted in its directory or in the state folder; "" when it is not."""
    counters = [note.counter for note in (here, there) if note is not None]
    another = here is not None and known is not None and here.id != known.id
    if not another and (not counters or (known is not None and known.counter >= max(counters))):
        return ""
    what = "the journal of another run" if another else "older than this run directory"
    what = (
        f"journal.sqlite is {what} (an older copy was put back, or its journal.sqlite-wal was left out); nothing was "
        "sent: put the newest journal.sqlite and journal.sqlite-wal back, or go on with what is here, every item "
        "without a line in doubt"
    )
    return Fault(what, where=str(folder), fix=typed("repair", folder, ACCEPT))


def _noted_place(known: Known | None, places: Path | None) -> Known | None:
    if known is None or places is None or not known.id.isalnum():
        return None
    return of_note(places / f"{known.id}.json")


def _same(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samefile(one, other)
    return False


class Identity:
    """The identity of an open run directory; used by the writing thread alone."""

    def __init__(self, db: Database, folder: Path, *, places: Path | None) -> None:
        """Go on with the id of the journal, or of the notes, or a new one, and count on from all that is noted."""
        known, here = of_journal(db), of_note(folder / NOTE)
        there = _noted_place(known or here, places)
        before = [one for one in (known, here, there) if one is not None]
        self._id = before[0].id if before else secrets.token_hex(16)
        self._counter = max((one.counter for one in before), default=0)
        self._db = db
        self._due = 0.0
        self._notes: list[int] = []
        self.remark = _moved(folder, there or here)
        db.set_meta(ID, self._id)
        self.count()
        paths = [folder / NOTE] + ([] if places is None else [places / f"{self._id}.json"])
        for path in paths:
            self._begin_note(path, folder)

    def tick(self) -> None:
        """Count on, if it is time to."""
        if time.monotonic() >= self._due:
            self.count()

    def count(self) -> None:
        """Count on: durably in the journal, then outside of it."""
        self._counter += 1
        self._db.set_meta(COUNTER, str(self._counter))
        self._due = time.monotonic() + EVERY_S
        for note in self._notes:
            with contextlib.suppress(OSError):
                os.lseek(note, _AT, os.SEEK_SET)
                os.write(note, b"%0*d" % (_DIGITS, self._counter))

    def close(self) -> None:
        """Close the notes."""
        while self._notes:
            os.close(self._notes.pop())

    def _begin_note(self, path: Path, folder: Path) -> None:
        """Write a note and keep it open; without one a run goes on, and less is noticed."""
        note = {"counter": f"{self._counter:0{_DIGITS}}", "id": self._id}
        note |= {"path": str(folder.resolve()), "host": socket.gethostname()}
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, json.dumps(note).encode(), durable=False)
            self._notes.append(private(path, os.O_WRONLY))
        except OSError as exc:
            _log.warning(
                "identity.not_noted %s cannot be written (%s): a copy of this run directory may go unnoticed",
                path,
                exc.strerror,
            )


def _moved(folder: Path, before: Known | None) -> str:
    """Say where a directory was before, when it is elsewhere now."""
    if before is None or (before.path, before.host) == (str(folder.resolve()), socket.gethostname()):
        return ""
    return f"{folder} was {before.path} on {before.host} when it was used last; go on with it in one place only"
