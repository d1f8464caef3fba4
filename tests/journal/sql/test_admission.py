"""How items enter the journal: once by id, once by picture."""

import zlib
from typing import Any

import pytest

from pipeline.journal.results_file import Line
from pipeline.journal.sql.admission import Admitted, Change, admit, close_admission
from pipeline.journal.sql.database import Store
from pipeline.models import Calls, Item, Problem, State, Upload
from tests.support.fakes import NOW, item

REFUSED = Problem("search", "68300004", "no", "fail", False)
BAD_ROW = Problem("read", "bad_row", "list.csv:2: no url", "fail", False)
OTHER = "https://cdn.example/other.jpg"


def enter(store: Store, *batch: Item, generation: int = 1, accept: bool = False) -> Admitted:
    """One whole reading of a job that lists these items."""
    admitted = admit(store, batch, generation=generation, accept_changes=accept)
    close_admission(store, generation, "print")
    return admitted


def rows(store: Store, columns: str) -> list[Any]:
    return store.do(f"SELECT {columns} FROM items ORDER BY ord").fetchall()


def workable(store: Store, generation: int) -> list[str]:
    """The ids that are worked on; the others of the same pictures follow them."""
    return [w.work.item.id for w in store.waiting(State.PENDING, after=0, limit=99, generation=generation)]


def twins(store: Store, generation: int) -> dict[str, int]:
    return {work.item.id: first for work, first in store.twins(after=0, limit=99, generation=generation)}


def settle(store: Store, ord_: int, *, seq: int = 0) -> None:
    store.settle(ord_, State.NO_HITS, line=Line(seq, seq, 1, 0), calls=Calls(0, 1, 0), task=None)


def pay(store: Store, ord_: int) -> None:
    """A search was sent for it, and failed for good."""
    store.leave_open(ord_, State.FAILED, REFUSED, calls=Calls(0, 1, 0))


def test_new_items_wait_in_the_jobs_order(store: Store) -> None:
    assert enter(store, item(2), item(1)) == Admitted(2, 0, 0, ())
    assert rows(store, "id, state, generation, same_as") == [("SKU-2", 0, 1, None), ("SKU-1", 0, 1, None)]


def test_repeated_row_is_counted_and_not_worked_on_again(store: Store) -> None:
    assert enter(store, item(1), item(1, origin="list.csv:9")) == Admitted(1, 0, 1, ())
    assert rows(store, "id, origin") == [("SKU-1", "images[1]")]


@pytest.mark.parametrize("batches", [1, 2], ids=["one-batch", "two-batches"])
def test_id_of_two_pictures_is_a_failed_item_that_names_both_places(batches: int, store: Store) -> None:
    first, second = item(1, origin="list.csv:2"), item(1, origin="list.csv:7", source=OTHER)
    if batches == 1:
        assert enter(store, first, second) == Admitted(2, 1, 0, ())
    else:
        enter(store, first)
        assert enter(store, second) == Admitted(1, 1, 0, ())
    assert workable(store, 1) == ["SKU-1"]
    ((work, state, problem),) = store.open_items(after=0, limit=9)
    assert (work.item.id, work.item.source, state) == ("list.csv:7 SKU-1", OTHER, State.FAILED)
    assert (problem.code, problem.retryable) == ("id_twice", False)
    assert "list.csv:7" in problem.message
    assert "list.csv:2" in problem.message


def test_id_of_two_pictures_stays_listed_when_the_job_is_read_again(store: Store) -> None:
    clash = item(1, origin="list.csv:7", source=OTHER)
    enter(store, item(1), clash)
    assert enter(store, item(1), clash, item(2), generation=2) == Admitted(1, 0, 0, ())
    assert store.counts(generation=2) == {State.PENDING: 2, State.FAILED: 1}


def test_long_ids_that_clash_stay_within_an_ids_length(store: Store) -> None:
    long = "x" * 128
    enter(store, item(1, id=long), item(2, id=long))
    assert [len(id_) for (id_,) in rows(store, "id")] == [128, 128]


def test_local_file_and_url_of_the_same_text_are_two_pictures(store: Store) -> None:
    enter(store, item(1, source="a.jpg", local=True), item(2, source="a.jpg", local=False))
    assert workable(store, 1) == ["SKU-1", "SKU-2"]


