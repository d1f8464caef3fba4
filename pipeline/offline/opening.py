"""A run directory that is opened while no run is under way, and its job as it was run."""

import contextlib
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.cluster.layout import cluster_run
from pipeline.errors import JournalError, SpecError
from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from pipeline.journal.begun import BEGINS_ANEW, was_stopped_at_once
from pipeline.journal.kept_files import left_over
from pipeline.journal.places import JOURNAL, results_file
from pipeline.journal.storage import Disk, explaining_rows, open_disk, reading_only
from pipeline.results.record import RecordLines
from pipeline.run.directory import SPEC, known_runs, lock
from pipeline.run.load import known_home
from pipeline.system.fault import Fault


@dataclass(frozen=True, slots=True)
class Place:
    """A run directory and the job as it was run there; `records` encodes further lines of it."""

    folder: Path
    spec: JobSpec
    records: RecordLines


def find_run(folder: Path) -> Place:
    """Read the job of a run directory. Raises SpecError when there is no run, or its job cannot be read."""
    if (cluster := cluster_run(folder)) is not None:
        what = "this run is split over shards, and this command takes the run directory of one of them"
        runs = [str(shard.run) for shard in cluster.shards if shard.run is not None]
        raise SpecError(Fault(f"{what}, such as {runs[0]}" if runs else what, where=str(folder)))
    if not (folder / JOURNAL).is_file() and not results_file(folder).is_file() and not left_over(folder):
        missing = f"no {JOURNAL}" if folder.exists() else "no such folder, as where a file system is not mounted"
        what = f"no run here ({missing}); name a run directory, such as runs/autumn-portfolio"
        raise SpecError(Fault(what, where=str(folder)))
    if was_stopped_at_once(folder):
        raise SpecError(Fault(f"no run here: {BEGINS_ANEW}", where=str(folder)))
    if not (folder / SPEC).is_file():
        what = f"no {SPEC} here, which says what was run; run the job once more, then try again"
        raise SpecError(Fault(what, where=str(folder)))
    spec = load_job(folder / SPEC, as_run=True)
    with contextlib.suppress(JournalError), reading_only(folder) as db:  # a damaged journal is about to be repaired
        home = known_home(db)
        spec = spec if home is None else spec.with_folder(home)  # its pictures lie there
    digest = hashlib.sha256((folder / SPEC).read_bytes()).hexdigest()
    return Place(folder, spec, RecordLines(spec, digest))


@contextlib.contextmanager
def opened(folder: Path, *, only_copy: bool = False, unpacked: bool = False) -> Iterator[Disk]:
    """Lock a run directory and open its files, made whole, until the block ends. Raises RunLocked or JournalError.

    With `only_copy` it is the one to go on with, whatever is noted of others (journal/identity.py). One that is
    `unpacked` of an archive is a copy that nothing goes on in: nothing is asked or noted of it.
    """
    places = None if unpacked else known_runs()
    with lock(folder), explaining_rows(folder):
        disk = open_disk(folder, now=time.time(), places=places, only_copy=only_copy or unpacked)
        clean = False
        try:
            yield disk
            clean = True
        except SpecError:  # a decision was refused before anything was written
            clean = True
            raise
        finally:
            disk.close(clean=clean)
