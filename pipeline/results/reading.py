"""Lines of results.jsonl and open.jsonl read back: one view of each for the page, the exports and user scripts.

Fields that a later version adds are passed over. `RecordView` is public; `records` reads whole files.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from pipeline.endpoints.details import PENDING, PatentDetail
from pipeline.models import Calls
from pipeline.reports import Comparison
from pipeline.results.late_details import LateLine

T = TypeVar("T")


class ViewView(msgspec.Struct, frozen=True):
    """One of several views of an item."""

    source: str = ""  # a URL, or a path relative to the job's root
    url: str | None = None  # where the vendor saw it
    sha256: str | None = None  # of a local picture's bytes, in hex


class ImageView(msgspec.Struct, frozen=True):
    """The picture of an item. Of one with views `url` and `sha256` are those of its first view."""

    source: str  # a URL, or a path relative to the job's root; several views as one text
    url: str | None = None  # where the vendor saw it; None when a local picture was not uploaded
    sha256: str | None = None  # of a local picture's bytes, in hex
    labels: dict[str, str] = {}
    views: list[ViewView] = []  # of an item with several, in their order


class PageView(msgspec.Struct, frozen=True):
    """One page of a search of several."""

    offset: int = 0  # places before it in the vendor's order
    hits: int = 0
    request_id: str = ""
    at: str = ""


class SearchView(msgspec.Struct, frozen=True):
    """The search of an item; times are ISO 8601 in UTC."""

    endpoint: str = ""
    params: dict[str, Any] = {}
    request_id: str = ""
    total: int = 0  # results at the vendor
    hits: int = 0  # of them returned
    last_score: float | None = None  # 0 to 1; None when the last hit has none
    truncated: bool = False  # True when the vendor has more results than it returned
    at: str = ""
    expires_at: str = ""  # the links in the hits work until then
    depth: int = 0  # the hits asked for, of a search of several pages; else 0
    pages: list[PageView] = []
    ranks: list[int] = []  # of such a search, the place of each hit in the vendor's order, from 1


class TaskView(msgspec.Struct, frozen=True):
    """The infringement task of an item; times are ISO 8601 in UTC."""

    task_id: str
    report_lang: str = ""
    country: list[str] | None = None
    hits: int = 0  # in the task
    hits_dropped: int = 0  # left out because a required field is missing
    at: str = ""
    expires_at: str = ""  # the vendor keeps the task until then


class ErrorView(msgspec.Struct, frozen=True):
    """The reason why an item is open."""

    stage: str = ""  # read, upload, search, create or report
    code: str = ""  # the vendor's, or a word of ours
    message: str = ""
    consequence: str = ""
    retryable: bool = False  # True when the next run tries it again by itself
    request_id: str | None = None
    correlation_id: str | None = None


class ReusedView(msgspec.Struct, frozen=True):
    """The item of another run directory whose search, and perhaps task, a record has."""

    run: str = ""  # the name of the run directory, beside the record's own
    item: str = ""
    task: bool = False  # whether its task is reused too
    report: bool = False  # whether that run had read the task's report; else this run asked for it, or nobody


class RecordView(msgspec.Struct, frozen=True, kw_only=True):
    """One record: the outcome of one item.

    >>> from pipeline import RecordView, read_records
    >>> def best_score(record: RecordView) -> float:
    ...     return max((hit["score"] for hit in record.hits if "score" in hit), default=0.0)
    >>> [round(best_score(record)) for record in read_records("runs/portfolio")]
    [1, 1, 1]
    """

    schema: int
    job: str = ""
    item: str  # the item's id
    status: str  # reported, tasked, no_hits or searched; in open.jsonl failed, in_doubt, expired or of a report
    vendor: str = ""  # the vendor's host, or `sandbox`
    rehearsal: bool = False  # True when a drawn picture of the sandbox stood for the picture at a URL
    tool: str = ""  # the version that wrote the record
    spec_sha256: str = ""  # of spec.yaml in the run directory
    image: ImageView
    search: SearchView | None = None
    task: TaskView | None = None
    calls: Calls = msgspec.field(default_factory=Calls)  # HTTP attempts spent on this item
    error: ErrorView | None = None  # in open.jsonl alone
    todo: str = ""  # in open.jsonl alone: what to do about it
    same_as: str | None = None  # the item whose picture, search and task this one shares
    reused_from: ReusedView | None = None  # the item of another run whose search, and perhaps task, this is
    hits_lost: bool = False  # True when the hits of an open item, or of a task that a person found, are gone
    remark: str = ""  # what is odd about the report, in a sentence: that the vendor sent no hits with it, say
    raw_details: dict[str, PatentDetail] | str | None = msgspec.field(name="details", default=None)
    designs: int | None = None  # how many different designs the hits with details are; None where nobody asked
    replaces: str = ""  # the task that brought no report, and that this record's task was paid for anew
    comparisons: list[Comparison] = []  # of the report: what the vendor writes of each patent, tied to its hit
    line_drawing: str = ""  # the vendor's drawing of the picture: a file in the run directory; "" where there is none
    raw_report: msgspec.Raw = msgspec.field(name="report", default=msgspec.Raw(b"null"))
    raw_hits: msgspec.Raw = msgspec.field(name="hits", default=msgspec.Raw(b"[]"))

    @property
    def hits(self) -> list[dict[str, Any]]:
        """Decode the hits as the vendor sent them, in its order. Raises ValueError when they are no list."""
        return [hit for hit in _decoded(_HITS, self.raw_hits) if isinstance(hit, dict)]

    @property
    def details(self) -> dict[str, PatentDetail]:
        """The details of the best hits, by `patent_id`; empty where there are none (yet), or the job wants none."""
        return self.raw_details if isinstance(self.raw_details, dict) else {}

    @property
    def details_state(self) -> str:
        """Why nothing is known of any hit: pending, not_allowed, over_budget or failed; "" otherwise."""
        return self.raw_details if isinstance(self.raw_details, str) else ""

    def with_late(self, late: Mapping[str, LateLine]) -> "RecordView":
        """Return a copy with the details that came after the record was written, if any did."""
        one = late.get(self.item) or (late.get(self.same_as) if self.same_as is not None else None)
        if one is None or (isinstance(one.details, str) and self.details_state != PENDING):
            return self
        return msgspec.structs.replace(self, raw_details=one.details, designs=one.designs)

    @property
    def report(self) -> dict[str, Any] | None:
        """Decode the report as the vendor sent it; None where there is none. Raises ValueError when it is none."""
        report: dict[str, Any] | None = _decoded(_REPORT, self.raw_report)
        return report

    def without_hits(self) -> "RecordView":
        """Return a copy that does not keep the bytes of its line in memory."""
        gone = {"raw_hits": msgspec.Raw(b"[]"), "raw_report": msgspec.Raw(b"null")}
        return msgspec.structs.replace(self, **gone)


_RECORD = msgspec.json.Decoder(RecordView)
_REPORT = msgspec.json.Decoder(dict[str, Any] | None)
_HITS = msgspec.json.Decoder(list[Any])


def read_line(line: bytes) -> RecordView:
    """Read one line. Raises ValueError when it is no record."""
    return _decoded(_RECORD, line)


def _decoded(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ValueError(str(exc)) from None