def test_known_items_take_new_labels_and_places_and_keep_their_state(store: Store) -> None:
    enter(store, item(1))
    settle(store, 1)
    moved = item(1, origin="list.csv:5", labels={"client": "acme"})
    assert enter(store, moved, generation=2) == Admitted(0, 0, 0, ())
    assert rows(store, "state, origin, labels, generation") == [(11, "list.csv:5", '{"client":"acme"}', 2)]


def test_other_picture_behind_a_known_id_is_refused_and_the_old_one_kept(store: Store) -> None:
    enter(store, item(1), item(2))
    changed = item(1, source=OTHER)
    assert enter(store, changed, item(2), generation=2).changes == (Change("SKU-1", item(1).source, OTHER),)
    assert rows(store, "source") == [(item(1).source,), (item(2).source,)]


def test_accepted_change_replaces_the_picture_of_an_item_not_yet_paid(store: Store) -> None:
    enter(store, item(1), item(2))
    assert enter(store, item(1, source=OTHER), item(2), generation=2, accept=True) == Admitted(0, 0, 0, ())
    assert rows(store, "source, state, generation") == [(OTHER, 0, 2), (item(2).source, 0, 2)]


PAID = {
    "searched": lambda store: store.put_back(1, calls=Calls(0, 1, 0), hits=None),
    "uploaded": lambda store: (
        store.uploaded(1, Upload("https://up.example", NOW), "ab"),
        store.put_back(1, calls=Calls(1, 0, 0), hits=None),
    ),
    "settled": lambda store: settle(store, 1),
    "in doubt": lambda store: (
        store.intend(1, request_id="r", at=NOW, calls=Calls(0, 1, 1), hits=None),
        store.leave_open(1, State.IN_DOUBT, REFUSED, calls=Calls(0, 1, 1)),
    ),
}


@pytest.mark.parametrize("paid", PAID)
@pytest.mark.parametrize("accept", [False, True], ids=["refused", "accepted"])
def test_picture_that_was_paid_for_is_never_replaced(paid: str, accept: bool, store: Store) -> None:
    enter(store, item(1))
    PAID[paid](store)
    before = rows(store, "source, state, calls")
    admitted = enter(store, item(1, source=OTHER), generation=2, accept=accept)
    assert rows(store, "source, state, calls") == before
    assert admitted.changes == (Change("SKU-1", item(1).source, OTHER),)
    # With a yes the item stays in the job as it was paid; without, the whole reading is refused.
    assert (sum(store.counts(generation=2).values()) == 1) is accept


def test_refused_item_that_shows_another_picture_now_is_worked_on(store: Store) -> None:
    """Nothing came of the refused call, so the corrected picture takes its place; what was spent is not forgotten."""
    enter(store, item(1))
    pay(store, 1)
    admitted = enter(store, item(1, source=OTHER), generation=2)
    assert rows(store, "source, state") == [(OTHER, int(State.PENDING))]
    assert admitted.changes == ()
    assert '"search":1' in rows(store, "calls")[0][0]


def test_second_item_of_a_picture_waits_for_the_first(store: Store) -> None:
    same = item(1).source
    enter(store, item(1), item(2), item(3, source=same), item(4, source=same))
    assert workable(store, 1) == ["SKU-1", "SKU-2"]
    assert twins(store, 1) == {"SKU-3": 1, "SKU-4": 1}


def test_pictures_whose_checksums_collide_are_not_taken_for_the_same(store: Store) -> None:
    one, other = b"plumless", b"buckeroo"  # the classic pair
    assert zlib.crc32(one) == zlib.crc32(other)
    enter(store, item(1, source=one.decode()), item(2, source=other.decode()))
    assert workable(store, 1) == ["SKU-1", "SKU-2"]


@pytest.mark.parametrize("settled", [False, True], ids=["open", "settled"])
def test_item_takes_over_from_one_of_the_same_picture_that_is_no_longer_listed(settled: bool, store: Store) -> None:
    """Unless that one is settled: then what it paid for is shared."""
    same = item(1).source
    enter(store, item(1), item(2, source=same), item(3, source=same))
    if settled:
        settle(store, 1)
    enter(store, item(2, source=same), item(3, source=same), generation=2)
    if settled:
        assert (workable(store, 2), twins(store, 2)) == ([], {"SKU-2": 1, "SKU-3": 1})
    else:
        assert (workable(store, 2), twins(store, 2)) == (["SKU-2"], {"SKU-3": 2})


