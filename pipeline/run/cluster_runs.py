"""The place of a run that many machines share, and the rules that keep a machine from paying beside the others.

Its folders lie in `cluster.shared`, named as run directories are. A run that was split yesterday is gone on with today,
whatever period its name says: a machine that joins it must find the one that there is.

A file system that is not mounted leaves an empty folder behind. So a run begins where somebody asks for its split, in a
folder that is there, and whoever works on it or looks at it makes nothing: the file of the split shows that the folder
is the one that the machines share.
"""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import JournalError, SpecError
from pipeline.job.schema import JobSpec
from pipeline.journal.places import SPLIT
from pipeline.leases.opening import is_bucket
from pipeline.system.fault import Fault, typed

LEASES = ".leases"  # in the folder that machines share, where the job names no other place

_PERIODS = {"date": r"\d{4}-\d\d-\d\d", "month": r"\d{4}-\d\d", "week": r"\d{4}-W\d\d"}


def refuse_alone(spec: JobSpec, file: Path | None) -> None:
    """Raise SpecError for a job of many machines: by itself this one would pay for all items once more."""
    if spec.cluster is None:
        return
    job = "JOB" if file is None else file
    what = (
        "this job is for many machines, and `run` would pay for all of its items beside them; nothing was sent. "
        "`cluster run` starts workers here, `work` takes part in what runs; to run it alone add --set cluster=null"
    )
    raise SpecError(Fault(what, where="cluster", fix=typed("cluster", "run", job, "--local", 2)))


def shared_folder(spec: JobSpec) -> Path:
    """Return the folder that machines share. Raises SpecError for a job of one machine, JournalError for no folder."""
    if spec.cluster is None:
        what = "the job names no folder that machines share, so it is run by one: `pipeline run`"
        raise SpecError(Fault(what, where="cluster", fix="cluster: {shared: /mnt/screening}"))
    folder = spec.place(spec.cluster.shared).resolve()
    if not folder.is_dir():
        raise JournalError(not_there(folder))
    return folder


def named_place(spec: JobSpec) -> str | None:
    """Return the place of leases that a job names, as one spelling; None where it names none."""
    leases = spec.api.leases
    return leases if leases is None or is_bucket(leases) else str(spec.place(leases).resolve())


def not_there(shared: Path) -> Fault:
    """Say that the folder that machines share is not there."""
    what = f"{shared} is not there; a file system that is not mounted looks the same: mount it, or make the folder"
    return Fault(what, where="cluster.shared", fix=shlex.join(["mkdir", "-p", "-m", "700", str(shared)]))


def refuse_not_split(folder: Path, words: Sequence[object] = ("JOB",)) -> None:
    """Raise JournalError where no run was split in a folder, as on a machine that has not mounted the shared one.

    `words` name the job in a command.
    """
    if (folder / SPLIT).is_file():
        return
    what = (
        "no run that was split is here: `pipeline split JOB` (or `pipeline cluster run JOB`) was "
        "not run yet, or the folder that the machines share is not mounted on this one"
    )
    raise JournalError(Fault(what, where=str(folder), fix=typed("cluster", "check", *words)))


def newest_split(base: Path, pattern: str, name: str) -> Path | None:
    """Find the newest run that was split, of a job of this name whose runs are named by `pattern`."""
    words = {"name": re.escape(name), **_PERIODS}
    parts = re.split(r"\{(\w+)\}", pattern)
    named = re.compile(
        "".join(words[part] if odd % 2 else re.escape(part) for odd, part in enumerate(parts)) + r"(?:\.(\d+))?"
    )
    found = []
    for folder in base.glob(f"*/{SPLIT}"):
        if match := named.fullmatch(folder.parent.name):
            number = match[1]
            stem = folder.parent.name.removesuffix(f".{number}")
            found.append((stem, int(number or 1), folder.parent))
    return max(found)[2] if found else None
