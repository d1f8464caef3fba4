"""The counts that people check: they add up, whatever the states."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.models import OPEN, SETTLED, Kind, State
from pipeline.results.summary import RunSummary, Spent, calls_per_settled, item_counts, to_json

COUNTS = st.dictionaries(st.sampled_from(State), st.integers(0, 10**7))


@given(COUNTS, st.integers(0, 100))
def test_items_add_up(counts: dict[State, int], removed: int) -> None:
    items = item_counts(counts, removed=removed)
    assert items["all"] == sum(counts.values())
    assert items["all"] == items["settled"] + items["open"] + items["not_started"]
    assert items["settled"] == sum(items[state.word] for state in SETTLED)
    assert items["open"] == sum(items[state.word] for state in OPEN)
    assert items["removed"] == removed


@pytest.mark.parametrize("state", State, ids=lambda state: state.name.lower())
def test_every_state_is_counted_in_one_place(state: State) -> None:
    items = item_counts({state: 3})
    sums = {key: items[key] for key in ("settled", "open", "not_started")}
    place = "settled" if state in SETTLED else "open" if state in OPEN else "not_started"
    assert sums == {"settled": 0, "open": 0, "not_started": 0} | {place: 3}


@pytest.mark.parametrize(
    ("settled", "sent", "each"),
    [(10, 10, 1.0), (10, 11, 1.1), (3, 1, 0.3333), (0, 7, 7.0), (0, 0, 0.0)],
    ids=["none-wasted", "one-retry", "shared-pictures", "nothing-settled", "nothing-done"],
)
def test_calls_are_told_per_settled_item(settled: int, sent: int, each: float) -> None:
    assert calls_per_settled({"settled": settled}, {Kind.SEARCH: sent}) == {"search": each}


def summary(**changes: object) -> RunSummary:
    plain = {
        "job": "job",
        "run": "job.2",
        "vendor": "sandbox",
        "tool": "0.1.0",
        "spec_sha256": "0" * 64,
        "started_at": "2026-11-21T12:00:00.000Z",
        "finished_at": "2026-11-21T12:00:01.000Z",
        "duration_s": 1.0,
        "exit_code": 0,
        "exit_reason": "all items are settled",
        "items": item_counts({State.TASKED: 1}),
        "calls": {"search": Spent(1, 0, None)},
        "calls_this_run": {"search": 1},
        "units_billed": 1.0,
        "calls_per_settled": {"search": 1.0},
        "refused_for_speed": 0,
        "retried": 0,
        "not_looked_at": ["utility models"],
        "warnings": [],
        "results": "runs/job.2/results.jsonl",
    }
    return RunSummary(**plain | changes)


def test_summary_is_written_for_people_and_read_back() -> None:
    raw = to_json(summary())
    assert raw.endswith(b"}\n")
    assert b'\n  "schema": 1,' in raw
    assert msgspec.json.decode(raw, type=RunSummary) == summary()
    assert msgspec.json.decode(raw)["calls"] == {"search": {"sent": 1, "unknown": 0, "budget": None}}


@pytest.mark.parametrize(("code", "ok"), [(0, True), (1, False), (4, False), (130, False)])
def test_run_is_ok_when_everything_is_settled(code: int, ok: bool) -> None:
    assert summary(exit_code=code).ok is ok
