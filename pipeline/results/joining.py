"""The records of a run joined with the reports that were collected for it: reports.jsonl and open.jsonl beside them.

A record in results.jsonl says `tasked` for good. Where its report was collected, the record in reports.jsonl takes its
place; where that failed or is lost, open.jsonl has the item, and it is no settled one any more. Twins share all of it.
"""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from pipeline.journal.places import OPEN_FILE, REPORTS
from pipeline.models import OF_REPORT, State
from pipeline.results.reading import RecordView, read_line

_OF_REPORT = frozenset(state.word for state in OF_REPORT)


class _Named(msgspec.Struct, gc=False):
    item: str
    status: str = ""
    replaces: str = ""


_NAMED = msgspec.json.Decoder(_Named)


@dataclass(slots=True)
class Joined:
    """The collected reports of one run directory. `places` says where the record of an item begins in the file."""

    path: Path
    places: dict[str, int] = field(default_factory=dict)
    left_open: set[str] = field(default_factory=set)

    def of(self, record: RecordView) -> RecordView | None:
        """Return a record as it stands since; None where it is settled no longer. Raises ValueError for no record."""
        if record.status != State.TASKED.word:
            return record
        place = self.places.get(record.item if record.same_as is None else record.same_as)
        if place is None:
            return None if record.item in self.left_open else record
        with self.path.open("rb") as file:
            file.seek(place)
            read = read_line(file.readline())
        return read if record.same_as is None else _shared(record, read)


def _shared(twin: RecordView, read: RecordView) -> RecordView:
    """Return the record of a twin with the report of its first item's task."""
    return msgspec.structs.replace(
        twin,
        status=read.status,
        search=read.search,
        task=read.task,
        hits_lost=read.hits_lost,
        raw_details=read.raw_details,
        designs=read.designs,
        replaces=read.replaces,
        comparisons=read.comparisons,
        line_drawing=read.line_drawing,
        raw_report=read.raw_report,
        raw_hits=read.raw_hits,
    )


def read_joined(run: Path, *, open_file: Path | None = None) -> Joined | None:
    """Go once through what was collected for a run directory; None where nothing was.

    `open_file` is open.jsonl as it is now, where that is not the one in the run directory.
    """
    if not (run / REPORTS).is_file():
        return None
    joined = Joined(run / REPORTS)
    place = 0
    with joined.path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                    joined.places[_NAMED.decode(line).item] = place
            place += len(line)
    with contextlib.suppress(FileNotFoundError), (open_file or run / OPEN_FILE).open("rb") as lines:
        for line in lines:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                named = _NAMED.decode(line)
                if named.status in _OF_REPORT or named.replaces:
                    joined.left_open.add(named.item)
    return joined
