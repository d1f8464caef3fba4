"""Readings for people before the next run: what is left to do, what expires when, what may be tried again."""

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.reports import ASKED_FOR
from pipeline.journal.sql.rows import (
    CHANGED,
    CODE,
    NO_PICTURE,
    OF_REPORT,
    SEARCHED_AT,
    SETTLED,
    WAITING,
    noted_hits,
    state_in,
)
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, TASK_LIFE_S, Hits, State

_PAGED = "iif(json_extract(search, '$.paging.next_offset') IS NULL, NULL, search)"  # pages are to come
_HITS_AT = f"iif(segment IS NULL, NULL, {SEARCHED_AT})"


PAID_SEARCHES = "paid searches without a task"


class Expiry(NamedTuple):
    """The time at which the first of a kind of thing expires (epoch seconds), and how many do within an hour.

    changes_at   until then both stay as they are, unless the journal changes
    """

    first: float
    within_hour: int
    changes_at: float


class Standing(NamedTuple):
    """An item that a next run works on, with what is paid for it."""

    ord: int
    local: bool
    upload_expires: float | None  # of its uploaded picture; None without one
    hits_at: float | None  # when the answer to its search came; None without one
    hits: Hits | None = None  # of a search of which pages are to come, without their bytes


def to_work_on(db: Database, *, generation: int, now: float) -> Iterator[Standing]:
    """Yield the items that a next run works on, in its order: what is paid by its expiry, then the rest as listed.

    Of several items with one picture it is the one that is worked on. What failed in passing must wait again already.
    """
    rows = db.do(
        f"SELECT ord, local, url_expires, hits_at, paged FROM (SELECT ord, local, url_expires, {_HITS_AT} AS hits_at, "
        f"{_PAGED} AS paged "
        f"FROM items WHERE same_as IS NULL AND generation = ?1 AND {WAITING}) ORDER BY "
        "CASE WHEN hits_at > ?2 THEN 0 WHEN url_expires > ?3 THEN 1 ELSE 2 END, "
        "CASE WHEN hits_at > ?2 THEN hits_at WHEN url_expires > ?3 THEN url_expires ELSE ord END, ord",
        (generation, now - HITS_LIFE_S + EXPIRY_MARGIN_S, now + EXPIRY_MARGIN_S),
    )
    while (row := rows.fetchone()) is not None:
        yield Standing(row[0], bool(row[1]), row[2], row[3], None if row[4] is None else noted_hits(row[4]))


def expiries(db: Database, *, now: float) -> dict[str, Expiry]:
    """Find when things expire: paid hits without a task, uploads of items that are not settled, tasks.

    What has expired already is left out.
    """
    asked = {
        # No create is begun on hits that have less than the margin left.
        PAID_SEARCHES: (
            SEARCHED_AT,
            HITS_LIFE_S - EXPIRY_MARGIN_S,
            f"segment IS NOT NULL AND NOT {OF_REPORT}",
        ),
        "uploads": (
            "url_expires",
            -EXPIRY_MARGIN_S,
            f"local AND url IS NOT NULL AND NOT {SETTLED} AND NOT {OF_REPORT}",
        ),
        "tasks": ("task_at", TASK_LIFE_S, state_in((State.TASKED, *ASKED_FOR))),
    }
    found = {}
    for what, (column, life_s, where) in asked.items():
        first, within_hour, later = db.do(
            f"SELECT min({column}), sum({column} <= ?1), min(iif({column} > ?1, {column}, NULL)) FROM items "
            f"WHERE {where} AND {column} > ?2",
            (now - life_s + 3600, now - life_s),
        ).fetchone()
        if first is not None:
            ends = float(first) + life_s
            nears = ends if later is None else float(later) + life_s - 3600
            found[what] = Expiry(ends, int(within_hour), min(ends, nears))
    return found


class Candidate(NamedTuple):
    """An open item that a person may have tried again, and whether its search, or its upload, must be paid first."""

    ord: int
    id: str
    to_search: bool
    to_upload: bool
    source: str
    hits: Hits | None = None  # of a search of which pages are to come, without their bytes


def candidates(db: Database, state: State, *, code: str | None, limit: int | None, now: float) -> list[Candidate]:
    """Find the open items in `state` (with error `code`) that could be worked on, in the job's order.

    Left out are items that name no usable picture (they are mended where they are listed) and, of several with one
    picture, all but the one that is worked on.
    """
    rows = db.do(
        f"SELECT ord, id, {CHANGED} OR segment IS NULL OR {SEARCHED_AT} <= ?1, local AND ({CHANGED} OR "
        f"url IS NULL OR url_expires <= ?2), source, {_PAGED} FROM items "
        f"WHERE state = ?3 AND same_as IS NULL AND source_key <> {NO_PICTURE} "
        "AND generation = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'generation') "
        f"AND (?4 IS NULL OR {CODE} = ?4) ORDER BY ord LIMIT ?5",
        (now - HITS_LIFE_S + EXPIRY_MARGIN_S, now + EXPIRY_MARGIN_S, int(state), code, -1 if limit is None else limit),
    ).fetchall()
    return [
        Candidate(ord_, id_, bool(search), bool(upload), source, None if paged is None else noted_hits(paged))
        for ord_, id_, search, upload, source, paged in rows
    ]
