"""The three places that a run writes to, opened together: the states, the hits under way, and the lines."""

import contextlib
import functools
import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import JournalError, PipelineError
from pipeline.journal import begun
from pipeline.journal.emergency import Emergency, cannot_open
from pipeline.journal.epochs import refuse_superseded
from pipeline.journal.evidence import refuse_unknown_doubts
from pipeline.journal.hold import Hold
from pipeline.journal.identity import NOTE, Identity, of_journal, of_note, refuse_other
from pipeline.journal.kept_files import left_over, retire
from pipeline.journal.kept_lines import kept_in
from pipeline.journal.old_notes import forget_gone
from pipeline.journal.places import JOURNAL, RESULTS, SPOOL, results_file
from pipeline.journal.recovery import Recovered, names_unknown_task, recover
from pipeline.journal.results_file import ResultsFile
from pipeline.journal.spool import Spool
from pipeline.journal.sql import items, line_index, schema
from pipeline.journal.sql.database import CLEAN, Connection, Database, configure
from pipeline.journal.sql.rows import Line
from pipeline.journal.sql.sense import nonsense
from pipeline.journal.tail_check import CHECK, read_check
from pipeline.journal.verify import WHOLE, faults_of_pages, refuse_changed_lines
from pipeline.system.fault import Fault, typed
from pipeline.system.files import sync_names
from pipeline.system.folders import temporary_folder
from pipeline.system.mounts import mount_table, network_file_system

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Disk:
    """The files that the writing thread owns; `recovered` says what a death had left over when they were opened."""

    db: Database
    spool: Spool
    results: ResultsFile
    recovered: Recovered
    emergency: Emergency
    hold: Hold
    identity: Identity

    @property
    def folder(self) -> Path:
        """The run directory."""
        return self.hold.folder

    def prove(self, written: Sequence[Line] = ()) -> None:
        """Raise JournalError if the directory, the journal or results.jsonl was taken away since they were opened.

        `written` are the lines that the journal does not know yet. All others are kept once more where results.jsonl
        was taken: this process alone can still read them.
        """
        try:
            self.hold.prove()
        except JournalError:
            if not self.hold.has(self.results.path):
                self.emergency.rescue(self.results.chunks(written[0].offset if written else self.results.end))
            raise
        self.identity.tick()

    def close(self, *, clean: bool = True) -> None:
        """Close them all; `clean` when all that was begun is written."""
        with contextlib.ExitStack() as closing:
            for part in (self.hold, self.db, self.identity, self.results, self.spool, self.emergency):
                closing.callback(part.close)
            if clean:
                self.prove()
                self.db.set_meta(CLEAN, "1")
                self.identity.count()
                self.results.end_check()


def connect(path: Path) -> Connection:
    """Open the journal with the standard library's SQLite; transactions are begun and ended by us alone."""
    return sqlite3.connect(path, isolation_level=None, timeout=5.0, cached_statements=256)


def open_disk(
    folder: Path,
    *,
    now: float,
    connect: Callable[[Path], Connection] = connect,
    mounts: Callable[[], str] = mount_table,
    places: Path | None = None,
    only_copy: bool = False,
) -> Disk:
    """Open a run directory's files and make them whole after whatever ended the last run.

    `places` is the folder in which this user's run directories are noted (journal/identity.py). With `only_copy` the
    directory is taken for the one to go on with, whatever is noted.

    Raises JournalError when they cannot be opened, or are not what was written.
    """
    try:
        begun.refuse_lost_journal(folder)
        refuse_superseded(folder)
        with contextlib.ExitStack() as opened:
            mode = _journal_mode(folder, mounts)
            hold = opened.enter_context(contextlib.closing(Hold(folder, folder / JOURNAL, locks=mode == "WAL")))
            db = opened.enter_context(contextlib.closing(Database(connect(folder / JOURNAL))))
            (folder / JOURNAL).chmod(0o600)
            configure(db.do, journal_mode=mode)
            db.has_log = db.do("PRAGMA journal_mode").fetchone()[0] == "wal"
            known = of_journal(db)
            if not only_copy:
                refuse_other(folder, known, places=places)
            schema.create(db)
            if known is None or of_note(folder / NOTE) is None:
                refuse_unknown_doubts(db, folder)
            if db.meta(CLEAN) == "0":
                _check_pages(db)
            db.set_meta(CLEAN, "0")
            results = opened.enter_context(contextlib.closing(ResultsFile(results_file(folder))))
            recovered = _made_whole(folder, db, results, now=now)
            results.begin_check(folder / CHECK, opened_at=now)
            hold.watch(results.path, *(log for log in (folder / f"{JOURNAL}-wal",) if log.exists()))
            emergency = Emergency(folder, is_there=functools.partial(hold.has, folder))
            identity = opened.enter_context(contextlib.closing(Identity(db, folder, places=places)))
            if places is not None:
                forget_gone(places, now=now)
            spool = Spool(folder / SPOOL, items.in_segments(db))
            disk = Disk(db, spool, results, recovered, emergency, hold, identity)
            opened.pop_all()
        return disk
    except (OSError, sqlite3.Error) as exc:
        raise cannot_open(folder, exc) from exc


