"""The counts that people check: they add up, whatever the states."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import JournalError, PipelineError
from pipeline.models import OPEN, SETTLED, Kind, Problem, State
from pipeline.results.record import RecordLines
from pipeline.results.summary import (
    Figures,
    RunSummary,
    Said,
    Spent,
    billed,
    build_summary,
    exit_of,
    item_counts,
    said_in,
    to_json,
)
from pipeline.results.sums import in_one
from tests.support.fakes import job

COUNTS = st.dictionaries(st.sampled_from(State), st.integers(0, 10**7))


@given(COUNTS, st.integers(0, 100))
def test_items_add_up(counts: dict[State, int], removed: int) -> None:
    items = item_counts(counts, removed=removed)
    assert items["all"] == sum(counts.values())
    assert items["all"] == items["settled"] + items["open"] + items["not_started"]
    assert items["settled"] == sum(items.get(state.word, 0) for state in SETTLED)
    assert items["open"] == sum(items.get(state.word, 0) for state in OPEN)
    assert items["removed"] == removed


@pytest.mark.parametrize("state", State, ids=lambda state: state.name.lower())
def test_every_state_is_counted_in_one_place(state: State) -> None:
    items = item_counts({state: 3})
    sums = {key: items[key] for key in ("settled", "open", "not_started")}
    place = "settled" if state in SETTLED else "open" if state in OPEN else "not_started"
    assert sums == {"settled": 0, "open": 0, "not_started": 0} | {place: 3}


def figures(**changes: Any) -> Figures:
    plain: dict[str, Any] = {
        "started_at": "2026-11-21T12:00:00.000Z",
        "finished_at": "2026-11-21T12:00:01.000Z",
        "exit_code": 0,
        "exit_reason": "all items are settled",
        "items": item_counts({State.TASKED: 1}),
        "calls": {Kind.SEARCH: (16, 1)},
        "units": 1.0,
    }
    return Figures(**plain | changes)


@pytest.mark.parametrize(
    ("settled", "sent", "each"),
    [(10, 10, 1.0), (10, 11, 1.1), (3, 1, 0.3333), (0, 7, 7.0), (0, 0, 0.0)],
    ids=["none-wasted", "one-retry", "shared-pictures", "nothing-settled", "nothing-done"],
)
def test_calls_are_counted_per_settled_item(tmp_path: Path, settled: int, sent: int, each: float) -> None:
    counted = figures(items=item_counts({State.TASKED: settled}), calls={Kind.SEARCH: (sent, sent)})
    built = build_summary(tmp_path, RecordLines(job(tmp_path), "0" * 64), counted)
    assert built.calls_per_settled == {"search": each}


def test_a_summary_says_what_the_job_and_the_figures_say(tmp_path: Path) -> None:
    spec = job(tmp_path, api={"budget": {"search_calls": 20}}, search={"limit": 7})
    this_run = {"duration_s": 1.23456, "sent": {Kind.SEARCH: 3, Kind.TOKEN: 1}, "refused_for_speed": 1, "retried": 2}
    built = build_summary(tmp_path / "job.2", RecordLines(spec, "a" * 64), figures(**this_run))
    assert (built.job, built.run, built.spec_sha256) == ("job", "job.2", "a" * 64)
    assert built.results == str(tmp_path / "job.2" / "results.jsonl")
    assert built.calls == {"search": Spent(sent=1, unknown=15, budget=20)}
    assert built.calls_this_run == {"upload": 0, "search": 3, "create": 0}
    assert (built.duration_s, built.refused_for_speed, built.retried) == (1.235, 1, 2)
    assert "hits beyond the first 7" in built.not_looked_at


@pytest.mark.parametrize(
    ("counts", "ended_by", "limited", "code", "said"),
    [
        pytest.param({State.TASKED: 2}, None, False, 0, "all items are settled", id="all settled"),
        pytest.param({State.PENDING: 1}, None, False, 1, "1 item is not started; run again", id="not started"),
        pytest.param({State.PENDING: 2}, None, True, 1, "--limit; 2 items are not started", id="limited"),
        pytest.param({State.FAILED: 1}, None, True, 1, "1 item is open, see open.jsonl; no", id="one open"),
        pytest.param({State.FAILED: 2}, None, False, 1, "2 items are open, see open.jsonl; the first: no", id="open"),
        pytest.param({State.IN_DOUBT: 3}, None, False, 1, "decide about the 3 in doubt with", id="in doubt"),
        pytest.param({State.FAILED: 1}, JournalError("full"), False, 5, "full", id="an error"),
    ],
)
def test_the_exit_code_follows_from_the_items_unless_an_error_ended_the_run(
    counts: dict[State, int], ended_by: PipelineError | None, limited: bool, code: int, said: str
) -> None:
    first_open = Problem("search", "68300010", "no", "fail", False)
    found, reason = exit_of(ended_by, item_counts(counts), first_open, limited=limited)
    assert found == code
    assert said in reason


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


def in_shards(*parts: RunSummary, listed: bool = False) -> RunSummary:
    return in_one(parts, run="job", results="job/results.json", waiting=0, listed=listed)


@pytest.mark.parametrize("left", [State.PENDING, State.REPORT_PENDING])
def test_what_ended_a_shard_is_told_of_all_while_items_or_reports_are_left(left: State) -> None:
    early = summary(exit_code=4, exit_reason="the vendor cannot be reached", items=item_counts({left: 2}))
    done = summary(items=item_counts({State.REPORTED: 3}))
    found = in_shards(done, early)
    assert (found.exit_code, found.exit_reason) == (4, "the vendor cannot be reached")


def test_open_items_of_shards_are_to_be_seen_where_they_are_listed() -> None:
    part = summary(exit_code=1, items=item_counts({State.FAILED: 2}))
    assert in_shards(part, part).exit_reason == "finished; 4 items are open; `pipeline report` lists them"
    assert in_shards(part, part, listed=True).exit_reason == "finished; 4 items are open, see open.jsonl"


def test_what_one_shard_left_out_of_sight_is_not_said_of_several() -> None:
    other = summary(not_looked_at=["2 products that failed"])
    assert in_shards(summary(), other).not_looked_at == []
    assert in_shards(other).not_looked_at == ["2 products that failed"]


@pytest.mark.parametrize(("code", "ok"), [(0, True), (1, False), (4, False), (130, False)])
def test_run_is_ok_when_everything_is_settled(code: int, ok: bool) -> None:
    assert summary(exit_code=code).ok is ok


@pytest.mark.parametrize(
    ("units", "said", "sent", "words"),
    [
        (0.0, Said(0, 60), True, "units billed: not said by V"),
        (0.0, Said(), True, "units billed: not said by V"),
        (0.0, Said(), False, "V billed 0 units"),
        (0.0, Said(3, 3), True, "V billed 0 units"),
        (1.0, Said(1, 1), True, "V billed 1 unit"),
        (1234.5, Said(9, 9), True, "V billed 1234.5 units"),
        (5.0, Said(5, 9), True, "V billed 5 units, as 5 of 9 answers say"),
        (5.0, Said(), True, "V billed 5 units"),
    ],
)
def test_units_that_the_vendor_does_not_say_are_never_called_zero(
    units: float, said: Said, sent: bool, words: str
) -> None:
    assert billed(units, said, vendor="V", sent=sent) == words


@pytest.mark.parametrize(("meta", "said"), [(None, Said()), ("5 9", Said(5, 9))])
def test_the_counts_of_answers_are_remembered(meta: str | None, said: Said) -> None:
    assert said_in(meta) == said
