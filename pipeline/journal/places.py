"""The files of a run directory, and of the directory inside it whose reports `pipeline collect` reads.

That one is a run directory as any other, with a journal and a lock of its own, so that it is written while a run goes
on. Only its records lie elsewhere: beside those of the run, whose tasks they are the reports of.
"""

import os
import re
import stat
from pathlib import Path

JOURNAL, RESULTS, SPOOL = "journal.sqlite", "results.jsonl", "spool"
SUMMARY, REPORT, PROGRESS = "summary.json", "report.html", "progress.json"
AS_RUN = "spec.yaml"  # the job; written once the journal is laid out, and before anything is sent
REPORTS_FOLDER, REPORTS = "reports", "reports.jsonl"
OPEN_FILE = "open.jsonl"  # the records that are open, as they were when it was written last
SPLIT, SHARDS = "split.json", "shards"  # in the folder of a run of several shards, each with run directories of its own
PREPARED = ".prepared"  # in the folder that machines share: what first passes over pictures made (cluster/prepared.py)

EPOCH, SHARD = re.compile(r"e(\d+)"), re.compile(r"\d{4,}")


def collection_of(run: Path) -> Path:
    """Return the directory of the reports of a run directory; it need not be there."""
    return run / REPORTS_FOLDER


def is_collection(folder: Path) -> bool:
    """Return whether a folder is the one of reports inside a run directory, or stands for those of a run's shards."""
    whole, files = folder.absolute(), (JOURNAL, RESULTS, REPORTS, SPLIT)
    return whole.name == REPORTS_FOLDER and any((whole.parent / name).is_file() for name in files)


def run_of(folder: Path) -> Path | None:
    """Return the run directory whose reports a folder is for; None for one that is a run directory itself."""
    return folder.absolute().parent if is_collection(folder) else None


def results_file(folder: Path) -> Path:
    """Return the file of a run directory's records, or of the reports that were collected for it."""
    around = run_of(folder)
    return folder / RESULTS if around is None else around / REPORTS


def folder_of(results: Path) -> Path:
    """Return the directory whose file of records this is."""
    return results.parent / REPORTS_FOLDER if results.name == REPORTS else results.parent


def run_directories(folder: Path) -> list[Path]:
    """List the run directories that a folder stands for, in order: itself, or those of the shards of its run."""
    if not (folder / SPLIT).is_file():
        return [folder]
    epochs = ((number, epoch_of(folder / SHARDS / name)) for number, name in shards_in(folder))
    return [run for _, (_, run) in epochs if run is not None]


def shards_in(run: Path) -> list[tuple[int, str]]:
    """List the numbers and folders' names of the shards that are there, in order."""
    names = (one.name for one in _entries(run / SHARDS) if SHARD.fullmatch(one.name) and one.is_dir())
    return sorted((int(name), name) for name in names)


def epoch_of(shard: Path) -> tuple[int, Path | None]:
    """Find the highest epoch of a shard that was begun, and its run directory; 0 and None where none was.

    One that has a copy of the journal before it and no job yet holds nothing that is new; one that has a job and no
    journal has lost that, and no earlier one says what was paid in it.
    """
    epochs = ((int(found[1]), one.path) for one in _entries(shard) if (found := EPOCH.fullmatch(one.name)))
    begun = (epoch for epoch, path in epochs if _is_file(f"{path}/{AS_RUN}"))
    epoch = max(begun, default=0)
    return epoch, shard / f"e{epoch}" if epoch else None


# Thousands of shards are asked: these two take a third of the time of paths, and pass over the same errors as those do.
# Any other one, as of a folder out of reach, is raised: a shard that was begun must not look as if it was not.


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_superseded(run: Path) -> bool:
    """Return whether a run directory is an epoch of a shard that a later one has followed, with a copy of it."""
    whole = run.absolute()
    return run_of_shard(run) is not None and epoch_of(whole.parent)[1] != whole


def run_of_shard(folder: Path) -> Path | None:
    """Return the run that a run directory is a shard of; None for one that stands alone."""
    whole = folder.absolute()
    if EPOCH.fullmatch(whole.name) is None or len(whole.parents) < 3 or not (whole.parents[2] / SPLIT).is_file():
        return None
    return whole.parents[2]


def goes_on_with(folder: Path) -> str:
    """Name the command that goes on with a run: `work` for one that machines share, or a shard of it, else `run`."""
    return "work" if (folder / SPLIT).is_file() or run_of_shard(folder) is not None else "run"