def _made_whole(folder: Path, db: Database, results: ResultsFile, *, now: float) -> Recovered:
    """Recover what a death has left, lines of an emergency included, and make the files' names durable."""
    results.position(line_index.last(db))
    refuse_changed_lines(db, results.path)
    left = left_over(folder)
    recovered = recover(db, results, now=now, written=read_check(folder / CHECK), kept=kept_in(left))
    # A task of an item that the journal does not know (yet) is nowhere else: its file stays until one start knows it.
    retire([path for path in left if not any(names_unknown_task(db, line) for line in kept_in([path]))])
    sync_names(folder)  # at every start: the one that made the names may have been killed before it synced them
    return recovered


def _check_pages(db: Database) -> None:
    """Read the whole journal, which the last run did not close. Raises sqlite3.DatabaseError on damage."""
    said = faults_of_pages(db.do)
    if said != WHOLE:
        damage = sqlite3.DatabaseError(said[:300])
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage


def _journal_mode(folder: Path, mounts: Callable[[], str]) -> str:
    remote = network_file_system(folder, table=mounts)
    if remote is None:
        return "WAL"
    _log.warning(
        "journal.network_file_system no write-ahead log on %s: commits take longer, and `status` is read "
        "without a lock; a local disk is better",
        remote,
    )
    return "TRUNCATE"


@contextlib.contextmanager
def reading_only(folder: Path, *, own: bool = False) -> Iterator[Database]:
    """Open a journal to read it, also while a run writes.

    `own` where this process has locked the run directory: then no log of SQLite's is left beside the journal.
    Raises JournalError when there is none, or it turns out to be damaged or of another version.
    """
    with explaining_rows(folder), contextlib.closing(_open_read_only(folder, own=own)) as db:
        try:
            schema.check_version(db)
            yield db
        except sqlite3.Error as exc:
            raise JournalError(_unreadable(folder, exc)) from exc


@contextlib.contextmanager
def explaining_rows(folder: Path) -> Iterator[None]:
    """Raise JournalError for a failure of the block where the journal has a row that makes no sense; else that failure.

    Nothing but a failure looks: a bug stays a bug in a journal that is whole.
    """
    try:
        yield
    except (PipelineError, OSError, sqlite3.Error):
        raise
    except Exception as exc:
        try:
            with contextlib.closing(_open_read_only(folder, own=False)) as db:
                found = nonsense(db.do)
        except (JournalError, sqlite3.Error):
            raise exc from None
        if not found:
            raise
        raise JournalError(no_sense(folder, found)) from exc


def no_sense(folder: Path, found: str) -> Fault:
    """Say that a journal is damaged though its pages are whole."""
    what = f"the journal is damaged: {found:.300} is nothing that this program writes; make it anew"
    return Fault(what, where=str(folder / JOURNAL), fix=typed("repair", folder))


def _open_read_only(folder: Path, *, own: bool) -> Database:
    path = folder / JOURNAL
    if not path.is_file():
        lost, fix = (f", but {RESULTS}", typed("repair", folder)) if results_file(folder).is_file() else ("", "")
        raise JournalError(Fault(f"no run here (no {JOURNAL}{lost})", where=str(folder), fix=fix))
    if begun.was_stopped_at_once(folder):
        raise JournalError(Fault(f"no run here: {begun.BEGINS_ANEW}", where=str(folder)))
    if not own and begun.pages_before(path) is not None:
        return Database(_taken_back(path))
    failures: list[sqlite3.Error] = []
    for mode in (
        *(["mode=rw"] if own else []),
        "mode=ro",
        "immutable=1",
    ):  # a folder that cannot be written has no room for SQLite's shared memory
        connection = None
        try:
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, isolation_level=None)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute("PRAGMA query_only=ON")
            return Database(connection)
        except sqlite3.Error as exc:
            failures.append(exc)
            if connection is not None:
                connection.close()
    refuse_forbidden(folder)
    raise JournalError(_unreadable(folder, failures[0]))


def refuse_forbidden(folder: Path) -> None:
    """Raise JournalError where this user may not read the journal or the lines: nothing is damaged, no repair helps."""
    for path in (folder / JOURNAL, folder / f"{JOURNAL}-wal", results_file(folder)):
        try:
            path.open("rb").close()
        except PermissionError as exc:
            what = f"it cannot be read: {exc.strerror}; nothing is damaged, let this user read and write it"
            raise JournalError(Fault(what, where=str(path))) from exc
        except OSError:
            continue


def _unreadable(folder: Path, exc: sqlite3.Error) -> Fault:
    what = f"the journal cannot be read: {exc}; if it is damaged, make it anew"
    return Fault(what, where=str(folder / JOURNAL), fix=typed("repair", folder))


def _taken_back(path: Path) -> sqlite3.Connection:
    """Copy a journal of which a change was cut short, and take that back in the copy, as the next start does."""
    try:
        with temporary_folder() as place:
            for name in (path.name, f"{path.name}-journal"):
                shutil.copyfile(path.with_name(name), place / name)
            copy = sqlite3.connect("", isolation_level=None)
            with contextlib.closing(sqlite3.connect(place / path.name)) as whole:
                whole.backup(copy)
    except (OSError, sqlite3.Error) as exc:
        what = f"the journal cannot be read: {exc}; the next run takes back what was cut short"
        raise JournalError(Fault(what, where=str(path))) from exc
    copy.execute("PRAGMA query_only=ON")
    return copy
