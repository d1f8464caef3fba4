"""Records of a run directory that may lack details: their run ended before these came, or asked for fewer, or none."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.endpoints.details import PENDING
from pipeline.journal.places import results_file
from pipeline.results.late_details import read_late
from pipeline.results.reading import RecordView, read_line


def behind(folder: Path, *, every: bool = False, until: int | None = None) -> Iterator[RecordView]:
    """Read the records whose details never came, or `every` one that details may be added to.

    Twins take those of their first item. `until` is the size of the file beyond which nothing is read.
    """
    late = read_late(folder)
    place = 0
    with suppress(FileNotFoundError), results_file(folder).open("rb") as lines:
        for line in lines:
            place += len(line)
            if until is not None and place > until:
                return
            if not every and b'"details":"pending"' not in line:
                continue
            with suppress(ValueError):
                record = read_line(line).with_late(late)
                if record.same_as is None and (every or record.details_state == PENDING):
                    yield record


def end_of_records(folder: Path) -> int:
    """Return the size of the file of records; 0 where there is none."""
    with suppress(FileNotFoundError):
        return results_file(folder).stat().st_size
    return 0
