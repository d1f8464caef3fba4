"""How items enter the journal: once by id, once by picture."""

import zlib
from typing import Any

import pytest

from pipeline.journal.sql import changes, items, waiting
from pipeline.journal.sql.admission import admit, close_admission
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Line
from pipeline.journal.sql.twins import source_key
from pipeline.models import Admitted, Calls, Item, PictureChange, Problem, State, Upload
from tests.support.fakes import NOW, item

REFUSED = Problem("search", "68300004", "no", "fail", False)
BAD_ROW = Problem("read", "bad_row", "list.csv:2: no url", "fail", False)
OTHER = "https://cdn.example/other.jpg"


def enter(db: Database, *batch: Item, generation: int = 1, accept: bool = False) -> Admitted:
    """One whole reading of a job that lists these items."""
    admitted = admit(db, batch, generation=generation, accept_changes=accept)
    close_admission(db, generation, "print")
    return admitted


def rows(db: Database, columns: str) -> list[Any]:
    return db.do(f"SELECT {columns} FROM items ORDER BY ord").fetchall()


def workable(db: Database, generation: int) -> list[str]:
    """The ids that are worked on; the others of the same pictures follow them."""
    return [w.work.item.id for w in waiting.batch(db, State.PENDING, after=0, limit=99, generation=generation)]


def twins(db: Database, generation: int) -> dict[str, int]:
    return {work.item.id: first for work, first in waiting.twins(db, after=0, limit=99, generation=generation)}


def settle(db: Database, ord_: int, *, seq: int = 0) -> None:
    changes.settle(db, ord_, State.NO_HITS, line=Line(seq, seq, 1, 0), calls=Calls(0, 1, 0), task=None)


def pay(db: Database, ord_: int) -> None:
    """A search was sent for it, and failed for good."""
    changes.leave_open(db, ord_, State.FAILED, REFUSED, calls=Calls(0, 1, 0))


def test_new_items_wait_in_the_jobs_order(db: Database) -> None:
    assert enter(db, item(2), item(1)) == Admitted(2, 0, 0, ())
    assert rows(db, "id, state, generation, same_as") == [("SKU-2", 0, 1, None), ("SKU-1", 0, 1, None)]


def test_repeated_row_is_counted_and_not_worked_on_again(db: Database) -> None:
    assert enter(db, item(1), item(1, origin="list.csv:9")) == Admitted(1, 0, 1, ())
    assert rows(db, "id, origin") == [("SKU-1", "images[1]")]


@pytest.mark.parametrize("batches", [1, 2], ids=["one-batch", "two-batches"])
def test_id_of_two_pictures_is_a_failed_item_that_names_both_places(batches: int, db: Database) -> None:
    first, second = item(1, origin="list.csv:2"), item(1, origin="list.csv:7", source=OTHER)
    if batches == 1:
        assert enter(db, first, second) == Admitted(2, 1, 0, ())
    else:
        enter(db, first)
        assert enter(db, second) == Admitted(1, 1, 0, ())
    assert workable(db, 1) == ["SKU-1"]
    ((work, state, problem),) = items.open_items(db, after=0, limit=9)
    assert (work.item.id, work.item.source, state) == ("list.csv:7 SKU-1", OTHER, State.FAILED)
    assert (problem.code, problem.retryable) == ("id_twice", False)
    assert "list.csv:7" in problem.message
    assert "list.csv:2" in problem.message


def test_id_of_two_pictures_stays_listed_when_the_job_is_read_again(db: Database) -> None:
    clash = item(1, origin="list.csv:7", source=OTHER)
    enter(db, item(1), clash)
    assert enter(db, item(1), clash, item(2), generation=2) == Admitted(1, 0, 0, ())
    assert items.counts(db, generation=2) == {State.PENDING: 2, State.FAILED: 1}


def test_long_ids_that_clash_stay_within_an_ids_length(db: Database) -> None:
    long = "x" * 128
    enter(db, item(1, id=long), item(2, id=long))
    assert [len(id_) for (id_,) in rows(db, "id")] == [128, 128]


def test_local_file_and_url_of_the_same_text_are_two_pictures(db: Database) -> None:
    enter(db, item(1, source="a.jpg", local=True), item(2, source="a.jpg", local=False))
    assert workable(db, 1) == ["SKU-1", "SKU-2"]


def test_known_items_take_new_labels_and_places_and_keep_their_state(db: Database) -> None:
    enter(db, item(1))
    settle(db, 1)
    moved = item(1, origin="list.csv:5", labels={"client": "acme"})
    assert enter(db, moved, generation=2) == Admitted(0, 0, 0, ())
    assert rows(db, "state, origin, labels, generation") == [(11, "list.csv:5", '{"client":"acme"}', 2)]


def test_other_picture_behind_a_known_id_is_refused_and_the_old_one_kept(db: Database) -> None:
    enter(db, item(1), item(2))
    changed = item(1, source=OTHER)
    assert enter(db, changed, item(2), generation=2).changes == (PictureChange("SKU-1", item(1).source, OTHER),)
    assert rows(db, "source") == [(item(1).source,), (item(2).source,)]


