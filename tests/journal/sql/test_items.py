"""Items as they stand: counted, and the open ones."""

from pipeline.journal.sql import changes, items
from pipeline.journal.sql.database import Database
from pipeline.models import Calls, State
from tests.support.journal_rows import PAID, PASSING, REFUSED, put

P, S, TASKED, FAILED = State.PENDING, State.SEARCHED, State.TASKED, State.FAILED


def test_counts_are_per_state_and_per_generation(db: Database) -> None:
    for number, state in enumerate((P, P, S, TASKED, FAILED), start=1):
        put(db, number, state)
    db.do("UPDATE items SET generation = 2 WHERE ord > 1")
    assert items.counts(db) == {P: 2, S: 1, TASKED: 1, FAILED: 1}
    assert items.counts(db, generation=2) == {P: 1, S: 1, TASKED: 1, FAILED: 1}


def test_open_items_come_in_order_with_what_is_known_of_their_search(db: Database) -> None:
    first = put(db, 1)
    put(db, 2, TASKED)
    second = put(db, 3)
    changes.leave_open(db, first, FAILED, PASSING, calls=Calls(0, 1, 0), hits=PAID)
    changes.leave_open(db, second, FAILED, REFUSED, calls=Calls())
    found = items.open_items(db, after=0, limit=10)
    assert [(work.item.id, state, problem) for work, state, problem in found] == [
        ("SKU-1", FAILED, PASSING),
        ("SKU-3", FAILED, REFUSED),
    ]
    assert (found[0][0].hits.scores, found[0][0].hits.array, found[1][0].hits) == ((0.9, 0.5), b"[]", None)
    assert [work.item.id for work, _, _ in items.open_items(db, after=first, limit=10)] == ["SKU-3"]


def test_an_unpaid_item_that_is_no_longer_listed_is_out_of_view_and_a_paid_open_one_stays(db: Database) -> None:
    unpaid, paid, doubt = (put(db, number) for number in (1, 2, 3))
    put(db, 4, TASKED)
    put(db, 5, generation=2)
    changes.leave_open(db, unpaid, FAILED, REFUSED, calls=Calls(0, 1, 0))
    changes.leave_open(db, paid, FAILED, PASSING, calls=Calls(0, 1, 0), hits=PAID)
    db.do("UPDATE items SET state = ? WHERE ord = ?", (int(State.CREATING), doubt))
    assert items.in_view(db) == ({P: 1, FAILED: 1, State.CREATING: 1}, 1)
    assert [work.item.id for work, _, _ in items.open_items(db, after=0, limit=9)] == ["SKU-2"]
