"""Readings for people before the next run: what is left to do, what expires when, what may be tried again."""

from typing import NamedTuple

from pipeline.journal.sql import items
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import IN_DOUBT, NO_PICTURE, RETRIED_BY_ITSELF, SETTLED, WAITING, state_in
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, TASK_LIFE_S, State

_SEARCHED_AT = "json_extract(search, '$.at')"


class Expiry(NamedTuple):
    """The time at which the first of a kind of thing expires (epoch seconds), and how many do within an hour."""

    first: float
    within_hour: int


def left(db: Database, *, now: float) -> dict[str, int]:
    """Count what a next run would work on: `pending` (to be searched), `searched`, and `to_upload` of them all.

    Hits and uploads that are too old by `now` count as not there.
    """
    row = db.do(
        "SELECT sum(NOT paid), sum(paid), sum(local AND NOT reachable) FROM (SELECT local, "
        "segment IS NOT NULL AND json_extract(search, '$.at') > ?1 AS paid, "
        "coalesce(url_expires > ?2, 0) AS reachable FROM items "
        f"WHERE same_as IS NULL AND generation = (SELECT max(generation) FROM items) "
        f"AND ({WAITING} OR {RETRIED_BY_ITSELF}))",
        (now - HITS_LIFE_S + EXPIRY_MARGIN_S, now + EXPIRY_MARGIN_S),
    ).fetchone()
    return dict(zip(("pending", "searched", "to_upload"), (int(value or 0) for value in row), strict=True))


def expiries(db: Database, *, now: float) -> dict[str, Expiry]:
    """Find when things expire: paid hits without a task, uploads of items that are not settled, tasks.

    What has expired already is left out.
    """
    asked = {
        # No create is begun on hits that have less than the margin left.
        "paid searches without a task": (_SEARCHED_AT, HITS_LIFE_S - EXPIRY_MARGIN_S, "segment IS NOT NULL"),
        "uploads": ("url_expires", -EXPIRY_MARGIN_S, f"local AND url IS NOT NULL AND NOT {SETTLED}"),
        "tasks": ("task_at", TASK_LIFE_S, state_in((State.TASKED,))),
    }
    found = {}
    for what, (column, life_s, where) in asked.items():
        first, within_hour = db.do(
            f"SELECT min({column}), sum({column} <= ?) FROM items WHERE {where} AND {column} > ?",
            (now - life_s + 3600, now - life_s),
        ).fetchone()
        if first is not None:
            found[what] = Expiry(float(first) + life_s, int(within_hour))
    return found


def repeatable(db: Database, *, most: int) -> int:
    """Count how many items in doubt a next run would create once more, at most."""
    if not most or not db.do("SELECT count(*) FROM sqlite_master WHERE name = 'risks'").fetchone()[0]:
        return min(most, items.counts(db).get(State.IN_DOUBT, 0))
    spent, granted = db.do(
        f"SELECT coalesce(sum(spent AND {IN_DOUBT}), 0), count(*) FROM risks JOIN items USING (ord)"
    ).fetchone()
    unspent = db.do(f"SELECT count(*) FROM risks JOIN items USING (ord) WHERE NOT spent AND {IN_DOUBT}").fetchone()[0]
    not_asked = items.counts(db).get(State.IN_DOUBT, 0) - spent - unspent
    return int(unspent + max(0, min(not_asked, most - granted)))


class Candidate(NamedTuple):
    """An open item that a person may have tried again, and whether its search, or its upload, must be paid first."""

    ord: int
    id: str
    to_search: bool
    to_upload: bool


def candidates(db: Database, state: State, *, code: str | None, limit: int | None, now: float) -> list[Candidate]:
    """Find the open items in `state` (with error `code`) that could be worked on, in the job's order.

    Left out are items that name no usable picture (they are mended where they are listed) and, of several with one
    picture, all but the one that is worked on.
    """
    rows = db.do(
        "SELECT ord, id, segment IS NULL OR json_extract(search, '$.at') <= ?1, local AND (url IS NULL OR "
        f"url_expires <= ?2) FROM items WHERE state = ?3 AND same_as IS NULL AND source_key <> {NO_PICTURE} "
        "AND generation = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'generation') "
        "AND (?4 IS NULL OR json_extract(problem, '$.code') = ?4) ORDER BY ord LIMIT ?5",
        (now - HITS_LIFE_S + EXPIRY_MARGIN_S, now + EXPIRY_MARGIN_S, int(state), code, -1 if limit is None else limit),
    ).fetchall()
    return [Candidate(ord_, id_, bool(search), bool(upload)) for ord_, id_, search, upload in rows]
