"""The parts of a record: the search with its pages, the task."""

from typing import Any

import msgspec

from pipeline.models import Task
from pipeline.paging import Paging
from pipeline.reports import TaskNote
from pipeline.system.clock import iso


class PagePart(msgspec.Struct, frozen=True):
    """One page of a search."""

    offset: int  # places before it in the vendor's order
    hits: int  # on it, also those that were on an earlier page
    request_id: str
    at: str  # when the answer came, ISO 8601 in UTC


class SearchPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """The search of an item; of one with several pages `request_id`, `at` and `expires_at` are those of the first."""

    endpoint: str  # as the job names it
    params: dict[str, Any]  # sent with it
    request_id: str  # sent with the call, for questions to the vendor
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

    task_id: str  # the vendor's
    report_lang: str
    country: list[str] | None  # the countries that it was asked for
    hits: int  # in the task
    hits_dropped: int  # left out because a required field is missing
    at: str  # when the answer came, ISO 8601 in UTC
    expires_at: str  # the vendor keeps the task until then


def noted_task(task: Task, note: TaskNote) -> TaskPart:
    """Return the task of an item as it was noted when it was paid."""
    times = (iso(task.at), iso(task.expires_at))
    return TaskPart(task.task_id, note.report_lang, note.country, note.hits, note.hits_dropped, *times)


def paged(paging: Paging | None) -> dict[str, Any]:
    """Return what a search of several pages says besides; nothing of a search of one."""
    if paging is None:
        return {}
    pages = [PagePart(page.offset, page.hits, page.request_id, iso(page.at)) for page in paging.pages]
    return {"depth": paging.end - paging.pages[0].offset, "pages": pages, "ranks": list(paging.ranks)}
