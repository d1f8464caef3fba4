"""Where a run stands, read from its journal without disturbing it."""

import json
import time
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from pipeline.journal.disk import open_store_read_only
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, TASK_LIFE_S, State, iso
from pipeline.rundir import LOCK, SUMMARY
from pipeline.summary import item_counts

SHOWN = 20


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The items and calls of a run directory, what expires first, and the first open items in words."""

    run: str
    running: bool
    now: str
    items: dict[str, int]
    calls: dict[str, int]
    expires: dict[str, str]
    open_items: list[str]


def read_status(folder: Path) -> Status:
    """Read a run directory. Raises JournalError when there is none."""
    store = open_store_read_only(folder)
    try:
        running = _is_running(folder)
        return Status(
            run=str(folder),
            running=running,
            now="running" if running else _last_end(folder, store.meta("started_at") or ""),
            items=item_counts(store.counts()),
            calls={kind.value: sent for kind, (_, sent) in store.calls().items()},
            expires=_expiries(store.first_times()),
            open_items=[
                f"{state.word.replace('_', ' ')}: {work.item.id} ({work.item.source}): {problem.message}"
                for work, state, problem in store.open_items(after=0, limit=SHOWN)
            ],
        )
    finally:
        store.close()


def _expiries(first: dict[State, float]) -> dict[str, str]:
    """When the first of each kind of thing dies; what is past is not shown."""
    lives = {
        State.SEARCHED: ("paid searches without a task", HITS_LIFE_S - EXPIRY_MARGIN_S),
        State.TASKED: ("tasks", TASK_LIFE_S),
    }
    now = time.time()
    return {
        text: iso(first[state] + life_s)
        for state, (text, life_s) in lives.items()
        if state in first and first[state] + life_s > now
    }


def _is_running(folder: Path) -> bool:
    try:
        lock = FileLock(folder / LOCK, timeout=0, mode=0o600)
        with lock:
            return False
    except Timeout:
        return True
    except OSError:
        return False


def _last_end(folder: Path, started_at: str) -> str:
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        if summary["finished_at"] < started_at:
            return f"not running; started {started_at} and never came to its end: run it again to go on"
        return f"ended {summary['finished_at']}: {summary['exit_reason']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "not running; it has no summary, so it was killed or never ended: run it again to go on"
