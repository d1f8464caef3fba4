"""The things that a record of another run holds, read as the vendor's answers once more: hits, pages, a report."""

import hashlib
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pipeline.endpoints.interface import Answer, Endpoint, Refusal
from pipeline.endpoints.own_answers import ReportOf
from pipeline.endpoints.patsnap.similar_designs import Search
from pipeline.models import Hits, Task
from pipeline.paging import PAGE, Page, PagedHits
from pipeline.reports import DRAWINGS, Report, TaskNote, WholeReport
from pipeline.results.reading import RecordView, SearchView


def held_hits(record: RecordView, asked: Search) -> Hits | None:
    """Read the hits of a record, whose search asked what is asked now; None where they are not all there.

    Of a search of several pages they are those that the record has: see `with_further_pages`.
    """
    search = record.search
    if search is None or record.hits_lost or search.depth != (asked.depth if asked.depth > PAGE else 0):
        return None
    head = f'{{"status":true,"error_code":0,"data":{{"total_search_result_count":{search.total},"patent_messages":'
    body = head.encode() + bytes(record.raw_hits) + b"}}"
    try:
        hits = asked.read(Answer(200, body, search.request_id, _epoch(search.at)))
    except Refusal:
        return None
    if len(hits.scores) != search.hits:  # the record keeps only the first of them (output.hits)
        return None
    return _with_pages(hits, search) if isinstance(hits, PagedHits) else hits


def _with_pages(hits: PagedHits, search: SearchView) -> PagedHits | None:
    if not search.pages or len(search.ranks) != search.hits:
        return None
    pages = tuple(Page(page.offset, page.hits, page.request_id, _epoch(page.at)) for page in search.pages)
    ranks = tuple(search.ranks)
    return hits.with_paging(pages=pages, ranks=ranks, total=search.total, next_offset=None, search_id="", named_at=0.0)


def with_further_pages(hits: Hits, asked: Search, *, stopped_below: float | None) -> Hits | None:
    """Return hits of another run with the page that comes next, where it asked for fewer pages than we would.

    It asked for none behind a hit that scores below `stopped_below`; None where nobody knows that score. None where
    its search was not as deep as ours.
    """
    if not isinstance(hits, PagedHits) or asked.depth <= PAGE:
        return None if isinstance(hits, PagedHits) or asked.depth > PAGE else hits
    paging = hits.paging
    if paging.end != asked.question.end:
        return None
    if paging.next_offset is not None:
        return hits
    last, following = hits.scores[-1] if hits.scores else None, paging.pages[-1].offset + PAGE

    def is_below(least: float) -> bool:
        return paging.by_score and last is not None and last < least

    at_end = following >= paging.end or not paging.pages[-1].hits
    at_end = at_end or (paging.total is not None and following >= paging.total)
    if at_end or is_below(asked.min_score) or (stopped_below is not None and not is_below(stopped_below)):
        return hits
    return hits.with_paging(next_offset=following)


def task_of(record: RecordView) -> tuple[Task | None, TaskNote | None]:
    """Return the task of a record, and what was asked of it; None, None where it has none."""
    part = record.task
    if part is None:
        return None, None
    return Task(part.task_id, _epoch(part.at)), TaskNote(part.hits, part.hits_dropped, part.report_lang, part.country)


def held_report(record: RecordView, folder: Path, query: Endpoint[str, Report]) -> Report | None:
    """Read the report of a record as the vendor's answer; None where it is not there, or not whole.

    The drawing that it brought lies in the run directory `folder`.
    """
    raw = bytes(record.raw_report)
    if raw == b"null" or record.search is None or record.task is None:
        return None
    answer = Answer(
        200,
        b'{"status":true,"error_code":0,"data":' + raw + b"}",
        record.search.request_id,
        _epoch(record.search.at),
    )
    try:
        report = ReportOf(query, record.task.task_id).read(answer)
    except Refusal:
        return None
    if not report.is_in or (isinstance(report, WholeReport) and report.lacks_hits):
        return None
    if not isinstance(report, WholeReport) or not record.line_drawing:
        return report
    drawing = _drawing(folder, record.line_drawing)
    return None if drawing is None else replace(report, drawing=drawing)


def _drawing(folder: Path, name: str) -> bytes | None:
    """Read a drawing that is named by its digest; None where it is not there, or not what was written."""
    file = folder / DRAWINGS / Path(name).name
    try:
        data = file.read_bytes()
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == file.stem else None


def _epoch(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
