"""The record: the outcome of one item as one JSON line. Schema 1: fields may be added, never changed or removed.

The hits in a line are the bytes that the vendor sent, decoded and encoded by nobody. `reading` reads lines back.
"""

from dataclasses import dataclass
from typing import Any, assert_never

import msgspec

from pipeline.endpoints.details import Details, PatentDetail
from pipeline.job.schema import JobSpec
from pipeline.models import (
    Calls,
    Choice,
    Hits,
    NoHits,
    Problem,
    SearchOnly,
    Settled,
    State,
    Task,
    Tasked,
    Work,
)
from pipeline.paging import Paging, paging_of
from pipeline.results.hits import kept
from pipeline.system.checksum import crc32, joined
from pipeline.system.clock import iso
from pipeline.version import __version__

SCHEMA = 1


class ImagePart(msgspec.Struct, frozen=True):
    """The picture of an item."""

    source: str  # as the job names it: a URL, or a path relative to the job's root
    url: str | None  # where the vendor saw it; None when a local picture was not uploaded
    sha256: str | None  # of a local picture's bytes, in hex; None for a URL
    labels: dict[str, str]


class PagePart(msgspec.Struct, frozen=True):
    """One page of a search."""

    offset: int  # places before it in the vendor's order
    hits: int  # on it, also those that were on an earlier page
    request_id: str
    at: str  # when the answer came, ISO 8601 in UTC


class SearchPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """The search of an item; of one with several pages `request_id`, `at` and `expires_at` are those of the first."""

    endpoint: str
    params: dict[str, Any]
    request_id: str
    total: int  # results at the vendor
    hits: int  # of them returned
    last_score: float | None  # 0 to 1; None when the last hit has none, or there is no hit
    truncated: bool  # True when the vendor has more results than it returned
    at: str  # when the answer came, ISO 8601 in UTC
    expires_at: str  # the links in the hits work until then
    depth: int = 0  # the hits asked for, of a search of several pages
    pages: list[PagePart] = []  # of a search of several pages, those that were asked for
    ranks: list[int] = []  # of such a search, the place of each hit in the vendor's order, from 1


class TaskPart(msgspec.Struct, frozen=True):
    """The infringement task of an item."""

    task_id: str
    report_lang: str
    country: list[str] | None
    hits: int  # in the task
    hits_dropped: int  # left out because a required field is missing
    at: str  # when the answer came, ISO 8601 in UTC
    expires_at: str  # the vendor keeps the task until then


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of results.jsonl or open.jsonl; fields with a default are left out where they say nothing."""

    schema: int
    job: str
    item: str  # the item's id
    status: str  # tasked, no_hits or searched; in open.jsonl failed, in_doubt or expired
    vendor: str  # the vendor's host, or `sandbox`
    rehearsal: bool = False  # drawn pictures stood for the URLs
    tool: str  # the version of this program
    spec_sha256: str  # of spec.yaml in the run directory
    image: ImagePart
    search: SearchPart | None
    task: TaskPart | None
    calls: Calls
    error: Problem | None = None  # in open.jsonl alone
    todo: str = ""  # in open.jsonl alone: what to do about it
    same_as: str | None = None  # the item whose picture, search and task this one shares
    hits_lost: bool = False  # the hits of an open item, or of a task found by a person, are gone here
    details: dict[str, PatentDetail] | str | None = None  # of the best hits, by patent_id; a word where none is known
    designs: int | None = None  # how many different designs these are; only where families were asked for
    hits: msgspec.Raw = msgspec.Raw(b"[]")


_NO_HITS = b"[]"
_END = b"}\n"


@dataclass(frozen=True, slots=True)
class Spliced:
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

    def resolved(self, work: Work, task: Task, choice: Choice, *, hits_lost: bool) -> bytes:
        """Return the line of an item whose task a person found at the vendor.

        `work.hits` is what is known of its search; with `hits_lost` their bytes are gone.
        """
        part = self._task(choice, task)
        if work.hits is not None and not hits_lost:
            return bytes(self._line(work, State.TASKED, work.hits, part))
        search = self._search(work.hits) if work.hits else None
        head = self._head(work, State.TASKED, search=search, task=part, error=None)
        return _encode(msgspec.structs.replace(head, hits_lost=True), _NO_HITS)

    def open(self, work: Work, state: State, problem: Problem, *, hits_lost: bool = False, todo: str = "") -> bytes:
        """Return the line of an open item, with its search and the hits that are paid; with `hits_lost` these are gone.

        Whoever decides about the item looks at the hits first, so they are in the line as in that of a settled one.
        """
        search = self._search(work.hits) if work.hits else None
        head = self._head(work, state, search=search, task=None, error=problem)
        head = msgspec.structs.replace(head, todo=todo)
        if work.hits is None:
            return _encode(head, _NO_HITS)
        if hits_lost:
            return _encode(msgspec.structs.replace(head, hits_lost=True), _NO_HITS)
        return _encode(head, self._kept(work.hits))

    def twin(self, work: Work, line: bytes) -> bytes:
        """Return the line of an item whose picture is that of a settled one; `line` gives its search, hits and task."""
        return self.shared(work, line, same_as=msgspec.json.decode(line, type=Record).item, calls=Calls())

    def shared(self, work: Work, line: bytes, *, same_as: str | None, calls: Calls) -> bytes:
        """Return the line of an item that shows the picture of another, whose `line` gives its search, hits and task.

        `same_as` is the item that the task was created for; None when that is this item itself.
        """
        first = msgspec.json.decode(line, type=Record)
        head = Record(
            schema=SCHEMA,
            job=self.spec.name,
            item=work.item.id,
            status=first.status,
            vendor=first.vendor,
            rehearsal=first.rehearsal,
            tool=__version__,
            spec_sha256=self.spec_sha256,
            image=ImagePart(work.item.source, first.image.url, first.image.sha256, work.item.labels),
            search=first.search,
            task=first.task,
            calls=calls,
            same_as=same_as,
            hits_lost=first.hits_lost,
            details=first.details,
            designs=first.designs,
        )
        return _encode(head, bytes(first.hits))

    def _line(
        self, work: Work, state: State, hits: Hits, task: TaskPart | None, details: Details | None = None
    ) -> Spliced:
        head = self._head(work, state, search=self._search(hits), task=task, error=None)
        if details is not None:
            patents = details.patents if isinstance(details.patents, str) else dict(details.patents)
            head = msgspec.structs.replace(head, details=patents, designs=details.designs)
        array = self._kept(hits)
        return _spliced(head, array, hits.crc if array is hits.array else crc32(array))

    def _kept(self, hits: Hits) -> bytes:
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

    def _search(self, hits: Hits) -> SearchPart:
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
            **_paged(paging),
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
            image=ImagePart(work.item.source, url, work.sha256, work.item.labels),
            search=search,
            task=task,
            calls=work.calls,
            error=error,
        )


def _paged(paging: Paging | None) -> dict[str, Any]:
    if paging is None:
        return {}
    pages = [PagePart(page.offset, page.hits, page.request_id, iso(page.at)) for page in paging.pages]
    return {"depth": paging.end - paging.pages[0].offset, "pages": pages, "ranks": list(paging.ranks)}


def _encode(head: Record, hits: bytes) -> bytes:
    return bytes(_spliced(head, hits, crc32(hits)))


def _spliced(head: Record, hits: bytes, hits_crc: int) -> Spliced:
    """Encode the record without its hits; they follow as its last field."""
    return Spliced(b"".join((msgspec.json.encode(head)[:-1], b',"hits":')), hits, hits_crc)
