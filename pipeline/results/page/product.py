"""One product as the page's script knows it: a row to find, sort and show it by, and the rest for when it is looked at.

Both are lists and objects of few letters, for a page holds ten thousand of them. `assets/data.js` names their places.
"""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from pipeline.endpoints.details import ACTIVE, INACTIVE, UNDER_EXAMINATION, PatentDetail
from pipeline.models import OPEN, SETTLED, State
from pipeline.reports import DRAWINGS
from pipeline.results import since
from pipeline.results.page.causes import Causes
from pipeline.results.page.changes import NOTHING
from pipeline.results.page.entries import Entry, Hit
from pipeline.results.page.shelf import Shelf
from pipeline.results.page.tables import Labels, Texts
from pipeline.results.page.text import secured, tidy, web_link
from pipeline.results.page.vendor_report import comparisons_of
from pipeline.results.reading import RecordView
from pipeline.results.score import ten_thousandths
from pipeline.views import views_of

STATUSES = tuple(state.word for state in (*SETTLED, *OPEN))
MAX_ID, MAX_TITLE = 128, 160
# Marks of a hit. The second and third are of a page with a run before, the last of a decision that holds no more.
IN_TASK, NEW, RISEN, COMPARED, AGAIN = 1, 2, 4, 8, 16
SHARES, REPORTED, NOT_THEN, OTHERWISE, GONE = 1, 2, 4, 8, 16  # marks of a product
_LEGAL = {ACTIVE: 1, INACTIVE: 2, UNDER_EXAMINATION: 3}
_OTHER_STATUS = 4
_DRAWING = re.compile(rf"{DRAWINGS}/[0-9a-f]{{64}}\.(png|jpg)")


@dataclass(slots=True)
class Tables:
    """The tables that the products of a page share.

    links     whether the page has links that lead out of it
    confined  whether it is one client's: nothing of it names another product
    """

    links: bool = False
    confined: bool = False
    labels: Labels = field(default_factory=Labels)
    owners: Texts = field(default_factory=Texts)  # and legal statuses that only the vendor has a word for
    texts: Texts = field(default_factory=Texts)  # of the part that is being written
    causes: Causes = field(default_factory=Causes)
    otherwise: int = 0  # products that the run before searched otherwise


class Product(NamedTuple):
    """Both parts of a product."""

    row: list[Any]
    rest: dict[str, Any]


def product_of(entry: Entry, tables: Tables, shelf: Shelf) -> Product:
    """Write one product; its pictures go to the shelf."""
    record = entry.record
    comparisons, others = comparisons_of(record, [hit.place for hit in entry.hits])
    compared = {number for number, _ in comparisons}
    return Product(_row(entry, tables, compared), _rest(entry, tables, shelf, comparisons, others))


def name_of(record: RecordView) -> str:
    """Name an item. An id made from a hash says nothing to people; the picture's own name does."""
    made_up = re.fullmatch(r"[0-9a-f]{16}", record.item) is not None
    return tidy(PurePosixPath(views_of(record.image.source)[0]).name if made_up else record.item, MAX_ID)


def best_of(entry: Entry) -> tuple[int, str, str]:
    """Return the score of an item's best hit in ten thousandths (-1 without one), its number and its owner."""
    for hit in entry.hits[:1]:
        return ten_thousandths(hit.score), number_of(hit), owner_of(hit.detail)
    return -1, "", ""


def number_of(hit: Hit) -> str:
    """Write a hit's patent number in full."""
    return tidy(hit.number, 60)


def owner_of(detail: PatentDetail | None) -> str:
    """Name a patent's owner as far as its details say it; the first owner where they do not say who has it now."""
    return "" if detail is None else tidy(detail.owner or detail.original_owner, 120)


def _row(entry: Entry, tables: Tables, compared: set[int]) -> list[Any]:
    record, search = entry.record, entry.record.search
    name = name_of(record)
    changes = entry.changes
    tables.otherwise += changes.otherwise
    row = [
        tidy(record.item, MAX_ID),
        "" if name == record.item else name,
        tidy(record.image.source, 300),
        tables.labels.numbers(record.image.labels),
        STATUSES.index(record.status),
        ten_thousandths(entry.hits[0].score) if entry.hits else -1,
        sum(page.hits for page in search.pages) or search.hits if search else -1,
        search.total if search and search.truncated else -1,
        tables.causes.number(record) if record.error is not None else -1,
        [_hit_row(hit, tables, compared=number in compared) for number, hit in enumerate(entry.hits)],
        _marks(entry, confined=tables.confined),
    ]
    return row if changes is NOTHING else [*row, changes.best_new]


def _marks(entry: Entry, *, confined: bool) -> int:
    record, changes = entry.record, entry.changes
    shares = record.same_as is not None and not confined
    compared = NOT_THEN * changes.not_then | OTHERWISE * changes.otherwise | GONE * bool(changes.gone)
    return SHARES * shares | REPORTED * (record.status == State.REPORTED.word) | compared


