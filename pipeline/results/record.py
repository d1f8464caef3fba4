"""The record: the outcome of one item as one JSON line. Schema 1: fields may be added, never changed or removed.

The hits in a line are the bytes that the vendor sent, decoded and encoded by nobody. `reading` reads lines back.
"""

from dataclasses import dataclass
from typing import assert_never

import msgspec

from pipeline.endpoints.details import Details, PatentDetail
from pipeline.job.schema import JobSpec
from pipeline.models import Calls, Choice, Hits, Problem, State, Task, Work
from pipeline.outcomes import NoHits, SearchOnly, Settled, Tasked
from pipeline.paging import paging_of, patents_in
from pipeline.reports import Comparison, Report, ReusedTask, TaskNote, WholeReport, tied
from pipeline.results.hits import decides_hits, kept
from pipeline.results.image import ImagePart, image_of, shared_image
from pipeline.results.record_parts import SearchPart, TaskPart, noted_task, paged
from pipeline.results.reused import ReusedPart, reused_part
from pipeline.system.checksum import crc32, joined
from pipeline.system.clock import iso
from pipeline.system.structs import decode
from pipeline.version import __version__

SCHEMA = 1


NOTHING = msgspec.Raw(b"[]")  # the hits of a record whose line has them behind it


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of results.jsonl or open.jsonl; fields with a default are left out where they say nothing."""

    schema: int  # 1
    job: str  # its name
    item: str  # the item's id
    status: str  # a settled one; in open.jsonl an open one
    vendor: str  # the vendor's host, or `sandbox`
    rehearsal: bool = False  # drawn pictures stood for the URLs
    tool: str  # the version of this program
    spec_sha256: str  # of spec.yaml in the run directory
    image: ImagePart
    search: SearchPart | None  # None without one: nothing is paid, or the task searches by itself
    task: TaskPart | None
    calls: Calls  # spent on this item
    error: Problem | None = None  # in open.jsonl alone
    todo: str = ""  # in open.jsonl alone: what to do about it
    same_as: str | None = None  # the item whose picture, search and task this one shares
    reused_from: ReusedPart | None = None  # the item of another run whose search, and perhaps task, this is
    hits_lost: bool = False  # the hits of an open item, or of a task found by a person, are gone here, or never came
    remark: str = ""  # what is odd about the report, in a sentence
    details: dict[str, PatentDetail] | str | None = None  # of the best hits, by patent_id; a word where none is known
    replaces: str = ""  # the task that brought no report, and that this one was paid for anew
    comparisons: list[Comparison] | None = None  # of the report, each tied to its hit
    report: msgspec.Raw = msgspec.Raw(b"")  # the report, as the vendor sent it
    line_drawing: str = ""  # the vendor's drawing of the picture: a file in the run directory
    designs: int | None = None  # how many different designs these are; only where families were asked for
    hits: msgspec.Raw = NOTHING  # as the vendor sent them, `output.hits` at most


_NO_HITS = b"[]"
_END = b"}\n"


class Spliced(msgspec.Struct, frozen=True):
    """A record's line in parts: the bytes before its hits, and the hits as they came (a models.RecordLine)."""

    head: bytes
    hits: bytes
    hits_crc: int

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)

    def __len__(self) -> int:
        return len(self.head) + len(self.hits) + len(_END)

    @property
    def parts(self) -> tuple[bytes, bytes, bytes]:
        """The line's bytes in order."""
        return self.head, self.hits, _END

    @property
    def crc(self) -> int:
        """The CRC-32 of the whole line."""
        return crc32(_END, joined(crc32(self.head), self.hits_crc, len(self.hits)))


