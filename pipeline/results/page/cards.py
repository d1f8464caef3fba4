"""Cards: the part of a record that the template shows, every text tidied and every link checked."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from pipeline.reports import DRAWINGS
from pipeline.results.page.entries import Entry, Hit, entry_of
from pipeline.results.page.owners import Owner, about_details, owner_of
from pipeline.results.page.text import picture_link, secured, tidy, web_link
from pipeline.results.page.thumbs import Thumbnails
from pipeline.results.page.vendor_report import ReportCard, report_card
from pipeline.results.page.words import STATUSES, Status, beyond, found, task_note
from pipeline.results.reading import ErrorView, RecordView
from pipeline.views import views_of

_DRAWING = re.compile(rf"{DRAWINGS}/[0-9a-f]{{64}}\.(png|jpg)")
MAX_LABELS = 12
MAX_ID = 128
MAX_TITLE = 160
MAX_MESSAGE = 1000


class Picture(NamedTuple):
    """A picture of a product or of a hit."""

    src: str  # a data: URI or an https URL; empty when there is nothing to show
    remote: bool  # True when `src` is a URL that the browser loads
    link: str  # leads to the picture on the web; empty when nothing may lead there
    alt: str


class HitCard(NamedTuple):
    """A hit."""

    picture: Picture
    score: str  # 0 to 1 with four decimals; empty without a score
    percent: str  # the length of its bar; empty without a score
    number: str  # of the patent
    title: str
    owner: Owner
    rank: str  # its place in the vendor's order; empty where the hits are shown in that order


class TaskCard(NamedTuple):
    """The task of an item."""

    id: str
    note: str
    drawing: str = ""  # the file of the vendor's line drawing, beside the page; empty where there is none


class ProblemCard(NamedTuple):
    """The problem of an open item."""

    message: str  # a sentence: what is wrong
    todo: str  # a sentence or two: what to do about it
    facts: list[tuple[str, str]]  # names and values that the vendor's support asks for


@dataclass(frozen=True, slots=True)
class Card:
    """One item as the page shows it."""

    item: str
    status: str
    words: Status
    picture: Picture
    views: list[Picture]  # of several, those after the first
    source: str
    labels: list[tuple[str, str]]
    more_labels: int
    found: str
    beyond: str
    details: str
    same_as: str
    task: TaskCard | None
    problem: ProblemCard | None
    report: ReportCard | None
    hits: list[HitCard]


def card(entry: Entry, thumbs: Thumbnails) -> Card:
    """Build the card of one item, with its pictures."""
    record, image = entry.record, entry.record.image
    item = _name(record)
    labels = [(tidy(key, 40), tidy(value, 80)) for key, value in image.labels.items()]
    return Card(
        item=item,
        status=record.status,
        words=STATUSES[record.status],
        picture=_picture(views_of(image.source)[0], thumbs, alt=f"Product picture of {item}", sha256=image.sha256),
        views=[
            _picture(view.source, thumbs, alt=f"View {number} of {item}", sha256=view.sha256)
            for number, view in enumerate(image.views[1:], start=2)
        ],
        source=tidy(image.source, 300),
        labels=labels[:MAX_LABELS],
        more_labels=max(0, len(labels) - MAX_LABELS),
        found=found(entry),
        beyond=beyond(record.search),
        details=about_details(record),
        same_as=tidy(record.same_as, MAX_ID),
        task=TaskCard(tidy(record.task.task_id, 80), task_note(record.task), _drawing(record)) if record.task else None,
        problem=_problem(record.todo, record.error) if record.error else None,
        report=report_card(record),
        hits=[_hit(hit, thumbs, owner_of(hit, entry.hits)) for hit in entry.hits],
    )


class Row(NamedTuple):
    """One item as a line of the list below the cards: a page of ten thousand pictures would open in no browser."""

    item: str
    status: str
    label: str
    score: str  # of its best hit; empty without one
    number: str  # of that hit's patent
    task: str


def row(record: RecordView) -> Row:
    """Build the line of one item."""
    best = next((_hit_texts(hit) for hit in entry_of(record, top=1).hits), ("", "", ""))
    task = tidy(record.task.task_id, 80) if record.task else ""
    return Row(_name(record), record.status, STATUSES[record.status].label, best[0], best[2], task)


def _name(record: RecordView) -> str:
    """Name an item. An id made from a hash says nothing to people; the picture's own name does."""
    made_up = re.fullmatch(r"[0-9a-f]{16}", record.item) is not None
    return tidy(PurePosixPath(views_of(record.image.source)[0]).name if made_up else record.item, MAX_ID)


def _drawing(record: RecordView) -> str:
    """Return the file of an item's line drawing: a name as the run gives it, and nothing else that a line may say."""
    return record.line_drawing if _DRAWING.fullmatch(record.line_drawing) else ""


def _problem(todo: str, error: ErrorView) -> ProblemCard:
    facts = {
        "Step": error.stage,
        "Code": error.code,
        "Request id": error.request_id,
        "Correlation id": error.correlation_id,
    }
    shown = [(name, tidy(value, 80)) for name, value in facts.items() if value]
    todo = todo or "`pipeline status` says what to do"  # an early version wrote none
    return ProblemCard(_sentence(tidy(error.message, MAX_MESSAGE)), _sentence(tidy(todo, MAX_MESSAGE)), shown)


def _sentence(text: str) -> str:
    text = text or "No reason was given."
    first = text[0] if "." in text.split(" ", 1)[0] else text[0].upper()  # a file's name keeps its letters
    return first + text[1:] + ("" if text[-1] in ".!?…" else ".")


def _hit(hit: Hit, thumbs: Thumbnails, owner: Owner) -> HitCard:
    score, percent, number = _hit_texts(hit)
    title = tidy(hit.title, MAX_TITLE) or "no title"
    picture = _picture(hit.url, thumbs, alt=f"Drawing of {number}, {title}", link=secured(hit.url))
    rank = f"no. {hit.rank:,} in the vendor's order" if hit.rank else ""
    return HitCard(picture, score, percent, number, title, owner, rank)


def _hit_texts(hit: Hit) -> tuple[str, str, str]:
    """Write a hit's score, the length of its bar, and its number."""
    number = tidy(hit.number, 60) or "no patent number"
    if hit.score is None:
        return "", "", number
    return f"{hit.score:.4f}", f"{100 * min(max(hit.score, 0.0), 1.0):.1f}", number


def _picture(
    source: object, thumbs: Thumbnails, *, alt: str, sha256: str | None = None, link: object = None
) -> Picture:
    if not isinstance(source, str):
        return Picture("", False, "", alt)
    link = source if link is None else link
    if uri := thumbs.uri(source, sha256):
        # A link to a host that cannot exist (the sandbox's) would only disappoint.
        return Picture(uri, False, picture_link(link), alt)
    remote = picture_link(link)
    return Picture(remote, bool(remote), remote or web_link(link), alt)
