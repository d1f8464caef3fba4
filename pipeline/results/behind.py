"""Records whose details are still pending: a run ended, or was killed, before they came."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.endpoints.details import PENDING
from pipeline.journal.places import RESULTS
from pipeline.results.late_details import read_late
from pipeline.results.reading import RecordView, read_line


def behind(folder: Path) -> Iterator[RecordView]:
    """Read the records of a run directory whose details never came; twins take those of their first item."""
    late = read_late(folder)
    with suppress(FileNotFoundError), (folder / RESULTS).open("rb") as lines:
        for line in lines:
            if b'"details":"pending"' not in line:
                continue
            with suppress(ValueError):
                record = read_line(line)
                if record.details_state == PENDING and record.same_as is None and record.item not in late:
                    yield record
