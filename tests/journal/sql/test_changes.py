"""Each change of an item happens where it may, in one row, or not at all."""

import sqlite3

import pytest

from pipeline.errors import JournalError
from pipeline.journal.sql import changes, items
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Line
from pipeline.models import Calls, State, Task, Upload
from tests.support.fakes import NOW
from tests.support.journal_rows import PAID, PASSING, REFUSED, put

P, S, C = State.PENDING, State.SEARCHED, State.CREATING
TASKED, NO_HITS, SEARCH_ONLY = State.TASKED, State.NO_HITS, State.SEARCH_ONLY
FAILED, IN_DOUBT, EXPIRED = State.FAILED, State.IN_DOUBT, State.EXPIRED

CHANGES = {
    "uploaded": lambda db, ord_: changes.uploaded(db, ord_, Upload("https://up.example/1", NOW), "ab"),
    "intend": lambda db, ord_: changes.intend(db, ord_, request_id="r", at=NOW, calls=Calls(), hits=None),
    "put_back": lambda db, ord_: changes.put_back(db, ord_, calls=Calls(), hits=None),
    "settle": lambda db, ord_: changes.settle(db, ord_, TASKED, line=Line(0, 0, 1, 1), calls=Calls(), task=None),
    "fail": lambda db, ord_: changes.leave_open(db, ord_, FAILED, REFUSED, calls=Calls()),
    "doubt": lambda db, ord_: changes.leave_open(db, ord_, IN_DOUBT, REFUSED, calls=Calls()),
    "requeue": lambda db, ord_: changes.requeue(db, ord_),
    "forget_hits": lambda db, ord_: changes.forget_hits(db, ord_),
}
FROM = {
    "uploaded": {P, S, IN_DOUBT},
    "intend": {P, S, C},
    "put_back": {P, S, C},
    "settle": {P, S, C, IN_DOUBT},
    "fail": {P, S, C, FAILED},
    "doubt": {C, IN_DOUBT},
    "requeue": {FAILED, EXPIRED, State.REPORT_FAILED, State.REPORT_LOST},
    "forget_hits": {P, S, FAILED, EXPIRED, IN_DOUBT},
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_happens_only_where_it_may_and_otherwise_leaves_the_row_alone(change: str, db: Database) -> None:
    for state in State:
        db.do("BEGIN")
        ord_ = put(db, 1, state)
        before = db.do("SELECT * FROM items").fetchall()
        if state in FROM[change]:
            CHANGES[change](db, ord_)
        else:
            with pytest.raises((JournalError, sqlite3.IntegrityError)):
                CHANGES[change](db, ord_)
            assert db.do("SELECT * FROM items").fetchall() == before, state
        db.do("ROLLBACK")


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_an_item_that_is_not_there_is_refused(change: str, db: Database) -> None:
    with pytest.raises(JournalError, match="refused"):
        CHANGES[change](db, 77)


def test_one_row_holds_the_whole_checkpoint(db: Database) -> None:
    """State, task id, calls and the line's place change in one UPDATE of one row: no crash comes between them."""
    ord_ = put(db, 1, C, segment=1, spooled_at=0, spooled=70)
    statements: list[str] = []
    db.connection.set_trace_callback(statements.append)
    changes.settle(db, ord_, TASKED, line=Line(4, 100, 20, 99), calls=Calls(0, 1, 1), task=Task("t-1", NOW))
    db.connection.set_trace_callback(None)
    assert len({sql for sql in statements if sql.startswith(("UPDATE", "INSERT", "DELETE"))}) == 1
    assert db.do(
        "SELECT state, task_id, task_at, seq, offset, length, crc, calls, segment, spooled_at, spooled FROM items"
    ).fetchall() == [(10, "t-1", NOW, 4, 100, 20, 99, '{"upload":0,"search":1,"create":1}', None, None, None)]
    assert items.standing(db, ord_) == ("SKU-1", TASKED, Line(4, 100, 20, 99), None)


def test_two_items_never_share_a_line(db: Database) -> None:
    first, second = put(db, 1), put(db, 2)
    changes.settle(db, first, NO_HITS, line=Line(0, 0, 5, 1), calls=Calls(), task=None)
    with pytest.raises(sqlite3.IntegrityError):
        changes.settle(db, second, NO_HITS, line=Line(0, 5, 5, 1), calls=Calls(), task=None)


def test_intents_are_numbered_and_keep_their_request(db: Database) -> None:
    ord_ = put(db, 1)
    changes.intend(db, ord_, request_id="first", at=NOW, calls=Calls(0, 1, 1), hits=PAID)
    changes.put_back(db, ord_, calls=Calls(0, 1, 0), hits=None)
    changes.intend(db, ord_, request_id="second", at=NOW + 1, calls=Calls(0, 1, 1), hits=None)
    assert db.do("SELECT state, attempt, intent, intent_at, segment FROM items").fetchall() == [
        (2, 2, "second", NOW + 1, 1)
    ]


def test_requeued_items_wait_where_their_paid_hits_allow(db: Database) -> None:
    with_hits, without = put(db, 1), put(db, 2)
    changes.leave_open(db, with_hits, FAILED, PASSING, calls=Calls(), hits=PAID)
    changes.leave_open(db, without, FAILED, PASSING, calls=Calls())
    changes.requeue(db, with_hits)
    changes.requeue(db, without)
    assert db.do("SELECT state, problem FROM items").fetchall() == [(1, None), (0, None)]