def test_item_takes_over_from_one_that_failed_and_is_no_longer_listed(store: Store) -> None:
    same = item(1).source
    enter(store, item(1), item(2, source=same))
    pay(store, 1)
    enter(store, item(2, source=same), generation=2)
    assert (workable(store, 2), twins(store, 2)) == (["SKU-2"], {})


def test_item_does_not_take_over_from_one_in_doubt(store: Store) -> None:
    """The create may exist: only a person may decide that the picture is paid once more."""
    same = item(1).source
    enter(store, item(1), item(2, source=same))
    store.intend(1, request_id="r", at=NOW, calls=Calls(0, 1, 1), hits=None)
    store.leave_open(1, State.IN_DOUBT, REFUSED, calls=Calls(0, 1, 1))
    enter(store, item(2, source=same), generation=2)
    assert (workable(store, 2), twins(store, 2)) == ([], {"SKU-2": 1})


def test_item_takes_over_when_the_first_shows_another_picture_now(store: Store) -> None:
    same = item(1).source
    enter(store, item(1), item(2, source=same), item(3, source=same))
    now = (item(1, source=OTHER), item(2, source=same), item(3, source=same))
    enter(store, *now, generation=2, accept=True)
    assert (workable(store, 2), twins(store, 2)) == (["SKU-1", "SKU-2"], {"SKU-3": 2})


def test_items_that_swap_their_pictures_are_both_worked_on(store: Store) -> None:
    enter(store, item(1), item(2))
    swapped = (item(1, source=item(2).source), item(2, source=item(1).source))
    enter(store, *swapped, generation=2, accept=True)
    assert (workable(store, 2), twins(store, 2)) == (["SKU-1", "SKU-2"], {})


def test_changed_item_shares_the_picture_it_shows_now(store: Store) -> None:
    enter(store, item(1), item(2))
    enter(store, item(1), item(2, source=item(1).source), generation=2, accept=True)
    assert (workable(store, 2), twins(store, 2)) == (["SKU-1"], {"SKU-2": 1})


def test_row_that_could_not_be_read_is_read_anew(store: Store) -> None:
    assert enter(store, item(1, problem=BAD_ROW)) == Admitted(1, 1, 0, ())
    assert enter(store, item(1), generation=2) == Admitted(0, 0, 0, ())
    assert rows(store, "state, problem, generation") == [(0, None, 2)]


def test_row_that_still_cannot_be_read_says_so_anew(store: Store) -> None:
    enter(store, item(1, problem=BAD_ROW))
    now = Problem("read", "bad_row", "list.csv:3: no url", "fail", False)
    enter(store, item(1, problem=now), generation=2)
    ((_, state, problem),) = store.open_items(after=0, limit=9)
    assert (state, problem) == (State.FAILED, now)


def test_item_that_failed_before_any_call_is_worked_on_when_read_anew(store: Store) -> None:
    """Refused before anything was sent (a token that nobody gives, say): it is not its own twin."""
    enter(store, item(1))
    store.leave_open(1, State.FAILED, REFUSED, calls=Calls())
    enter(store, item(1), item(2), generation=2)
    assert (workable(store, 2), twins(store, 2)) == (["SKU-1", "SKU-2"], {})


def test_rows_without_a_usable_picture_are_nobodys_first(store: Store) -> None:
    bad = {"source": "", "problem": BAD_ROW}
    enter(store, item(1, **bad), item(2, **bad), item(3, source=""))
    assert rows(store, "same_as") == [(None,), (None,), (None,)]


def test_removed_items_stay_as_they_are(store: Store) -> None:
    enter(store, item(1), item(2))
    settle(store, 1)
    assert enter(store, item(3), generation=2) == Admitted(1, 0, 0, ())
    assert rows(store, "id, state, generation") == [("SKU-1", 11, 1), ("SKU-2", 0, 1), ("SKU-3", 0, 2)]
    assert workable(store, 2) == ["SKU-3"]


def test_file_name_that_is_no_text_is_one_item_however_often_it_is_read(store: Store) -> None:
    odd = item(1, source="caf\udce9.jpg", local=True)
    assert enter(store, odd) == Admitted(1, 0, 0, ())
    assert enter(store, odd, generation=2) == Admitted(0, 0, 0, ())
    assert rows(store, "source") == [("caf?.jpg",)]
