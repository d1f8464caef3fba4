"""The file that an export is written to. It takes the place of an export of before, and of nothing else."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.journal.places import JOURNAL, SPLIT
from pipeline.results.decisions import DECISIONS
from pipeline.sources.tables import locate_manifest
from pipeline.system.fault import Fault

_OF_RUN = (JOURNAL, SPLIT)  # whatever has one of them is the folder of a run


def require_replaceable(file: Path, ending: str, spec: JobSpec | None, *more: Path) -> None:
    """Raise SpecError where a file may not be replaced by an export with this ending, not even when it is asked for.

    That is so for what is no ordinary file, for one with another ending, for records of a run, and for what its job
    reads: its lists and its decisions.csv (`spec` is None where no job is known), and `more` files. Does nothing where
    no file is there.
    """
    try:
        found = file.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise SpecError(
            Fault("it is a link, a device or a pipe, and is not replaced; name another file", where=str(file))
        )
    if file.suffix.lower() != f".{ending}":
        what = f"it is there already, and is no .{ending} file that could be replaced; name another file"
        raise SpecError(Fault(what, where=str(file)))
    if _is_of_run(file):
        what = "it holds records or items of a run, and is never replaced; name another file"
        raise SpecError(Fault(what, where=str(file)))
    if any(os.path.samestat(found, one.stat()) for one in _read_by(spec, *more) if one.exists()):
        raise SpecError(Fault("the job reads it, and it is never replaced; name another file", where=str(file)))


def _is_of_run(file: Path) -> bool:
    if file.suffix.lower() != ".jsonl":  # of a run's own files only these have the ending of an export
        return False
    return any((folder / name).exists() for folder in file.resolve().parents for name in _OF_RUN)


def _read_by(spec: JobSpec | None, *more: Path) -> Iterator[Path]:
    yield from more
    if spec is None:
        return
    yield spec.folder / DECISIONS
    for entry in spec.images:
        if entry.manifest is not None:
            with contextlib.suppress(SpecError):  # a list that came by stdin is not there
                yield locate_manifest(spec, entry)
