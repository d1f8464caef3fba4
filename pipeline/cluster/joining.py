"""The entry of a worker into a run: the split that there is, one version, one time, one question, the leases."""

import contextlib
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.cluster.split import Split, anew, find_split, read_split
from pipeline.errors import JournalError, SpecError
from pipeline.leases.opening import is_bucket
from pipeline.run.begin import asked_of, refusal
from pipeline.run.cluster_runs import LEASES, named_place
from pipeline.run.load import Job
from pipeline.system.fault import Fault
from pipeline.system.files import write_whole
from pipeline.system.structs import decode

ASKED = "asked.json"  # in the run's folder
WARN_S, REFUSE_S = 1.0, 5.0  # between this machine's clock and that of the shared folder


class Joined(NamedTuple):
    """A run that this machine takes part in.

    folder  of the run
    leases  the place of the leases
    """

    folder: Path
    split: Split
    leases: str


class _Asked(msgspec.Struct, frozen=True):
    """The question of a run: of which vendor, and what its job asked when the first worker began."""

    vendor: str
    asked: str


def join(job: Job, *, say: Callable[[str], None], wall: Callable[[], float] = time.time) -> Joined:
    """Find the run of a job, and look whether this machine may take part; make nothing.

    Raises JournalError where the run or its leases are not here, SpecError where this machine does not fit, or where
    the job asks something else than the shards that were begun.
    """
    folder, split = find_split(job.spec, job.words)
    _refuse_other_question(folder, job)
    leases = place_of_leases(folder, named_place(job.spec))
    ahead_s = _ahead_s(folder, wall)
    if abs(ahead_s) > REFUSE_S:
        what = f"this machine's clock is {_apart(ahead_s)} of the shared folder's, and the ages of paid things go by it"
        raise SpecError(Fault(f"{what}; set it by a time server", where=str(folder), fix="timedatectl set-ntp true"))
    if abs(ahead_s) > WARN_S:
        say(f"note: this machine's clock is {_apart(ahead_s)} of the shared folder's; {REFUSE_S:g} s are refused")
    return Joined(folder, split, leases)


def note_question(joined: Joined, job: Job) -> None:
    """Note what the job asks, once for all shards and workers of a run.

    A shard refuses a changed job by itself only where it was begun: of one that is done nothing is asked any more, and
    the others would be asked the new question beside it.
    """
    if not (joined.folder / ASKED).exists():
        noted = msgspec.json.encode(_Asked(job.spec.host, asked_of(job.spec)))
        write_whole(joined.folder / ASKED, noted, several_writers=True)


def _refuse_other_question(folder: Path, job: Job) -> None:
    """Raise SpecError where the workers of a run asked something else before; a note that is damaged says nothing."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        noted = decode((folder / ASKED).read_bytes(), _Asked)
        if refused := refusal(job.spec, vendor=noted.vendor, asked=noted.asked, anew=anew(job.words)):
            raise SpecError(*refused)


def refuse_replaced(joined: Joined) -> None:
    """Raise JournalError where a run was removed, and another one split in its place, since this machine took part.

    Its shards are other items, with the same folders. A folder that is out of reach is not refused here.
    """
    with contextlib.suppress(SpecError):
        if read_split(joined.folder).id != joined.split.id:
            what = "this run was removed, and another one was split in its place; start this worker anew for that one"
            raise JournalError(Fault(what, where=str(joined.folder)))


def place_of_leases(run: Path, named: str | None) -> str:
    """Return where the machines of a run lease the account and its shards: where `named`, else beside the run.

    Raises JournalError where a folder is not there: in a new one this machine would share the account with nobody.
    """
    place = named or str(run.absolute().parent / LEASES)
    if not is_bucket(place) and not Path(place).is_dir():
        what = (
            "the folder for the leases is not here, although the run is: it is not mounted on this machine, or was "
            "removed; mount it, or put it back as it was"
        )
        raise JournalError(Fault(what, where=place))
    return place


def answers(folder: Path) -> bool:
    """Return whether a folder can be written."""
    try:
        _ahead_s(folder, time.time)
    except SpecError:
        return False
    return True


def _ahead_s(folder: Path, wall: Callable[[], float]) -> float:
    """Return by how much our clock is ahead of the one that dates files in a folder; 0 when it cannot be told."""
    probe = folder / f".clock-{secrets.token_hex(4)}"
    before = wall()
    try:
        with probe.open("xb") as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
            dated = os.fstat(file.fileno()).st_mtime
        after = wall()
    except OSError as exc:
        raise SpecError(Fault(f"cannot be written: {exc.strerror}", where=str(folder))) from None
    finally:
        with contextlib.suppress(OSError):  # out of reach; the first error is the one to report
            probe.unlink(missing_ok=True)
    if before - WARN_S / 4 <= dated <= after + WARN_S / 4:  # some file systems date by ticks
        return 0.0
    return before - dated if dated < before else after - dated


def _apart(ahead_s: float) -> str:
    return f"{abs(ahead_s):.1f} s {'ahead' if ahead_s > 0 else 'behind'}"