@dataclass(frozen=True, slots=True)
class RecordLines:
    """The lines of one run: each method encodes one, with the line break; nothing is written here."""

    spec: JobSpec
    spec_sha256: str

    def settled(
        self, work: Work, outcome: Settled, details: Details | None = None
    ) -> tuple[State, Spliced, Task | None]:
        """Return the state, the line and the task (if there is one) of a settled item."""
        match outcome:
            case Tasked(hits, choice, task):
                return State.TASKED, self._line(work, State.TASKED, hits, self._task(choice, task), details), task
            case NoHits(hits):
                return State.NO_HITS, self._line(work, State.NO_HITS, hits, None, details), None
            case SearchOnly(hits):
                return State.SEARCH_ONLY, self._line(work, State.SEARCH_ONLY, hits, None, details), None
            case _:
                assert_never(outcome)

    def note(self, outcome: Tasked) -> TaskNote:
        """Return what a task was asked, for the record that its report ends with."""
        part, task = self._task(outcome.choice, outcome.task), outcome.task
        reused_from = (task.run, task.item) if isinstance(task, ReusedTask) else None
        asked = decides_hits(self.spec)
        return TaskNote(
            part.hits, part.hits_dropped, part.report_lang, part.country, asked=asked, reused_from=reused_from
        )

    def reported(
        self, work: Work, task: Task, note: TaskNote, report: Report, details: Details | None, *, hits_lost: bool
    ) -> tuple[State, Spliced]:
        """Return state and line of an item whose report is in: the vendor's own bytes, and its comparisons beside them.

        A report that brings its hits itself may bring none: then nothing was found.
        """
        state, drawing, remark = State.REPORTED, "", ""
        if isinstance(report, WholeReport) and report.hits is not None:
            state, remark, hits_lost = report.state, report.remark, report.lacks_hits
            note, drawing = msgspec.structs.replace(note, hits=len(report.hits.scores)), report.drawing_file
        search, part = self.search(work.hits) if work.hits else None, noted_task(task, note)
        head = self._head(work, state, search=search, task=part, error=None)
        array = _NO_HITS if work.hits is None or hits_lost else self.kept(work.hits)
        head = msgspec.structs.replace(
            _detailed(head, details),
            replaces=note.replaces,
            comparisons=tied(report.comparisons, patents_in(array)),
            report=msgspec.Raw(report.data),
            line_drawing=drawing,
            hits_lost=hits_lost,
            remark=remark,
        )
        return state, spliced(head, array, crc32(array))

    def resolved(self, work: Work, task: Task, choice: Choice, *, hits_lost: bool) -> bytes:
        """Return the line of an item whose task a person found at the vendor.

        `work.hits` is what is known of its search; with `hits_lost` their bytes are gone.
        """
        part = self._task(choice, task)
        if work.hits is not None and not hits_lost:
            return bytes(self._line(work, State.TASKED, work.hits, part))
        search = self.search(work.hits) if work.hits else None
        head = self._head(work, State.TASKED, search=search, task=part, error=None)
        return _encode(msgspec.structs.replace(head, hits_lost=True), _NO_HITS)

    def open(
        self,
        work: Work,
        state: State,
        problem: Problem,
        *,
        task: TaskPart | None = None,
        hits_lost: bool = False,
        todo: str = "",
    ) -> bytes:
        """Return the line of an open item, with its search and the hits that are paid; with `hits_lost` these are gone.

        Whoever decides about the item looks at the hits first, so they are in the line as in that of a settled one.
        """
        search = self.search(work.hits) if work.hits else None
        head = self._head(work, state, search=search, task=task, error=problem)
        head = msgspec.structs.replace(head, todo=todo)
        if work.hits is None:
            return _encode(head, _NO_HITS)
        if hits_lost:
            return _encode(msgspec.structs.replace(head, hits_lost=True), _NO_HITS)
        return _encode(head, self.kept(work.hits))

    def twin(self, work: Work, line: bytes, *, own: str | None = None) -> bytes:
        """Return the line of an item whose picture is that of a settled one; `line` gives its search, hits and task.

        `own` is the digest of its own bytes, where these are others and show the same.
        """
        same_as = decode(line, Record).item
        return self.shared(work, line, same_as=same_as, calls=Calls(), own=own)

    def shared(self, work: Work, line: bytes, *, same_as: str | None, calls: Calls, own: str | None = None) -> bytes:
        """Return the line of an item that shows the picture of another, whose `line` gives its search, hits and task.

        `same_as` is the item that the task was created for; None when that is this item itself. `own` is as in `twin`.
        """
        first = decode(line, Record)
        head = Record(
            schema=SCHEMA,
            job=self.spec.name,
            item=work.item.id,
            status=first.status,
            vendor=first.vendor,
            rehearsal=first.rehearsal,
            tool=__version__,
            spec_sha256=self.spec_sha256,
            image=shared_image(work, first.image, own),
            search=first.search,
            task=first.task,
            calls=calls,
            same_as=same_as,
            reused_from=first.reused_from,
            hits_lost=first.hits_lost,
            remark=first.remark,
            details=first.details,
            designs=first.designs,
            comparisons=first.comparisons,
            report=first.report,
            line_drawing=first.line_drawing,
        )
        return _encode(head, bytes(first.hits))

    def _line(
        self, work: Work, state: State, hits: Hits, task: TaskPart | None, details: Details | None = None
    ) -> Spliced:
        search = None if self.spec.submits and not hits.scores else self.search(hits)  # a submit's come with its report
        head = self._head(work, state, search=search, task=task, error=None)
        array = self.kept(hits)
        return spliced(_detailed(head, details), array, hits.crc if array is hits.array else crc32(array))

    def kept(self, hits: Hits) -> bytes:
        limit = self.spec.output.hits
        return kept(hits, None if limit == "all" else limit)

    def _task(self, choice: Choice, task: Task) -> TaskPart:
        return TaskPart(
            task_id=task.task_id,
            report_lang=self.spec.task.report_lang,
            country=self.spec.task.country,
            hits=choice.count,
            hits_dropped=choice.dropped,
            at=iso(task.at),
            expires_at=iso(task.expires_at),
        )

    def search(self, hits: Hits) -> SearchPart:
        paging = paging_of(hits)
        return SearchPart(
            endpoint=hits.endpoint or self.spec.search.endpoint,
            params=dict(hits.params) if hits.endpoint else self.spec.search.params,
            request_id=hits.request_id,
            total=hits.total,
            hits=len(hits.scores),
            last_score=hits.scores[-1] if hits.scores else None,
            truncated=hits.total > (len(hits.scores) if paging is None else paging.seen),
            at=iso(hits.at),
            expires_at=iso(hits.expires_at),
            **paged(paging),
        )

    def _head(
        self, work: Work, state: State, *, search: SearchPart | None, task: TaskPart | None, error: Problem | None
    ) -> Record:
        url = (work.upload.url if work.upload else None) if work.item.local else work.item.source
        return Record(
            schema=SCHEMA,
            job=self.spec.name,
            item=work.item.id,
            status=state.word,
            vendor=self.spec.vendor,
            rehearsal=self.spec.rehearsal,
            tool=__version__,
            spec_sha256=self.spec_sha256,
            image=image_of(work, url),
            search=search,
            task=task,
            calls=work.calls,
            error=error,
            reused_from=reused_part(work, task.task_id if task else None),
        )


def _detailed(head: Record, details: Details | None) -> Record:
    if details is None:
        return head
    patents = details.patents if isinstance(details.patents, str) else dict(details.patents)
    return msgspec.structs.replace(head, details=patents, designs=details.designs)


def _encode(head: Record, hits: bytes) -> bytes:
    return bytes(spliced(head, hits, crc32(hits)))


def spliced(head: Record, hits: bytes, hits_crc: int) -> Spliced:
    """Encode the record without its hits; they follow as its last field."""
    return Spliced(b"".join((msgspec.json.encode(head)[:-1], b',"hits":')), hits, hits_crc)
