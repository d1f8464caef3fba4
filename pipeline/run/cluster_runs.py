"""The place of a run that many machines share, and the rule that no machine runs such a job for itself.

Its folders lie in `cluster.shared`, named as run directories are. A run that was split yesterday is gone on with today,
whatever period its name says: a machine that joins it must find the one that there is.
"""

import re
from pathlib import Path

from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.journal.places import SPLIT
from pipeline.system.fault import Fault, typed

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
