"""This machine's view of the folder that machines share, and what must be the same on all of them.

Plain values alone, so that a machine elsewhere can look and send back what it saw. A clock, a user, a version that is
another than elsewhere shows only where several views are compared.
"""

import contextlib
import os
import platform
import secrets
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from pipeline.cluster.joining import REFUSE_S, WARN_S
from pipeline.cluster.put_once import NAMES, RACERS, race, take
from pipeline.endpoints.patsnap.credentials import NoCredentials
from pipeline.errors import JournalError, SpecError
from pipeline.journal.places import SPLIT
from pipeline.leases.opening import is_bucket, open_store, shown
from pipeline.leases.store import Store, StoreUnknown
from pipeline.run.cluster_runs import LEASES, not_there, shared_folder
from pipeline.run.directory import run_folder
from pipeline.run.load import load, load_spec
from pipeline.system.fault import Fault
from pipeline.system.mounts import network_file_system
from pipeline.system.wording import enumerated
from pipeline.version import __version__

LEAST_BYTES = 1 << 30  # free in the shared folder
_SCRATCH = ".check-"


class Seen(NamedTuple):
    """One thing that a machine saw: `bad` must be mended, `fix` is a line that can be typed; "" for none."""

    name: str
    text: str
    bad: bool = False
    warn: bool = False
    fix: str = ""
    storage: bool = False  # True where the folder or its file system is at fault, and not the machine

    @property
    def verdict(self) -> str:
        """The verdict in a word of four letters."""
        return "FAIL" if self.bad else "warn" if self.warn else "pass"


class View(NamedTuple):
    """All that one machine saw."""

    host: str
    user: int
    version: str
    python: str
    account: str  # a digest that gives nothing away; "" without credentials
    ahead_s: float  # of the shared folder's clock
    seen: list[Seen]
    won: list[str]  # the names that it was the first to take


class Question(NamedTuple):
    """The question to a machine, the same for all: no secret is in it."""

    shared: str
    run: str  # the folder in which the job is split
    leases: str  # the place of leases
    scratch: str  # a folder inside `shared` for this check alone
    job: str  # the path of the job file
    overrides: tuple[str, ...]


def question_of(path: Path, overrides: Sequence[str]) -> Question:
    """Return what each machine is asked. Raises SpecError for a job of one machine, JournalError for no folder."""
    spec = load_spec(path, overrides=overrides)
    shared = shared_folder(spec)
    run = run_folder(spec, now=datetime.now().astimezone())
    leases = spec.api.leases or str(shared / LEASES)
    if not is_bucket(leases):
        leases = str(spec.place(leases).resolve())
    scratch = f"{_SCRATCH}{secrets.token_hex(8)}"
    return Question(str(shared), str(run), leases, scratch, str(path.resolve()), tuple(overrides))


@contextlib.contextmanager
def scratch(question: Question) -> Iterator[None]:
    """Make the folder for a check, and remove it with all that was made in it. Raises JournalError."""
    folder = Path(question.shared) / question.scratch
    if fault := _cannot_write(folder.parent):
        raise JournalError(Fault(fault.text, where="cluster.shared", fix=fault.fix))
    folder.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def look(question: Question) -> View:
    """Look at the shared folder, and for the job, from this machine."""
    shared = Path(question.shared)
    seen: list[Seen] = []
    won: list[str] = []
    ahead = 0.0
    account = _account(question, seen)
    if fault := _is_another(shared, question) or _cannot_write(shared):
        seen.append(fault)
    else:
        seen += [_folder(shared), _run(question)]
        ahead, clock = _clock(shared)
        seen += [clock, _owner(shared), _room(shared)]
        won = take(shared / question.scratch)
        seen.append(_once(question))
    user = os.getuid() if hasattr(os, "getuid") else -1
    return View(socket.gethostname(), user, __version__, platform.python_version(), account, ahead, seen, won)


def _account(question: Question, seen: list[Seen]) -> str:
    """Read the job as this machine has it; return its account, by a digest, "" where it has no credentials."""
    try:
        job = Path(question.job)
        spec = load_spec(job, overrides=question.overrides)
    except SpecError as error:
        told = error.lines[0]
        fix = told.fix if isinstance(told, Fault) else ""
        seen.append(Seen("job", f"it cannot be read here: {told}", bad=True, fix=fix))
        return ""
    try:
        accounts = [one.account for one in load(job, overrides=question.overrides).each_account()]
    except SpecError as error:
        text = str(error.lines[0])
        if isinstance(error, NoCredentials) and not spec.accounts:
            text = "no credentials here: set PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET in this machine's environment"
        seen.append(Seen("credentials", text, bad=True))
        return ""
    seen.append(Seen("job", question.job))
    return accounts[0] if len(accounts) == 1 else sha256(" ".join(accounts).encode()).hexdigest()


def compare(views: Sequence[View]) -> list[Seen]:
    """Compare what several machines saw: versions, users, accounts, clocks, and names that only one may have got."""
    found = []
    for name, of in (
        ("program", [view.version for view in views]),
        ("Python", [".".join(view.python.split(".")[:2]) for view in views]),
        ("user", [str(view.user) for view in views]),
        ("account", [view.account[:8] for view in views]),
    ):
        kinds = sorted(set(of))
        if len(kinds) > 1:
            each = enumerated([f"{view.host} {one or 'none'}" for view, one in zip(views, of, strict=True)])
            found.append(Seen(name, f"machines differ: {each}; they must be the same everywhere", bad=True))
        else:
            found.append(Seen(name, f"the same on {len(views)}: {kinds[0] or 'none'}"))
    apart = max(view.ahead_s for view in views) - min(view.ahead_s for view in views)
    found.append(_apart("clocks", apart, "between machines"))
    found.append(_won_once(views))
    return found


