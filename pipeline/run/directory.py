"""A run directory: where it lies, the lock on it, and the names of the files beside the journal."""

import json
import os
import re
import shlex
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.errors import JournalError, RunLocked, SpecError
from pipeline.job.images import LISTED
from pipeline.job.schema import JobSpec
from pipeline.journal.begun import AS_RUN
from pipeline.journal.emergency import cannot_open, drop_ballast
from pipeline.journal.hold import is_held
from pipeline.journal.identity import NOTE
from pipeline.journal.places import JOURNAL, OPEN_FILE, PROGRESS, REPORT, RESULTS, SPOOL, SUMMARY
from pipeline.run.cluster_runs import newest_split
from pipeline.system.drafts import probe_in, sweep
from pipeline.system.fault import Fault, typed
from pipeline.system.files import private, sync_names, write_whole
from pipeline.system.folders import state_folder

SPEC, LOG, LOCK = AS_RUN, "run.log.jsonl", "lock"

# Files here that are replaced as a whole: `lock` deletes the drafts that a kill left of them.
_REPLACED = (JOURNAL, RESULTS, NOTE, SUMMARY, SPEC, REPORT, OPEN_FILE, LISTED, PROGRESS)
_PAID = (JOURNAL, f"{JOURNAL}-wal", RESULTS, SPOOL, NOTE)  # without these, what is paid is not known any more
_WHOLE_FILES = [re.escape(name) for name in _REPLACED]

JOB_FOLDER = "job_folder"  # a key in the journal: where the job file lay when it was run
ENDED = "ended"  # a key in the journal: when the run started that came to its end last
_MAKING_FOLDER = threading.Lock()
LOCK_WAIT_S = 1.0  # `status` takes the lock for a moment to see whether a run is under way


def run_folder(spec: JobSpec, *, now: datetime, new: bool = False) -> Path:
    """Return the run directory of a job: the newest of its name, or with `new` the next one.

    Further runs are numbered with a dot (`name.2`), which a job's name cannot hold. Periods follow the local date. A
    rehearsal has directories of its own, beside those of the real runs. Runs of many machines lie in the folder that
    these share; without `new` the newest one that was split goes on, whatever day it is.

    Raises SpecError where no folder can be.
    """
    base = base_of(spec)
    words = {
        "name": spec.name,
        "date": f"{now:%Y-%m-%d}",
        "month": f"{now:%Y-%m}",
        "week": "{}-W{:02}".format(*now.isocalendar()[:2]),
    }
    name = re.sub(r"\{(\w+)\}", lambda match: words[match[1]], spec.output.run)
    if spec.rehearsal:
        name += "-rehearsal"
    numbers = [1] if (base / name).exists() else []
    for other in base.glob(f"{name}.*"):
        suffix = other.name.removeprefix(f"{name}.")
        if suffix.isdecimal() and other.is_dir():
            numbers.append(int(suffix))
    number = max(numbers, default=0) + 1 if new else max(numbers, default=1)
    folder = base / name if number == 1 else base / f"{name}.{number}"
    if spec.cluster is not None and not new and not folder.exists():
        return newest_split(base, spec.output.run, spec.name) or folder
    return folder


