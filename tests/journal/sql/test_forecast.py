"""Readings for people before the next run."""

from pipeline.journal.sql.database import Database
from pipeline.journal.sql.forecast import to_work_on
from pipeline.models import State
from tests.support.fakes import NOW
from tests.support.journal_rows import put

P, S = State.PENDING, State.SEARCHED


def ids(db: Database) -> list[int]:
    return [one.ord for one in to_work_on(db, generation=1, now=NOW)]


def test_items_come_as_a_run_takes_them_what_is_paid_by_its_expiry_then_the_rest(db: Database) -> None:
    put(db, 1)
    put(db, 2, S, segment=1, search=f'{{"at": {NOW - 60}}}')
    put(db, 3, S, segment=1, search=f'{{"at": {NOW - 120}}}')
    put(db, 4, local=1, url="u", url_expires=NOW + 7200)
    put(db, 5, local=1, url="u", url_expires=NOW + 3600)
    put(db, 6, local=1, url="u", url_expires=NOW + 60)
    put(db, 7, S, segment=1, search=f'{{"at": {NOW - 9 * 3600}}}')
    assert ids(db) == [3, 2, 5, 4, 1, 6, 7]


def test_nothing_is_to_be_done_for_twins_settled_open_and_unlisted_items(db: Database) -> None:
    put(db, 1, same_as=9)
    put(db, 2, generation=0)
    for number, state in enumerate((*State,), start=3):
        if state not in (P, S):
            put(db, number, state)
    assert ids(db) == []
