"""The chores of a run: a jump of the clock, a disk too small, counts that cannot be written."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from pipeline.calls.tally import Tally
from pipeline.errors import JournalError
from pipeline.models import State
from pipeline.run.heartbeat import EVERY_S, Heartbeat
from pipeline.system.clock import Clocks
from tests.support.virtual_time import run_virtually


class Parts:
    """An engine, a client and a journal that note what they are told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.notes: list[float] = []
        self.broken = False
        self.all_in = False
        self.stats = SimpleNamespace(units=1.5, tally=Tally())
        self.budget = self

    def items(self) -> dict[State, int]:
        return dict.fromkeys(State, 0) | {State.PENDING: 5}

    def drain(self, error: JournalError) -> None:
        self.told.append(f"drain: {error}")

    def journal_failed(self, error: JournalError) -> None:
        self.told.append(f"journal failed: {error}")

    def clock_jumped(self) -> None:
        self.told.append("clock jumped")

    def note_sent(self, account: str, counted: Any) -> None:
        assert not counted

    def note_calls(self, units: float) -> None:
        if self.broken:
            raise JournalError("disk full")
        self.notes.append(units)


def heartbeat(parts: Any, clocks: Clocks | None = None, *, folder: Path = Path("run")) -> Heartbeat:
    return Heartbeat(parts, parts, parts, folder=folder, clocks=clocks)


def beat(parts: Any, beats: int, *, clocks: Clocks | None = None, folder: Path = Path("run")) -> int:
    """Let the heart beat so many times; return how often the run was shown."""
    shown = 0

    def show() -> None:
        nonlocal shown
        shown += 1

    async def go() -> None:
        heart = heartbeat(parts, clocks, folder=folder)
        with anyio.move_on_after((beats - 0.5) * EVERY_S):
            await heart.run(show)

    run_virtually(go)
    return shown


def test_each_beat_shows_the_run_and_every_fourth_notes_the_calls() -> None:
    parts = Parts()
    assert beat(parts, 9) == 9
    assert parts.notes == [1.5, 1.5, 1.5]


def test_counts_that_cannot_be_written_end_the_run_by_its_engine() -> None:
    parts = Parts()
    parts.broken = True
    assert beat(parts, 2) == 2
    assert parts.told == ["journal failed: disk full"]


def test_the_disk_is_checked_once_all_items_are_in_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def require_room(folder: Path, items: int) -> None:
        asked.append(items)
        raise JournalError("too little room")

    monkeypatch.setattr("pipeline.run.heartbeat.require_room", require_room)
    parts = Parts()
    beat(parts, 3)
    assert (asked, parts.told) == ([], [])
    parts.all_in = True
    beat(parts, 3)
    assert (asked, parts.told) == ([5], ["drain: too little room"])


def test_a_directory_that_was_taken_away_cancels_no_call_that_is_under_way(tmp_path: Path) -> None:
    """Their answers are paid: the journal notices by itself, ends the run, and keeps them."""
    parts = Parts()
    parts.all_in = True
    beat(parts, 3, folder=tmp_path / "gone")
    assert parts.told == []


def test_a_jump_of_the_clock_is_logged_and_the_client_is_told_at_the_next_beat(
    caplog: pytest.LogCaptureFixture,
) -> None:
    walls = iter([1_000_000.0, 1_000_000.25, 996_400.25, 1_032_400.25, 1_032_400.25])
    steadies = iter([5_000.0, 5_000.25, 5_000.25, 41_000.25, 41_000.25])
    parts = Parts()
    with caplog.at_level(logging.INFO, logger="pipeline"):
        assert beat(parts, 4, clocks=Clocks(lambda: next(walls), lambda: next(steadies))) == 4
    assert parts.told == ["clock jumped", "clock jumped"]
    assert [record.getMessage() for record in caplog.records] == [
        "clock.jumped step_s=-3600.0 gap_s=0.0",
        "clock.jumped step_s=0.0 gap_s=36000.0",
    ]
