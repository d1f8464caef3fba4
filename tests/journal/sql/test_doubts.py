"""Items in doubt: what may be created once more, what uses that up, what is known of a doubt."""

from typing import Any

import pytest

from pipeline.journal.sql import doubts, items
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import packed
from pipeline.models import Calls, Problem, State
from tests.support.fakes import NOW
from tests.support.journal_rows import PAID, put

LOST = Problem("create", "no_answer", "lost", "in_doubt", False, request_id="first")


@pytest.fixture
def doubtful(db: Database) -> Database:
    """Three items in doubt, and one that failed."""
    for number in (1, 2, 3):
        put(db, number, State.IN_DOUBT, problem=packed(LOST), intent="first", intent_at=NOW)
    put(db, 4, State.FAILED, problem=packed(LOST))
    return db


def granted(db: Database, most: int | None, *, after: int = 0) -> list[str]:
    return [row.work.item.id for row in doubts.repeatable(db, after=after, generation=1, most=most)]


def state(db: Database, ord_: int) -> State:
    return items.standing(db, ord_)[1]


@pytest.mark.parametrize(
    ("most", "found"), [(0, []), (1, ["SKU-1"]), (2, ["SKU-1", "SKU-2"]), (None, ["SKU-1", "SKU-2", "SKU-3"])]
)
def test_so_many_may_be_created_once_more_and_no_others_later(
    most: int | None, found: list[str], doubtful: Database
) -> None:
    assert granted(doubtful, most) == found
    assert granted(doubtful, most) == found  # what is granted is the same items, however often it is asked
    [first] = doubts.repeatable(doubtful, after=0, generation=1, most=most)[:1] or [None]
    assert first is None or first.work.doubt == LOST


@pytest.mark.parametrize("lowered", [0, 1])
def test_what_was_granted_is_not_created_once_more_after_the_job_allows_fewer(lowered: int, doubtful: Database) -> None:
    assert granted(doubtful, 2) == ["SKU-1", "SKU-2"]
    assert granted(doubtful, lowered) == []
    assert granted(doubtful, 2) == ["SKU-1", "SKU-2"]


@pytest.mark.parametrize("most", [0, 1, 2, 9])
def test_what_the_next_run_repeats_is_foretold_and_nothing_is_reserved_for_that(most: int, doubtful: Database) -> None:
    doubtful.do("UPDATE items SET same_as = 1 WHERE ord = 2")
    told = doubts.repeated_by_itself(doubtful, most=most)
    assert doubtful.do("SELECT count(*) FROM risks").fetchone()[0] == 0
    repeated = {row.work.ord for row in doubts.repeatable(doubtful, after=0, generation=1, most=most)}
    assert told == repeated
    assert doubts.repeated_by_itself(doubtful, most=most) == repeated, "what is granted and not used is repeated, too"
    doubts.leave_all_to_person(doubtful)
    assert doubts.repeated_by_itself(doubtful, most=most) == set()


def test_retry_is_used_up_with_the_intent_and_given_back_when_the_create_was_not_executed(doubtful: Database) -> None:
    assert granted(doubtful, 1) == ["SKU-1"]
    doubts.take_up(doubtful, 1, LOST, at=NOW, risked=False)
    assert state(doubtful, 1) is State.PENDING
    doubtful.do("UPDATE items SET state = ? WHERE ord = 1", (int(State.CREATING),))
    doubts.take_up(doubtful, 1, LOST, at=NOW, risked=False)  # sent again by itself: taken up already
    assert state(doubtful, 1) is State.CREATING
    doubts.put_back(doubtful, 1, LOST, calls=Calls(), hits=PAID)
    assert (state(doubtful, 1), granted(doubtful, 1)) == (State.IN_DOUBT, ["SKU-1"])


def test_a_retry_that_was_spent_stays_so_when_a_person_has_it_tried_again_and_it_is_not_begun(
    doubtful: Database,
) -> None:
    """Else the job would create the item a third time by itself."""
    assert granted(doubtful, 1) == ["SKU-1"]
    doubts.leave_to_person(doubtful, 1)  # as the second create does
    doubts.put_back(doubtful, 1, LOST, calls=Calls(), hits=PAID)
    assert (state(doubtful, 1), granted(doubtful, 1)) == (State.IN_DOUBT, [])


@pytest.mark.parametrize("leave", [lambda db: doubts.leave_to_person(db, 1), doubts.leave_all_to_person])
def test_what_is_left_to_a_person_is_not_created_by_itself(leave: Any, doubtful: Database) -> None:
    assert granted(doubtful, 1) == ["SKU-1"]
    leave(doubtful)
    assert granted(doubtful, 1) == []
    assert granted(doubtful, None) == ["SKU-1", "SKU-2", "SKU-3"]


def test_decision_of_a_person_is_kept(doubtful: Database) -> None:
    doubts.take_up(doubtful, 2, LOST, at=NOW, risked=True)
    doubts.decide(doubtful, 3, "created", at=NOW + 1, request_id="first", task_id="task-3")
    assert doubtful.do("SELECT * FROM decisions ORDER BY at").fetchall() == [
        (NOW, 2, "retry", "first", None),
        (NOW + 1, 3, "created", "first", "task-3"),
    ]


def test_create_without_an_outcome_is_in_doubt_and_names_an_earlier_doubt(db: Database) -> None:
    put(db, 1, State.CREATING, intent="asked-1", intent_at=NOW)
    put(db, 2, State.CREATING, intent="asked-2", intent_at=NOW, problem=packed(LOST))
    put(db, 3)
    assert doubts.begin_for_unfinished(db) == 2
    (_, _, first), (_, _, second) = items.open_items(db, after=0, limit=9)
    assert (first.request_id, second.request_id) == ("asked-1", "asked-2")
    assert "an earlier create of this item is in doubt too (request first): lost" in second.message
    assert "earlier" not in first.message
    assert doubts.begin_for_unfinished(db) == 0


def test_doubts_are_listed_with_what_was_asked_and_whose_task_is_whose(doubtful: Database) -> None:
    put(doubtful, 5, State.TASKED, task_id="task-5")
    assert doubts.ids(doubtful) == ["SKU-1", "SKU-2", "SKU-3"]
    assert doubts.intent(doubtful, 1) == ("first", NOW)
    assert doubts.owners(doubtful, {"task-5", "task-6"}) == {"task-5": "SKU-5"}
    assert doubts.owners(doubtful, set()) == {}
