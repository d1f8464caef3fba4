"""Rows of an export, made of records: one per product, or one per hit."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from heapq import nlargest
from typing import Any, NamedTuple

import msgspec

from pipeline.endpoints.details import PatentDetail
from pipeline.endpoints.patsnap.codes import TABLE, row_of_recorded
from pipeline.reports import Comparison
from pipeline.results.decisions import DECISION_WAS, NOTE_WAS, Decision
from pipeline.results.exports.columns import LABEL, Row
from pipeline.results.reading import ErrorView, RecordView
from pipeline.results.survey import is_score

Decided = Mapping[tuple[str, str], Decision]


class Hit(msgspec.Struct, gc=False):
    """Values of a hit that an export shows, of any type but the score."""

    score: float | None = None
    url: Any = None
    title: Any = None
    patent_id: Any = None
    patent_pn: Any = None
    authority: Any = None
    apdt: Any = None
    pbdt: Any = None
    loc: Any = None
    current_assignee: Any = None
    original_assignee: Any = None
    risk_level: Any = None


class Ranked(NamedTuple):
    """A hit and its place in the vendor's order, from 1."""

    vendor_place: int
    hit: Hit
    place: int = 0  # among the hits of its record, from 0


_HITS = msgspec.json.Decoder(list[Hit])


def best_hits(record: RecordView, most: int | None, *, least: float | None = None) -> list[Ranked]:
    """Return a record's hits, the highest score first: at most so many, and none below the `least` score."""
    search = record.search
    places: Iterable[int] = search.ranks if search is not None and search.ranks else itertools.count(1)
    ranked = zip(places, _hits(record), itertools.count(), strict=False)
    found = [Ranked(rank, hit, place) for rank, hit, place in ranked]
    if least is not None:
        found = [one for one in found if one.hit.score is not None and one.hit.score >= least]
    return nlargest(len(found) if most is None else most, found, key=_score)


def _score(one: Ranked) -> float:
    return -1.0 if one.hit.score is None else one.hit.score


def _hits(record: RecordView) -> list[Hit]:
    try:
        found = _HITS.decode(record.raw_hits)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # not the usual ones: each is looked at
        found = [_unusual(hit) for hit in record.hits]
    return found


def _unusual(hit: dict[str, Any]) -> Hit:
    score = hit.get("score")
    known = {name: hit.get(name) for name in Hit.__struct_fields__ if name != "score"}
    return Hit(float(score) if is_score(score) else None, **known)  # type: ignore[arg-type]


def product_row(record: RecordView, best: Ranked | None, decided: Decided, *, for_client: bool) -> Row:
    """Write a product with the most alike of its hits."""
    search, error = record.search, record.error
    row: Row = {
        **_about(record),
        "hits": None if search is None else search.hits,
        "hits_at_vendor": None if search is None else search.total,
        "reason": None if error is None else _plain(error) if for_client else error.message,
        "code": None if error is None else error.code,
        "todo": record.todo or None,
    }
    if best is not None:
        row |= _design(record, best.hit, _compared(record).get(_text(best.hit.patent_id)))
    return row | _decision(decided.get((record.item, _text(row.get("patent_pn")))))


def hit_rows(record: RecordView, hits: Iterable[Ranked], decided: Decided) -> Iterator[Row]:
    """Write hits of a product, in the order in which they are given."""
    about, compared = _about(record), _compared(record)
    for place, one in enumerate(hits, start=1):
        written = compared.get(_text(one.hit.patent_id))
        row = about | _design(record, one.hit, written)
        row |= {"place": place, "vendor_place": one.vendor_place, "patent_id": _text(one.hit.patent_id) or None}
        if written is not None:
            row |= {
                "vendor_writes_similar": written.similar or None,
                "vendor_writes_difference": written.difference or None,
                "vendor_writes_confusion": written.confusion or None,
                "vendor_writes_description": written.risk_desc or None,
                "vendor_writes_suggestion": written.suggestion or None,
            }
        yield row | _decision(decided.get((record.item, _text(row["patent_pn"]))))


def _compared(record: RecordView) -> dict[str, Comparison]:
    """Return the vendor's comparisons by patent; of several of one patent the first."""
    return {one.patent_id: one for one in reversed(record.comparisons)}


def _about(record: RecordView) -> Row:
    search, task = record.search, record.task
    vendor = f"{record.vendor} (rehearsal: drawn pictures)" if record.rehearsal else record.vendor
    row: Row = {
        "item": record.item,
        "status": record.status,
        "task_id": None if task is None else task.task_id,
        "task_expires_at": None if task is None else task.expires_at,
        "searched_at": None if search is None else search.at,
        "endpoint": None if search is None else search.endpoint,
        "source": record.image.source,
        "same_as": record.same_as,
        "vendor": vendor,
    }
    return row | {LABEL + name: value for name, value in record.image.labels.items()}


def _design(record: RecordView, hit: Hit, written: Comparison | None) -> Row:
    """Write a design: by its details where they are in, else by what the search says of it."""
    detail = record.details.get(hit.patent_id) if isinstance(hit.patent_id, str) else None
    known = detail if detail is not None and detail.known else PatentDetail()
    level = written.risk_level if written is not None and written.risk_level else _text(hit.risk_level)
    return {
        "score": hit.score,
        "patent_pn": _text(hit.patent_pn) or known.number or None,
        "title": _text(hit.title) or known.title or None,
        "owner": known.owner or _text(hit.current_assignee) or None,
        "original_owner": known.original_owner or _text(hit.original_assignee) or None,
        "legal_status": known.status or None,
        "country": known.country or _text(hit.authority) or None,
        "application_date": known.application_date or _day(hit.apdt),
        "publication_date": known.publication_date or _day(hit.pbdt),
        "grant_date": known.grant_date or None,
        "expected_end": known.expiry_estimate or None,
        "details_as_of": known.as_of or None,
        "details_missing": (detail.missing if detail is not None else record.details_state) or None,
        "locarno": "; ".join(known.loc) or _listed(hit.loc) or None,
        "vendor_writes_level": level or None,
    }


def _decision(one: Decision | None) -> Row:
    if one is None:
        return {}
    known = {"decision": one.decision, "note": one.note, "by": one.by, "at": one.at, "run": one.run}
    return {name: value or None for name, value in {**known, DECISION_WAS: one.decision, NOTE_WAS: one.note}.items()}


def _plain(error: ErrorView) -> str:
    """Say why an item is open by its code alone: a message may name other items, files and places."""
    row = row_of_recorded(error.code, TABLE)
    return "see the code" if row is None else row.text


def _text(value: object) -> str:
    """Write a vendor's value as text; "" for none."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def _listed(value: object) -> str:
    return "; ".join(map(str, value)) if isinstance(value, list) else _text(value)


def _day(value: object) -> str | None:
    """Write a day as the vendor sends it (20230102) as ISO 8601; None for anything else."""
    text = str(value)
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdecimal() and text.isascii() else None
