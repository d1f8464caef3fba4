"""The words of the project: states, times, counters."""

import dataclasses

import msgspec
import pytest

from pipeline import models, outcomes
from pipeline.models import OPEN, PAID, SETTLED, WAITING, Calls, Hits, Item, Kind, State, Task
from pipeline.system.clock import iso


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_795_262_400.1234, "2026-11-21T12:00:00.123Z"),
        (1_795_262_400, "2026-11-21T12:00:00.000Z"),
    ],
)
def test_times_are_written_in_utc_with_milliseconds(at: float, text: str) -> None:
    assert iso(at) == text


def test_every_state_is_settled_open_waiting_or_the_intent() -> None:
    assert sorted([*SETTLED, *OPEN, *WAITING, State.CREATING]) == sorted(State)


def test_states_keep_their_numbers_for_they_stand_in_journals() -> None:
    assert {state.name: int(state) for state in State} == {
        "PENDING": 0,
        "SEARCHED": 1,
        "CREATING": 2,
        "TASKED": 10,
        "NO_HITS": 11,
        "SEARCH_ONLY": 12,
        "REPORTED": 13,
        "FAILED": 20,
        "IN_DOUBT": 21,
        "EXPIRED": 22,
        "REPORT_PENDING": 23,
        "REPORT_FAILED": 24,
        "REPORT_LOST": 25,
    }


def test_people_and_records_call_the_states_as_the_design_does() -> None:
    assert [state.word for state in (*SETTLED, *OPEN)] == [
        "reported",
        "tasked",
        "no_hits",
        "searched",
        "failed",
        "in_doubt",
        "expired",
        "report_pending",
        "report_failed",
        "report_lost",
    ]


def test_hits_live_9_hours_and_tasks_8() -> None:
    assert Hits(b"[]", (), (), 0, "r", 100.0).expires_at == 100.0 + 9 * 3600
    assert Task("t", 100.0).expires_at == 100.0 + 8 * 3600


def test_every_paid_kind_of_call_is_counted() -> None:
    calls = Calls()
    for kind in PAID:
        calls.add(kind)
    calls.add(Kind.SEARCH, 2)
    assert calls == Calls(upload=1, search=3, create=1)


def test_what_is_said_once_is_not_changed_afterwards() -> None:
    """All but `Work`, an item on its way, and its `Calls` is frozen."""
    named = {**vars(models), **vars(outcomes)}
    kinds = [kind for kind in named.values() if dataclasses.is_dataclass(kind)]
    structs = [kind for kind in named.values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    loose = {kind.__name__ for kind in kinds if not kind.__dataclass_params__.frozen}
    assert len(kinds) + len(structs) > 10
    assert loose | {kind.__name__ for kind in structs if not kind.__struct_config__.frozen} == {"Work", "Calls"}


def test_an_item_is_the_same_whatever_was_found_out_of_its_picture() -> None:
    item = Item("a", "a.jpg", True, "m.csv:2", {"brand": "x"})
    assert item == msgspec.structs.replace(item, picture="sha256:0")
    others = {"id": "b", "source": "b.jpg", "local": False, "origin": "m.csv:3", "labels": {}}
    for name, value in others.items():
        assert item != msgspec.structs.replace(item, **{name: value})
    assert item != "a"
