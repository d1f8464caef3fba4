"""All records of a run directory, one after the other, with the reports that were collected for them."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import JournalError
from pipeline.journal.places import OPEN_FILE, RESULTS, results_file, run_directories
from pipeline.results.joining import read_joined
from pipeline.results.late_details import read_late
from pipeline.results.reading import RecordView, read_line
from pipeline.system.fault import Fault, typed


def read_records(run_directory: str | Path, *, include_open: bool = False) -> Iterator[RecordView]:
    """Yield the records of a run directory, settled ones in the order they were written, then open ones if asked for.

    Those of a cluster run are those of its shards, one after the other. A task whose report was collected since is told
    with it. One record is in memory at a time. A run may be writing meanwhile: a last line that is not whole yet is
    left out, and open items are those of the last run that ended.
    Raises JournalError when there are no results, or a line is no record.

    >>> from pipeline import read_records
    >>> for record in read_records("runs/portfolio", include_open=True):
    ...     print(record.item, record.status, len(record.hits), record.error)
    A tasked 20 None
    B tasked 20 None
    C tasked 20 None
    """
    folder = Path(run_directory)
    runs = run_directories(folder)
    if not any(results_file(run).is_file() for run in runs):
        what = f"no results here (no {RESULTS}); name a run directory, such as runs/demo"
        raise JournalError(Fault(what, where=str(folder)))
    settled = (record for run in runs for record in _records(run, results_file(run)))
    return itertools.chain(
        settled, (record for run in runs if include_open for record in _records(run, run / OPEN_FILE))
    )


def _records(folder: Path, path: Path) -> Iterator[RecordView]:
    if not path.is_file():
        return  # no run of this directory has ended yet
    late, joined = read_late(folder), read_joined(folder)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                record = read_line(line)
                stands = record if joined is None else joined.of(record)
                if stands is not None:
                    yield stands.with_late(late) if late else stands
            except ValueError as exc:
                fix = typed("status", folder, "--verify")
                what = f"this line is no record: {exc}; a look at all lines says more"
                raise JournalError(Fault(what, where=f"{path}:{number}", fix=fix)) from None
