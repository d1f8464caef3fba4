"""The names of states in SQL: each covers the states it means, and no number is spelled elsewhere."""

import re
from pathlib import Path

import pytest

import pipeline
from pipeline.journal.sql import rows
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import hits_of, note_of, state_in
from pipeline.models import OPEN, SETTLED, UNFINISHED, WAITING, State
from tests.support.fakes import NOTHING, hits
from tests.support.journal_rows import put

CONDITIONS = {
    rows.WAITING: WAITING,
    rows.SETTLED: SETTLED,
    rows.OPEN: OPEN,
    rows.UNFINISHED: UNFINISHED,
    rows.CREATING: (State.CREATING,),
    rows.FAILED: (State.FAILED,),
    rows.IN_DOUBT: (State.IN_DOUBT,),
    rows.RETRYABLE: (State.FAILED, State.EXPIRED),
}


@pytest.fixture
def one_of_each(db: Database) -> Database:
    """An item in each state, and of those with hits a second one."""
    for state in State:
        put(db, int(state), state)
        put(db, 100 + state, state, segment=1)
    return db


@pytest.mark.parametrize("condition", CONDITIONS)
def test_condition_is_true_of_its_states_alone(condition: str, one_of_each: Database) -> None:
    found = one_of_each.do(f"SELECT DISTINCT state FROM items WHERE {condition}").fetchall()
    assert {State(state) for (state,) in found} == {*CONDITIONS[condition]}


def test_every_state_is_settled_open_or_unfinished() -> None:
    assert sorted((*SETTLED, *OPEN, *UNFINISHED)) == sorted(State)


@pytest.mark.parametrize(
    ("value", "without_hits", "with_hits"),
    [
        (rows.WAITS_AGAIN, dict.fromkeys(State, State.PENDING), dict.fromkeys(State, State.SEARCHED)),
        (rows.HITS_LOST, {State.IN_DOUBT: State.IN_DOUBT}, {State.SEARCHED: State.PENDING}),
        (rows.CREATE_TAKEN_BACK, {State.CREATING: State.PENDING}, {State.CREATING: State.SEARCHED}),
    ],
)
def test_value_is_the_state_that_follows(
    value: str, without_hits: dict[State, State], with_hits: dict[State, State], one_of_each: Database
) -> None:
    after = {id_: State(state) for id_, state in one_of_each.do(f"SELECT id, {value} FROM items").fetchall()}
    assert {state: after[f"SKU-{int(state)}"] for state in without_hits} == without_hits
    assert {state: after[f"SKU-{100 + state}"] for state in with_hits} == with_hits


def test_column_of_a_condition_may_be_named() -> None:
    assert state_in((State.TASKED, State.FAILED), "first.state") == "first.state IN (10, 20)"


def test_numbers_of_states_are_spelled_nowhere_else() -> None:
    folder = Path(pipeline.__file__).parent
    spelled = re.compile(r"state (IN \(\d|<>? ?\d|>=? ?\d|<= ?\d|!= ?\d|= ?\d|WHEN \d)")
    found = [path.name for path in folder.rglob("*.py") if spelled.search(path.read_text())]
    assert found == []


@pytest.mark.parametrize("found", [hits(), NOTHING, hits(0.9, None, complete=(True, False), total=99)])
def test_hits_are_put_together_again_from_their_note_and_their_bytes(found: object) -> None:
    assert hits_of(note_of(found), found.array) == found