def test_accepted_change_replaces_the_picture_of_an_item_not_yet_paid(db: Database) -> None:
    enter(db, item(1), item(2))
    assert enter(db, item(1, source=OTHER), item(2), generation=2, accept=True) == Admitted(0, 0, 0, ())
    assert rows(db, "source, state, generation") == [(OTHER, 0, 2), (item(2).source, 0, 2)]


PAID = {
    "searched": lambda db: changes.put_back(db, 1, calls=Calls(0, 1, 0), hits=None),
    "uploaded": lambda db: (
        changes.uploaded(db, 1, Upload("https://up.example", NOW), "ab"),
        changes.put_back(db, 1, calls=Calls(1, 0, 0), hits=None),
    ),
    "settled": lambda db: settle(db, 1),
    "in doubt": lambda db: (
        changes.intend(db, 1, request_id="r", at=NOW, calls=Calls(0, 1, 1), hits=None),
        changes.leave_open(db, 1, State.IN_DOUBT, REFUSED, calls=Calls(0, 1, 1)),
    ),
}


@pytest.mark.parametrize("paid", PAID)
@pytest.mark.parametrize("accept", [False, True], ids=["refused", "accepted"])
def test_picture_that_was_paid_for_is_never_replaced(paid: str, accept: bool, db: Database) -> None:
    enter(db, item(1))
    PAID[paid](db)
    before = rows(db, "source, state, calls")
    admitted = enter(db, item(1, source=OTHER), generation=2, accept=accept)
    assert rows(db, "source, state, calls") == before
    assert admitted.changes == (PictureChange("SKU-1", item(1).source, OTHER),)
    # With a yes the item stays in the job as it was paid; without, the whole reading is refused.
    assert (sum(items.counts(db, generation=2).values()) == 1) is accept


def test_refused_item_that_shows_another_picture_now_is_worked_on(db: Database) -> None:
    """Nothing came of the refused call, so the corrected picture takes its place; what was spent is not forgotten."""
    enter(db, item(1))
    pay(db, 1)
    admitted = enter(db, item(1, source=OTHER), generation=2)
    assert rows(db, "source, state") == [(OTHER, int(State.PENDING))]
    assert admitted.changes == ()
    assert '"search":1' in rows(db, "calls")[0][0]


def test_second_item_of_a_picture_waits_for_the_first(db: Database) -> None:
    same = item(1).source
    enter(db, item(1), item(2), item(3, source=same), item(4, source=same))
    assert workable(db, 1) == ["SKU-1", "SKU-2"]
    assert twins(db, 1) == {"SKU-3": 1, "SKU-4": 1}


def test_pictures_whose_checksums_collide_are_not_taken_for_the_same(db: Database) -> None:
    one, other = b"plumless", b"buckeroo"  # the classic pair
    assert zlib.crc32(one) == zlib.crc32(other)
    enter(db, item(1, source=one.decode()), item(2, source=other.decode()))
    assert workable(db, 1) == ["SKU-1", "SKU-2"]


@pytest.mark.parametrize("settled", [False, True], ids=["open", "settled"])
def test_item_takes_over_from_one_of_the_same_picture_that_is_no_longer_listed(settled: bool, db: Database) -> None:
    """Unless that one is settled: then what it paid for is shared."""
    same = item(1).source
    enter(db, item(1), item(2, source=same), item(3, source=same))
    if settled:
        settle(db, 1)
    enter(db, item(2, source=same), item(3, source=same), generation=2)
    if settled:
        assert (workable(db, 2), twins(db, 2)) == ([], {"SKU-2": 1, "SKU-3": 1})
    else:
        assert (workable(db, 2), twins(db, 2)) == (["SKU-2"], {"SKU-3": 2})


def test_item_takes_over_from_one_that_failed_and_is_no_longer_listed(db: Database) -> None:
    same = item(1).source
    enter(db, item(1), item(2, source=same))
    pay(db, 1)
    enter(db, item(2, source=same), generation=2)
    assert (workable(db, 2), twins(db, 2)) == (["SKU-2"], {})


def test_item_does_not_take_over_from_one_in_doubt(db: Database) -> None:
    """The create may exist: only a person may decide that the picture is paid once more."""
    same = item(1).source
    enter(db, item(1), item(2, source=same))
    changes.intend(db, 1, request_id="r", at=NOW, calls=Calls(0, 1, 1), hits=None)
    changes.leave_open(db, 1, State.IN_DOUBT, REFUSED, calls=Calls(0, 1, 1))
    enter(db, item(2, source=same), generation=2)
    assert (workable(db, 2), twins(db, 2)) == ([], {"SKU-2": 1})


def test_item_takes_over_when_the_first_shows_another_picture_now(db: Database) -> None:
    same = item(1).source
    enter(db, item(1), item(2, source=same), item(3, source=same))
    now = (item(1, source=OTHER), item(2, source=same), item(3, source=same))
    enter(db, *now, generation=2, accept=True)
    assert (workable(db, 2), twins(db, 2)) == (["SKU-1", "SKU-2"], {"SKU-3": 2})


