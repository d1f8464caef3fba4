"""Waiting items: as they were entered, in order, twins apart."""

from pipeline.journal.sql import changes, waiting
from pipeline.journal.sql.admission import admit
from pipeline.journal.sql.database import Database
from pipeline.models import Calls, State, Upload
from tests.support.fakes import NOW, item
from tests.support.journal_rows import PAID, put

P, S, FAILED = State.PENDING, State.SEARCHED, State.FAILED


def test_items_come_back_as_they_were_entered(db: Database) -> None:
    first = item(1, labels={"client": "Ünal & Söhne"}, source="a/b.jpg", local=True)
    admit(db, [first], generation=1, accept_changes=False)
    changes.uploaded(db, 1, Upload("https://up.example/1", NOW), "ab")
    (found,) = waiting.batch(db, P, after=0, limit=10, generation=1)
    assert (found.work.item, found.note, found.spool) == (first, None, None)
    assert (found.work.upload, found.work.sha256) == (Upload("https://up.example/1", NOW), "ab")


def test_paid_hits_come_back_with_their_place_in_the_spool(db: Database) -> None:
    ord_ = put(db, 1)
    changes.put_back(db, ord_, calls=Calls(0, 1, 0), hits=PAID)
    (found,) = waiting.batch(db, S, after=0, limit=10, generation=1)
    assert (found.note, found.spool, found.work.calls) == (*PAID, Calls(0, 1, 0))


def test_waiting_items_come_in_the_jobs_order_and_in_batches(db: Database) -> None:
    for number in (5, 3, 9, 1):
        put(db, number)
    put(db, 7, FAILED)
    first = waiting.batch(db, P, after=0, limit=3, generation=1)
    rest = waiting.batch(db, P, after=first[-1].work.ord, limit=3, generation=1)
    assert [w.work.item.id for w in first] == ["SKU-5", "SKU-3", "SKU-9"]
    assert [w.work.item.id for w in rest] == ["SKU-1"]


def test_items_no_longer_listed_do_not_wait(db: Database) -> None:
    put(db, 1)
    assert waiting.batch(db, P, after=0, limit=10, generation=2) == []


def test_twins_wait_apart_and_name_the_item_they_share_with(db: Database) -> None:
    admit(db, [item(1), item(2), item(3, source=item(1).source)], generation=1, accept_changes=False)
    assert [w.work.item.id for w in waiting.batch(db, P, after=0, limit=10, generation=1)] == ["SKU-1", "SKU-2"]
    assert [(work.item.id, first) for work, first in waiting.twins(db, after=0, limit=10, generation=1)] == [
        ("SKU-3", 1)
    ]
    assert waiting.twins(db, after=3, limit=10, generation=1) == []