def _hit_row(hit: Hit, tables: Tables, *, compared: bool) -> list[Any]:
    detail, change = hit.detail, hit.change
    marks = IN_TASK * hit.in_task | COMPARED * compared | AGAIN * change.again
    marks |= NEW * (change.mark == since.NEW) | RISEN * (change.mark == since.RISEN)
    owner = tables.owners.number(owner_of(detail))
    row = [number_of(hit), ten_thousandths(hit.score), marks, owner, _year(detail), _legal(detail, tables), hit.rank]
    row += [change.before if change.mark == since.RISEN else -1, change.decided]
    while row[-1] in (0, -1) and len(row) > 3:  # most products of most runs have no details
        row.pop()
    return row


def _year(detail: PatentDetail | None) -> int:
    """Return the year in which a design was filed, or first published; 0 where nobody said it."""
    for date in (detail.application_date, detail.publication_date) if detail else ():
        if re.match(r"[12]\d{3}", date):
            return int(date[:4])
    return 0


def _legal(detail: PatentDetail | None, tables: Tables) -> int:
    """Return the number of a legal status; of one that only the vendor has a word for, that of the word."""
    if detail is None or not detail.status:
        return 0
    word = tidy(detail.status_sent or detail.status, 40)
    return _LEGAL.get(detail.status) or _OTHER_STATUS + tables.owners.number(word)


def _rest(entry: Entry, tables: Tables, shelf: Shelf, comparisons: Any, others: int) -> dict[str, Any]:
    record, image = entry.record, entry.record.image
    views = views_of(image.source)
    rest: dict[str, Any] = {
        "p": shelf.put(views[0], image.sha256, kind="product"),
        "v": [shelf.put(view.source, view.sha256) for view in image.views[1:]],
        "d": shelf.put(record.line_drawing) if _DRAWING.fullmatch(record.line_drawing) else 0,
        "h": [_hit_rest(hit, number, entry.hits, tables, shelf) for number, hit in enumerate(entry.hits)],
        "t": _task(record),
        "e": _error(record, tables),
        "c": [[place, *(tables.texts.number(text) + 1 for text in texts)] for place, texts in comparisons],
        "co": others,
        "u": web_link(views[0]) if tables.links else "",
        "at": tidy(record.search.at, 40) if record.search else "",
        "same": tidy(record.same_as, MAX_ID) if not tables.confined else "",
        "ds": tidy(record.details_state, 40),
        "n": record.designs or 0,
        "gone": record.hits_lost,
        "g": [[tidy(one.number, 60), one.score] for one in entry.changes.gone],
        "rm": tidy(record.remark, 300) if not tables.confined else "",
    }
    return {key: value for key, value in rest.items() if value}


def _hit_rest(hit: Hit, number: int, shown: list[Hit], tables: Tables, shelf: Shelf) -> dict[str, Any]:
    rest = {
        "t": tables.texts.number(tidy(hit.title, MAX_TITLE)) + 1,
        "p": shelf.put(hit.url, kind="best" if number == 0 else "hit") if isinstance(hit.url, str) else 0,
        "u": web_link(secured(hit.url)) if tables.links else "",
    }
    if hit.detail is not None:
        rest |= _detail_rest(hit.detail, tables)
        rest["same"] = _same_design(hit, shown)
    return {key: value for key, value in rest.items() if value}


def _detail_rest(detail: PatentDetail, tables: Tables) -> dict[str, Any]:
    return {
        "tc": tables.texts.number(tidy(detail.title_cn, MAX_TITLE)) + 1,
        "o": tidy(detail.original_owner, 120) if detail.original_owner != detail.owner else "",
        "first": not detail.owner and bool(detail.original_owner),
        "cc": tables.texts.number(tidy(detail.country, 40)) + 1,
        "ap": tidy(detail.application_date, 20),
        "pb": tidy(detail.publication_date, 20),
        "gr": tidy(detail.grant_date, 20),
        "pr": tidy(detail.priority_date, 20),
        "ex": tidy(detail.expiry_estimate, 20),
        "loc": tables.texts.number(", ".join(tidy(code, 20) for code in detail.loc[:6])) + 1,
        "as": tables.texts.number(tidy(detail.as_of, 40)[:10]) + 1,
        "m": tidy(detail.missing, 40),
    }


def _same_design(hit: Hit, shown: list[Hit]) -> str:
    """Return the number of the first hit of the same family that is shown before this one."""
    family = hit.detail.family if hit.detail else ""
    for other in shown if family else ():
        if other is hit:
            return ""
        if other.detail is not None and other.detail.family == family:
            return number_of(other)
    return ""


def _task(record: RecordView) -> list[Any] | None:
    task = record.task
    if task is None:
        return None
    return [tidy(task.task_id, 80), task.hits, task.hits_dropped, tidy(task.expires_at, 40)]


def _error(record: RecordView, tables: Tables) -> list[Any] | None:
    """Return what is wrong with an open item, what to do about it, and what the vendor's support asks for.

    A client's page says none of it: such sentences may name another client's product.
    """
    error = record.error
    if error is None or tables.confined:
        return None
    facts = [tidy(value, 80) for value in (error.stage, error.code, error.request_id, error.correlation_id)]
    return [tidy(error.message, 1000), tidy(record.todo or "`pipeline status` says what to do", 1000), facts]