def base_of(spec: JobSpec) -> Path:
    """Return the folder in which the run directories of a job lie. Raises SpecError where there can be none."""
    key, named = ("output.dir", spec.output.dir) if spec.cluster is None else ("cluster.shared", spec.cluster.shared)
    try:
        base = spec.place(named).resolve()
        there = next(place for place in (base, *base.parents) if os.path.lexists(place))
    except (OSError, RuntimeError):  # a loop of links is a RuntimeError up to Python 3.12; later it is no folder
        raise SpecError(Fault(f"{named} cannot be looked at; name another place", where=key)) from None
    if not there.is_dir():
        raise SpecError(Fault(f"{there} is no folder, and run directories lie in one; name another place", where=key))
    return base


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock the run directory until the block ends, and prove that it can be written; create it if need be.

    Raises RunLocked when another process has locked it, JournalError when it cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_links(folder)
        file_lock = FileLock(folder / LOCK, timeout=LOCK_WAIT_S, mode=0o600)
        file_lock.acquire()
    except Timeout:
        raise _in_use(folder, f"in use by another process{_holder(folder)}") from None
    except OSError as exc:
        raise cannot_open(folder, exc) from None
    try:
        if is_held(folder / JOURNAL):  # somebody removed the file `lock` of a run that goes on
            what = f"in use by another process, which has its {JOURNAL} open although its file {LOCK} was removed"
            raise _in_use(folder, what)
        sweep(folder, _WHOLE_FILES)
        drop_ballast(folder)  # of a run that was killed; the next one sets it aside anew
        try:
            _prove_writable(folder)
            (folder / LOCK).write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}), encoding="utf-8")
        except OSError as exc:
            raise cannot_open(folder, exc) from None
        yield
    finally:
        file_lock.release()


def known_runs() -> Path | None:
    """Return the folder in which this user's run directories are noted (journal/identity.py); None without a home."""
    state = state_folder()
    return None if state is None else state / "runs"


def is_locked(folder: Path) -> bool:
    """Return True if another process has locked the run directory: a run is under way."""
    if not any((folder / name).is_file() for name in (LOCK, JOURNAL)):  # no run: looking would leave a lock there
        return False
    try:
        with FileLock(folder / LOCK, timeout=0, mode=0o600):
            return is_held(folder / JOURNAL)
    except Timeout:
        return True
    except OSError:
        return False


def is_free(folder: Path) -> bool:
    """Return True where the lock of a run directory is there and nobody has it; False says nothing.

    It takes a hundredth of the time of `is_locked`, which knows of runs whose lock was removed, and of all systems.
    """
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        descriptor = private(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


def keep_drawing(folder: Path, name: str, data: bytes) -> None:
    """Write a drawing to the run directory. Raises JournalError where that fails: its report is asked for again."""
    file = folder / name
    if file.exists():
        return
    try:
        with _MAKING_FOLDER:  # who finds it made may count on its name to survive a power loss
            if not file.parent.exists():
                file.parent.mkdir(mode=0o700, exist_ok=True)
                sync_names(file.parent)
        write_whole(file, data, several_writers=True)  # items with one drawing may be read at the same time
    except OSError as exc:
        what = f"{exc.strerror or exc}; the report that brought this drawing is asked for again by the next run"
        raise JournalError(Fault(what, where=str(file))) from None


def _refuse_links(folder: Path) -> None:
    """Refuse links, devices and pipes, which would make a run write somewhere else. Raises JournalError."""
    if folder.is_symlink():
        what = "the run directory is a link; name the real folder in output.dir, or remove the link"
        raise JournalError(Fault(what, where=str(folder)))
    for entry in (*os.scandir(folder), *(os.scandir(folder / SPOOL) if (folder / SPOOL).is_dir() else ())):
        if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
            if entry.name in _PAID or entry.name.endswith(".spool"):
                what = "this is a link, and a run writes only files of its own: put what it leads to in its place"
                raise JournalError(Fault(what, where=entry.path))
            what = "this is a link or no regular file; a run writes only files of its own: remove it"
            raise JournalError(Fault(what, where=entry.path, fix=shlex.join(["rm", entry.path])))


def _in_use(folder: Path, what: str) -> RunLocked:
    return RunLocked(Fault(f"{what}; wait for it, or stop it", where=str(folder), fix=typed("status", folder)))


def _prove_writable(folder: Path) -> None:
    if hasattr(os, "getuid") and folder.stat().st_uid not in (os.getuid(), 0):
        raise PermissionError(1, "it belongs to another user")
    probe = probe_in(folder)
    write_whole(probe, b"probe")
    probe.unlink()


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / LOCK).read_text(encoding="utf-8"))
        return f" (pid {int(holder['pid'])} on {holder['host']!s:.60})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
