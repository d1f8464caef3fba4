"""Rows of a manifest, streamed: a text file of a million rows is never held in memory; a workbook's cells are.

A row that cannot be used is yielded too, with its line and what is wrong with it; no row is dropped.
"""

from collections.abc import Callable, Iterator
from itertools import compress
from pathlib import Path

from pipeline.errors import SpecError
from pipeline.job.images import STDIN, ImageEntry
from pipeline.job.schema import JobSpec
from pipeline.sources.csv_rows import csv_rows
from pipeline.sources.jsonl_rows import MAX_DEPTH, jsonl_rows
from pipeline.sources.lines import MAX_LINE
from pipeline.sources.listed_rows import listed_rows
from pipeline.sources.row import ALL, Row
from pipeline.system.fault import Fault

__all__ = ["MAX_DEPTH", "MAX_LINE", "READERS", "Row", "locate_manifest", "read_rows"]


def _workbook_rows(file: Path, entry: ImageEntry) -> Iterator[Row]:
    from pipeline.sources.workbook_rows import workbook_rows  # its library is slow to load, and few jobs need it

    yield from workbook_rows(file, entry)


READERS: dict[str, Callable[[Path, ImageEntry], Iterator[Row]]] = {
    ".csv": csv_rows,
    ".jsonl": jsonl_rows,
    ".xlsx": _workbook_rows,
    ".xls": _workbook_rows,
    ".ods": _workbook_rows,
}


def locate_manifest(spec: JobSpec, entry: ImageEntry) -> Path:
    """Return where a manifest lies: its path starts at the folder of the job file."""
    if entry.manifest == STDIN:
        if spec.listed is None:
            raise SpecError(Fault("the list on stdin was not read", where='manifest: "-"'))
        return spec.listed
    return spec.place(entry.manifest or "")


def read_rows(file: Path, entry: ImageEntry, wanted: Iterator[bool] = ALL) -> Iterator[Row]:
    """Yield the rows of the manifest `file`, which `entry` of the job names; `wanted` says of each whether it is.

    Raises SpecError when the file cannot be read, or has neither a url nor a path column.
    """
    read = (
        listed_rows
        if entry.manifest == STDIN
        else next(read for ending, read in READERS.items() if file.name.lower().endswith(ending))
    )
    try:
        if read is csv_rows:  # to tell where a row ends takes half the time of reading it
            yield from csv_rows(file, entry, wanted)
        else:
            yield from compress(read(file, entry), wanted)
    except SpecError as error:
        if entry.manifest != STDIN:
            raise
        raise SpecError(*(_of_stdin(line, file) for line in error.lines)) from None
    except OSError as exc:
        raise SpecError(Fault(f"cannot read the manifest: {exc.strerror}", where=str(file))) from None
    except UnicodeError:
        what = f"this is not {entry.encoding} text; set `encoding:` beside `manifest:`"
        raise SpecError(Fault(what, where=str(file))) from None


def _of_stdin(line: str, file: Path) -> str:
    """Name stdin in a fault, and not the file in which its list is kept: nobody knows that one."""
    if not isinstance(line, Fault):
        return line
    return Fault(line.what, where=line.where.replace(str(file), "stdin"), fix=line.fix, times=line.times)
