"""The records of a run in one file: results.jsonl itself, or those of the shards of a cluster run in their order."""

import shlex
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipeline.cluster.directories import Directories, about_not_begun, directories
from pipeline.cluster.merge import copy_lines, lines_of, write_manifest
from pipeline.errors import JournalError, SpecError
from pipeline.job.schema import JobSpec
from pipeline.journal.places import REPORTS
from pipeline.offline.opening import find_run
from pipeline.offline.target import require_replaceable
from pipeline.system.fault import Fault
from pipeline.system.files import replaced


class Merged(NamedTuple):
    """The outcome of a merge."""

    file: Path
    lines: int
    size: int  # bytes
    remarks: tuple[str, ...]


def merge(folder: Path, to: Path, *, force: bool = False) -> Merged:
    """Write the lines of a run to a file, byte for byte; of a cluster run, write manifest.json, too.

    Lines that a journal does not know (yet) are left out. Raises SpecError, JournalError or OSError.
    """
    if to.is_dir():
        raise SpecError(
            Fault(
                "this is a folder; name a file", where=str(to), fix=shlex.join(["--merge", str(to / "results.jsonl")])
            )
        )
    found = directories(folder)
    require_replaceable(to, "jsonl", _job(found))
    if to.exists() and not force:
        raise SpecError(Fault("it is there already; name another file, or replace it", where=str(to), fix="--force"))
    parts = list(found.each(lines_of))
    with replaced(to) as out:
        sums = copy_lines(parts, out)
    if found.cluster is not None:
        write_manifest(folder, parts, sums)
    remarks = [*found.not_read.values(), *filter(None, [about_not_begun(found.not_begun)])]
    if collected := [part.run / REPORTS for part in parts if (part.run / REPORTS).is_file()]:
        remarks.append(f"reports that were collected since are not in it: {', '.join(map(str, collected))}")
    return Merged(to, sum(part.lines for part in parts), sum(part.size for part in parts), tuple(remarks))


def _job(found: Directories) -> JobSpec | None:
    """Return the job of a run; None where that cannot be read."""
    with suppress(SpecError, JournalError):
        return find_run(found.runs[0]).spec
    return None
