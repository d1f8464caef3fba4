"""The list that a job reads from stdin (`manifest: "-"`): kept in the run directory, so that the run can go on.

Stdin is read once and never waited for without need: a resumed run has its list, and looks only whether another one
came.
"""

import contextlib
import filecmp
import os
import select
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import SpecError
from pipeline.job.images import LISTED, STDIN
from pipeline.job.schema import JobSpec
from pipeline.run.directory import run_folder
from pipeline.system.fault import Fault
from pipeline.system.files import write_whole
from pipeline.system.folders import temporary_folder

_MOST = 1 << 30  # bytes
_CHUNK = 1 << 20
_RESUMED_WAITS_S = 2.0  # for the first byte of a list that is probably not coming
_WHERE = 'manifest: "-"'


@contextlib.contextmanager
def list_at_hand(
    spec: JobSpec, *, new: bool = False, folder: Path | None = None, anew: str = "--new", reads: bool = True
) -> Iterator[JobSpec]:
    """Give the job the list that it reads from stdin, as long as the block lasts; other jobs stay as they are.

    The list of the run directory that the job would go on in wins. Raises SpecError when there is none, or when another
    one came in on stdin; `anew` is what to type then, an option of the command itself or another command. A command
    that goes on with a run that is there `reads` no stdin, which may be its own script's.
    """
    at_hand = spec.listed is not None or spec.shard is not None
    if at_hand or not any(entry.manifest == STDIN for entry in spec.images):
        yield spec
        return
    kept = (folder or run_folder(spec, now=datetime.now().astimezone(), new=new)) / LISTED
    with temporary_folder() as place:
        given = _read_stdin(place / LISTED, resumed=kept.is_file()) if reads else None
        if kept.is_file():
            if given is not None and not filecmp.cmp(given, kept, shallow=False):
                what = (
                    "this run directory goes on with the list that it was begun with, and another one came in on "
                    "stdin; nothing was sent. `run --new` starts a run with the new one"
                )
                raise SpecError(Fault(what, where=str(kept), fix=anew))
            given = kept
        if given is None:
            what = "the list is read from stdin, and nothing came in there; pipe it in, one URL a line"
            raise SpecError(Fault(what, where=_WHERE, fix="pipeline run JOB < urls.txt"))
        yield spec.with_listed(given)


def keep_list(spec: JobSpec, folder: Path) -> JobSpec:
    """Write the list into the run directory before anything is sent; return the job that reads it there."""
    if spec.listed is None or spec.listed == folder / LISTED:
        return spec
    with spec.listed.open("rb") as file:
        write_whole(folder / LISTED, iter(lambda: file.read(_CHUNK), b""))
    return spec.with_listed(folder / LISTED)


def _read_stdin(place: Path, *, resumed: bool) -> Path | None:
    """Read stdin to its end into a file; None where nothing came in. Raises SpecError for an endless one."""
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or sys.stdin.closed or sys.stdin.isatty() or (resumed and not _has_come(stream)):
        return None
    with place.open("wb") as file:
        while data := stream.read(_CHUNK):
            file.write(data)
            if file.tell() > _MOST:
                raise SpecError(Fault(f"the list on stdin is longer than {_MOST >> 20:,} MiB", where=_WHERE))
    return place if place.stat().st_size else None


def _has_come(stream: BinaryIO) -> bool:
    """Return whether something, be it only the end, comes in soon; True where the system cannot say."""
    if os.name != "posix":
        return True
    try:
        return bool(select.select([stream.fileno()], [], [], _RESUMED_WAITS_S)[0])
    except (OSError, ValueError):
        return True
