"""The report of a task as types: what the vendor writes of the patents that it compared with the picture.

Every text and every level in it is the vendor's and is quoted as such. That a report names no patent, or that none has
come, says nothing about a picture: no word of ours is ever made of it.
"""

import enum
import hashlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from pipeline.models import Calls, Hits, State, Task, Work
from pipeline.picture_formats import PNG_BEGIN

APART_S = 2.0  # at least, between two questions for the report of one task
DRAWINGS = "drawings"  # a folder of a run directory


class Progress(enum.IntEnum):
    """The vendor's `task_status`; UNSAID where an answer has none."""

    UNSAID = 0
    RUNNING = 1
    DONE = 2
    FAILED = 3


class Comparison(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One patent that the vendor compared with the picture. Fields that it did not send are left out."""

    patent_id: str
    hit: int | None = None  # the place of its hit among the record's, from 0; None when the patent is none of them
    patent_pn: str = ""
    title: str = ""
    country: str = ""
    status: int | None = None  # 1 valid, 2 invalid, 3 pending, as far as the vendor's newer endpoint says it
    score: float | None = None  # as the vendor sent it: it has sent both 80 and 0.93
    score_of_1: float | None = None  # the same from 0 to 1; all of a report are per cent once one is above 1
    similar: str = ""
    difference: str = ""
    confusion: str = ""
    risk_desc: str = ""
    risk_level: str = ""
    suggestion: str = ""
    patent_image_url: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One answer to the question for a task's report.

    progress     what the vendor says of the task
    comparisons  in its order; empty also while there is no report yet
    data         its own JSON value, byte for byte but for raw line breaks between tokens
    request_id   of the question, whose answer came `at`
    task_id      the task that the answer names; "" where it names none
    """

    progress: Progress
    comparisons: tuple[Comparison, ...]
    data: bytes
    request_id: str
    at: float
    task_id: str = field(default="", kw_only=True)

    @property
    def is_in(self) -> bool:
        """True when the report is there: the vendor says so, or says nothing and has compared something."""
        return self.progress is Progress.DONE or (self.progress is Progress.UNSAID and bool(self.comparisons))


def tied(comparisons: tuple[Comparison, ...], patents: list[str | None]) -> list[Comparison]:
    """Tie each comparison to the hit of its patent; `patents` are the ids of the hits that the record keeps."""
    places: dict[str | None, int] = {}
    for place, patent in enumerate(patents):
        places.setdefault(patent, place)
    return [msgspec.structs.replace(one, hit=places.get(one.patent_id)) for one in comparisons]


@dataclass(frozen=True, slots=True)
class WholeReport(Report):
    """One answer of an endpoint whose tasks search by themselves; its data holds the drawing's digest in its place.

    hits        of the task's own search; None while the task runs, and of one that failed
    drawing     the vendor's line drawing of the picture, as a PNG or JPEG; None where it sent none
    lacks_hits  whether it compares patents and counts hits, and has none of these in it
    """

    hits: Hits | None
    drawing: bytes | None
    lacks_hits: bool = field(default=False, kw_only=True)

    @property
    def state(self) -> State:
        """The state that it settles its item in: what compares patents did find something."""
        found = self.hits is None or self.hits.scores or self.comparisons
        return State.REPORTED if found else State.NO_HITS

    @property
    def remark(self) -> str:
        """The oddity of it, in a sentence for people; "" where there is none."""
        if not self.lacks_hits or self.hits is None:
            return ""
        return f"the vendor counts {self.hits.total:,} hits and sent none of them; its comparisons are here"

    @property
    def drawing_file(self) -> str:
        """The file of the drawing in a run directory, named by its digest; "" where there is none."""
        if self.drawing is None:
            return ""
        ending = "png" if self.drawing.startswith(PNG_BEGIN) else "jpg"
        return f"{DRAWINGS}/{hashlib.sha256(self.drawing).hexdigest()}.{ending}"


class TaskNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """The question that a task was opened with, for the record that its report ends with."""

    hits: int
    hits_dropped: int
    report_lang: str
    country: list[str] | None = None
    replaces: str = ""  # the task that brought no report, and that this one was paid for anew
    asked: dict[str, Any] | None = None  # what decided its hits (RecordLines.note); None in notes of early versions
    reused_from: tuple[str, str] | None = None  # the run directory and its item that paid for it; None = this one


class PaidTask(msgspec.Struct, frozen=True):
    """A task that was created, by the id of its item; `calls` were spent on it so far."""

    item: str
    task_id: str
    at: float
    calls: Calls
    note: TaskNote

    @property
    def task(self) -> Task:
        """The task itself."""
        return Task(self.task_id, self.at)


class ReusedTask(Task, frozen=True):
    """A task that another run paid for, which stands for one of an item's own.

    run, item  the run directory beside this one, and its item whose task it is
    note       what was asked of it
    report     that the other run has read; None while it is still to be asked for
    """

    run: str
    item: str
    note: TaskNote
    report: Report | None = None


def reused_task(task: Task, note: TaskNote) -> ReusedTask | None:
    """Return a noted task as that of another run; None where it is an item's own."""
    return None if note.reused_from is None else ReusedTask(task.task_id, task.at, *note.reused_from, note)


class PaidRecord(NamedTuple):
    """The record of a run whose report is collected for it; `has_task` where it is that of the item's task."""

    line: bytes
    has_task: bool  # False when the task was paid for anew since


class Awaited(NamedTuple):
    """An item whose report may still come: without its hits, which stay in the spool."""

    work: Work
    state: State
    task: Task