def _won_once(views: Sequence[View]) -> Seen:
    wins = [name for view in views for name in view.won]
    expected = NAMES if any(view.won for view in views) else 0
    if len(wins) == len(set(wins)) == expected:
        return Seen("put once", f"{len(wins)} names wanted by {len(views)}: each went to one")
    twice = len(wins) - len(set(wins))
    lost = NAMES - len(set(wins))
    text = f"of {NAMES} names {twice} went to two machines, {lost} to none: leases would not hold here"
    return Seen("put once", text, bad=True, storage=True)


def _is_another(shared: Path, question: Question) -> Seen | None:
    """Look for the folder of this check: where it is not, this is another place, such as an empty mount point."""
    if not shared.is_dir() or (shared / question.scratch).is_dir():
        return None
    what = f"{shared} is another folder here than where the check was typed: it is not mounted on this machine"
    return Seen("folder", what, bad=True, storage=True)


def _cannot_write(shared: Path) -> Seen | None:
    if not shared.is_dir():
        fault = not_there(shared)
        return Seen("folder", fault.what, bad=True, storage=True, fix=fault.fix)
    probe = shared / f"{_SCRATCH}{socket.gethostname()}-{secrets.token_hex(4)}"
    try:
        probe.mkdir(mode=0o700)
        probe.rmdir()
    except OSError as error:
        what = f"{shared} cannot be written: {error.strerror}; all machines must write it as one user"
        return Seen("folder", what, bad=True, storage=True)
    return None


def _folder(shared: Path) -> Seen:
    kind = network_file_system(shared)
    if kind is None:
        return Seen("folder", f"{shared}, on a disk of this machine: other machines do not see it", warn=True)
    return Seen("folder", f"{shared} ({kind})")


def _run(question: Question) -> Seen:
    if (Path(question.run) / SPLIT).is_file():
        return Seen("run", f"{question.run} is split")
    what = f"{question.run} is not split yet: mount the folder everywhere, then `pipeline split JOB` on one machine"
    return Seen("run", what, warn=True)


def _clock(shared: Path) -> tuple[float, Seen]:
    """Compare this machine's clock with the one that dates the shared folder's files."""
    file = shared / f"{_SCRATCH}clock-{secrets.token_hex(4)}"
    best = (float("inf"), 0.0)
    try:
        for _ in range(5):  # the quickest answer says most
            before = time.time()
            with file.open("wb") as written:
                written.write(b"now")
                written.flush()
                os.fsync(written.fileno())
            dated, after = file.stat().st_mtime, time.time()
            best = min(best, (after - before, (before + after) / 2 - dated))
            file.unlink()
    except OSError as error:
        return 0.0, Seen("clock", f"the folder's files have no dates: {error.strerror}", bad=True, storage=True)
    took, ahead = best
    return ahead, _apart("clock", max(0.0, abs(ahead) - took), "from the shared folder's")


def _apart(name: str, apart: float, of: str) -> Seen:
    text = f"{apart:.1f} s {of}"
    if apart > REFUSE_S:
        more = f"{text}; at most {REFUSE_S:g}: what is paid would be taken for too old, or too fresh"
        return Seen(name, more, bad=True, fix="timedatectl set-ntp true")
    return Seen(name, text, warn=apart > WARN_S)


def _owner(shared: Path) -> Seen:
    """Look whom the folder takes us for: a server may hand our files to somebody else."""
    file = shared / f"{_SCRATCH}owner-{secrets.token_hex(4)}"
    try:
        file.touch(mode=0o600)
        owner = file.stat().st_uid
        file.unlink()
    except OSError as error:
        return Seen("owner", f"a file of ours is not ours there: {error.strerror}", bad=True, storage=True)
    if hasattr(os, "getuid") and owner != os.getuid():
        text = f"files of user {os.getuid()} belong to {owner} there; export the folder without mapping users"
        return Seen("owner", text, bad=True, storage=True)
    return Seen("owner", f"user {owner}")


def _room(shared: Path) -> Seen:
    free = shutil.disk_usage(shared).free
    text = f"{free / (1 << 30):,.1f} GB free"
    if free < LEAST_BYTES:
        return Seen("room", f"{text}; at least {LEAST_BYTES >> 30} GB", bad=True, storage=True)
    return Seen("room", text)


def _once(question: Question) -> Seen:
    """Let several threads race for names in the place of leases, and count the winners of each."""
    where = shown(question.leases)
    try:
        with _store(question) as store:
            winners = race(store, f"check/{secrets.token_hex(8)}")
    except (SpecError, StoreUnknown) as error:
        told = " ".join(str(error).split())
        return Seen("leases", f"{where}: {told}", bad=True, storage=True, fix=_fix_of(error))
    if set(winners) != {1}:
        text = f"{where}: a name was given {max(winners)} times; leases do not hold here"
        return Seen("leases", text, bad=True, storage=True)
    return Seen("leases", f"{where}: {RACERS} racers, {NAMES} names, one winner each")


def _fix_of(error: Exception) -> str:
    return str(getattr(error.args[0], "fix", "")) if error.args else ""


@contextlib.contextmanager
def _store(question: Question) -> Iterator[Store]:
    """Open a store like that of the leases, and with nothing of it: in the scratch folder, or in the bucket itself."""
    if is_bucket(question.leases):
        yield open_store(question.leases)
        return
    beside = Path(question.leases) if Path(question.leases).is_dir() else Path(question.shared) / question.scratch
    place = beside / f"{_SCRATCH}{socket.gethostname()}-{secrets.token_hex(4)}"
    place.mkdir(mode=0o700)
    try:
        yield open_store(str(place))
    finally:
        shutil.rmtree(place, ignore_errors=True)
