"""The columns of an export: one table for products and one for hits, which every format writes."""

import enum
from typing import NamedTuple

from pipeline.results.decisions import DECISION_WAS, NOTE_WAS


class Kind(enum.Enum):
    """The kind of a column's values."""

    TEXT = "text"
    NUMBER = "number"
    COUNT = "count"
    DAY = "day"  # ISO 8601, as 2026-11-21
    TIME = "time"  # ISO 8601 in UTC


class Column(NamedTuple):
    """One column."""

    name: str  # in files for programs
    heading: str  # in files for people
    about: str  # a phrase that says what it is
    kind: Kind = Kind.TEXT
    width: int = 14  # in a workbook, in characters
    own: bool = False  # never in a file for one client: it may speak of others, or of this machine


Value = str | int | float | None
Row = dict[str, Value]  # by the name of a column; what is missing is not known

LABEL = "label_"  # begins the names of columns of labels

_ITEM = (
    Column("item", "Item", "the product's id in your list", width=18),
    Column("status", "Status", "how far this program came with the product", width=12),
)
_PRODUCT = (
    Column("hits", "Hits", "similar designs that the search returned", Kind.COUNT, 8),
    Column("hits_at_vendor", "Hits at the vendor", "similar designs that the vendor counts in all", Kind.COUNT, 10),
)
_HIT = (
    Column("place", "Place", "the hit's place by score, 1 = the most alike", Kind.COUNT, 8),
    Column("vendor_place", "Vendor's place", "its place in the order that the vendor sent", Kind.COUNT, 10),
)
# Of an export that is compared with an earlier run.
_CHANGE = (
    Column("change", "Change", "of the hit since the run before: new, risen (by 0.02 or more) or same", width=12),
    Column("score_before", "Score before", "of the same hit in the run before", Kind.NUMBER, 9),
)
_CHANGES = (
    Column("score_new", "New score", "the highest of a hit that is new or has risen", Kind.NUMBER, 9),
    Column("hits_gone", "Hits gone", "of the five most alike in the run before, those not found any more", width=18),
)
_DESIGN = (
    Column("score", "Score", "the vendor's score of likeness, 0 to 1; exact, not rounded", Kind.NUMBER, 9),
    Column("patent_pn", "Patent number", "of the design that was found", width=18),
    Column("title", "Title", "of the design, as the vendor has it", width=28),
    Column("owner", "Owner", "who owns the design now, as far as the vendor says", width=24),
    Column("legal_status", "Legal status", "active, inactive or pending, else the vendor's own word", width=12),
    Column("country", "Country", "where the design is registered", width=9),
    Column("application_date", "Applied", "the date of application", Kind.DAY, 11),
    Column("publication_date", "Published", "the date of publication", Kind.DAY, 11),
    Column("grant_date", "Granted", "the date of grant", Kind.DAY, 11),
    Column("expected_end", "Expected end", "the vendor's estimate of the day on which it ends", Kind.DAY, 12),
    Column("details_as_of", "Details as of", "when the vendor said owner, status and dates", Kind.TIME, 16),
    Column("locarno", "Locarno", "classes of the design", width=10),
)
_FURTHER = (
    Column("patent_id", "Patent id", "the vendor's id of the design", width=16),
    Column("original_owner", "First owner", "who owned the design first", width=24),
    Column("details_missing", "No details because", "why owner, status and dates are not known", width=14),
)
_LEVEL = Column(
    "vendor_writes_level", "The vendor writes: level", "the vendor's own word in its report, quoted", width=14
)
_WRITES = (
    Column("vendor_writes_similar", "The vendor writes: similar", "from its report, quoted", width=30),
    Column("vendor_writes_difference", "The vendor writes: different", "from its report, quoted", width=30),
    Column("vendor_writes_confusion", "The vendor writes: confusion", "from its report, quoted", width=30),
    Column("vendor_writes_description", "The vendor writes: description", "from its report, quoted", width=30),
    Column("vendor_writes_suggestion", "The vendor writes: suggestion", "from its report, quoted", width=30),
)
_DECIDED = (
    Column("decision", "Decision", "yours: watch, escalate or dismiss, about this design for this product", width=12),
    Column("note", "Note", "yours", width=30),
    Column("by", "Decided by", "who decided", width=14),
    Column("at", "Decided at", "when", Kind.TIME, 16),
    Column("run", "Decided in", "the run that was looked at", width=18, own=True),
)
_OPEN = (
    Column("reason", "Reason", "why the product has no result yet", width=40),
    Column("code", "Code", "the vendor's code or a word of ours for that reason", width=12),
    Column("todo", "To do", "what to do about it", width=40, own=True),
)
_TASK = (
    Column("task_id", "Task", "the vendor's task of the product", width=16),
    Column("task_expires_at", "Task expires", "until then the vendor keeps it", Kind.TIME, 16),
)
_SEARCHED = (
    Column("searched_at", "Searched", "when the vendor answered the search", Kind.TIME, 16),
    Column("endpoint", "Endpoint", "the search that was used", width=10),
    Column("source", "Picture", "the product's picture in your list", width=30),
    Column("same_as", "Same as", "the product whose picture and task this one shares", width=18, own=True),
    Column("vendor", "Vendor", "who was asked; `sandbox` is practice on drawn designs, no patent database", width=24),
)
# What a workbook was made with, so that only what somebody changes is taken for a new decision.
REMEMBERED = (Column(DECISION_WAS, DECISION_WAS, ""), Column(NOTE_WAS, NOTE_WAS, ""))


def product_columns(labels: list[str], *, for_client: bool, compared: bool = False) -> list[Column]:
    """List the columns of a row per product: the product, and of its hits the most alike."""
    since = (*_CHANGE, *_CHANGES) if compared else ()
    found = (*_ITEM, *_labels(labels), *_PRODUCT, *since, *_DESIGN, _LEVEL, *_DECIDED, *_OPEN, *_TASK, *_SEARCHED)
    return _fit(found, for_client=for_client)


def hit_columns(labels: list[str], *, for_client: bool, compared: bool = False) -> list[Column]:
    """List the columns of a row per hit."""
    since = _CHANGE if compared else ()
    found = (
        *_ITEM,
        *_labels(labels),
        *_HIT,
        *since,
        *_DESIGN,
        *_FURTHER,
        _LEVEL,
        *_WRITES,
        *_DECIDED,
        *_TASK,
        *_SEARCHED,
    )
    return _fit(found, for_client=for_client)


def _fit(columns: tuple[Column, ...], *, for_client: bool) -> list[Column]:
    return [column for column in columns if not (for_client and column.own)]


def _labels(labels: list[str]) -> list[Column]:
    return [Column(LABEL + label, f"Label: {label}", "a label of yours", width=14) for label in labels]