def test_items_that_swap_their_pictures_are_both_worked_on(db: Database) -> None:
    enter(db, item(1), item(2))
    swapped = (item(1, source=item(2).source), item(2, source=item(1).source))
    enter(db, *swapped, generation=2, accept=True)
    assert (workable(db, 2), twins(db, 2)) == (["SKU-1", "SKU-2"], {})


def test_changed_item_shares_the_picture_it_shows_now(db: Database) -> None:
    enter(db, item(1), item(2))
    enter(db, item(1), item(2, source=item(1).source), generation=2, accept=True)
    assert (workable(db, 2), twins(db, 2)) == (["SKU-1"], {"SKU-2": 1})


def test_row_that_could_not_be_read_is_read_anew(db: Database) -> None:
    assert enter(db, item(1, problem=BAD_ROW)) == Admitted(1, 1, 0, ())
    assert enter(db, item(1), generation=2) == Admitted(0, 0, 0, ())
    assert rows(db, "state, problem, generation") == [(0, None, 2)]


def test_row_that_still_cannot_be_read_says_so_anew(db: Database) -> None:
    enter(db, item(1, problem=BAD_ROW))
    now = Problem("read", "bad_row", "list.csv:3: no url", "fail", False)
    enter(db, item(1, problem=now), generation=2)
    ((_, state, problem),) = items.open_items(db, after=0, limit=9)
    assert (state, problem) == (State.FAILED, now)


def test_item_that_failed_before_any_call_is_worked_on_when_read_anew(db: Database) -> None:
    """Refused before anything was sent (a token that nobody gives, say): it is not its own twin."""
    enter(db, item(1))
    changes.leave_open(db, 1, State.FAILED, REFUSED, calls=Calls())
    enter(db, item(1), item(2), generation=2)
    assert (workable(db, 2), twins(db, 2)) == (["SKU-1", "SKU-2"], {})


def test_rows_without_a_usable_picture_are_nobodys_first(db: Database) -> None:
    bad = {"source": "", "problem": BAD_ROW}
    enter(db, item(1, **bad), item(2, **bad), item(3, source=""))
    assert rows(db, "same_as") == [(None,), (None,), (None,)]


def test_removed_items_stay_as_they_are(db: Database) -> None:
    enter(db, item(1), item(2))
    settle(db, 1)
    assert enter(db, item(3), generation=2) == Admitted(1, 0, 0, ())
    assert rows(db, "id, state, generation") == [("SKU-1", 11, 1), ("SKU-2", 0, 1), ("SKU-3", 0, 2)]
    assert workable(db, 2) == ["SKU-3"]


def test_file_name_that_is_no_text_is_one_item_however_often_it_is_read(db: Database) -> None:
    odd = item(1, source="caf\udce9.jpg", local=True)
    assert enter(db, odd) == Admitted(1, 0, 0, ())
    assert enter(db, odd, generation=2) == Admitted(0, 0, 0, ())
    assert rows(db, "source") == [("caf?.jpg",)]


def test_names_that_are_no_text_and_look_alike_in_the_journal_are_not_taken_for_one_another(db: Database) -> None:
    """The first row is of an earlier version, which knew it by its name alone."""
    one, other = "a\udcff.jpg", "a\udcfe.jpg"
    enter(db, item(1, source=one, local=True))
    settle(db, 1)
    db.do("UPDATE items SET picture = NULL, source_key = ?", (source_key(one),))
    enter(db, item(2, source=one, local=True), item(3, source=other, local=True), generation=2)
    assert rows(db, "source, same_as") == [("a?.jpg", None), ("a?.jpg", 1), ("a?.jpg", None)]


# --- identities ---


def copy(number: int, digest: str = "aa", **changes: Any) -> Item:
    return item(number, **{"source": f"{number}.jpg", "local": True, "picture": f"sha256:{digest}"} | changes)


def test_copies_of_one_picture_wait_for_the_first(db: Database) -> None:
    enter(db, copy(1), copy(2), copy(3, "bb"))
    assert rows(db, "same_as") == [(None,), (1,), (None,)]


def test_unpaid_item_whose_file_changed_is_known_by_its_new_bytes(db: Database) -> None:
    enter(db, copy(1), copy(2), copy(3, "bb"))
    enter(db, copy(1), copy(2, "bb"), copy(3, "bb"), generation=2)
    assert rows(db, "same_as") == [(None,), (3,), (None,)]


def test_rows_of_an_earlier_version_are_known_by_what_was_sent_for_them(db: Database) -> None:
    enter(db, item(1, source="1.jpg", local=True), item(2, source="2.jpg", local=True))
    changes.uploaded(db, 1, Upload("https://up.example", NOW), "aa")
    settle(db, 1)
    db.do("UPDATE items SET picture = NULL")
    enter(db, copy(1, "bb"), copy(2, "aa"), copy(3, "bb"), generation=2)
    assert rows(db, "picture, same_as") == [("sha256:aa", None), ("sha256:aa", 1), ("sha256:bb", None)]
