"""The entry of a worker into a run: the split that there is, one version, one time, the place of the leases."""

import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pipeline.cluster.split import Split, split_job
from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.run.leased import named_place
from pipeline.system.fault import Fault

LEASES = ".leases"  # inside the shared folder, unless api.leases names another place
WARN_S, REFUSE_S = 1.0, 5.0  # between this machine's clock and that of the shared folder


class Joined(NamedTuple):
    """A run that this machine takes part in.

    folder  of the run
    leases  the place of the leases
    """

    folder: Path
    split: Split
    leases: str


def join(spec: JobSpec, *, say: Callable[[str], None], wall: Callable[[], float] = time.time) -> Joined:
    """Find the run of a job, or split it, and look whether this machine may take part. Raises SpecError."""
    folder, split = split_job(spec)
    ahead_s = _ahead_s(folder, wall)
    if abs(ahead_s) > REFUSE_S:
        what = f"this machine's clock is {_apart(ahead_s)} of the shared folder's, and the ages of paid things go by it"
        raise SpecError(Fault(f"{what}; set it by a time server", where=str(folder), fix="timedatectl set-ntp true"))
    if abs(ahead_s) > WARN_S:
        say(f"note: this machine's clock is {_apart(ahead_s)} of the shared folder's; {REFUSE_S:g} s are refused")
    return Joined(folder, split, place_of_leases(spec))


def place_of_leases(spec: JobSpec) -> str:
    """Return where the machines of a job lease the account and its shards; make the folder if it is the job's own."""
    assert spec.cluster is not None
    if (named := named_place(spec)) is not None:
        return named
    folder = spec.place(spec.cluster.shared).resolve() / LEASES
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as exc:
        raise SpecError(Fault(f"cannot be made: {exc.strerror}", where=str(folder))) from None
    return str(folder)


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
        probe.unlink(missing_ok=True)
    if before - WARN_S / 4 <= dated <= after + WARN_S / 4:  # some file systems date by ticks
        return 0.0
    return before - dated if dated < before else after - dated


def _apart(ahead_s: float) -> str:
    return f"{abs(ahead_s):.1f} s {'ahead' if ahead_s > 0 else 'behind'}"
