"""The status of a run directory, read from its journal without disturbing a run that is under way."""

import json
import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.errors import JournalError, SpecError
from pipeline.job.api import ApiSpec
from pipeline.job.load import load_as_run
from pipeline.job.schema import JobSpec
from pipeline.journal.begun import was_stopped_at_once
from pipeline.journal.collected import has_collection, is_joined, joined, open_reports, unread
from pipeline.journal.emergency import known_not_executed
from pipeline.journal.evidence import refuse_unexplained
from pipeline.journal.places import JOURNAL, REPORT, SUMMARY, collection_of, goes_on_with, results_file, run_of
from pipeline.journal.sql import laid_by
from pipeline.journal.sql.calls import counted
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.doubts import not_executed, repeated_by_itself
from pipeline.journal.sql.forecast import Expiry, expiries
from pipeline.journal.sql.items import in_view, open_items
from pipeline.journal.sql.money import cost_of, noted
from pipeline.journal.sql.sent import sent_pictures
from pipeline.journal.storage import reading_only
from pipeline.journal.verify import WHOLE, verify
from pipeline.models import KINDS, OPEN, PAID, TASK_LIFE_S, Problem, State, Work
from pipeline.offline.refresh import has_ended, read_summary
from pipeline.results.advice import about_not_started, todo_for
from pipeline.results.money import Money, money_spent
from pipeline.results.page.marks import marks, read_marks
from pipeline.results.page.view import COUNTED
from pipeline.results.summary import FINISHED, INTERRUPTED, RUNNING, item_counts
from pipeline.run.changed import Changed, changed_pictures
from pipeline.run.collect_by import iso_of, start_by
from pipeline.run.directory import SPEC, is_locked
from pipeline.run.load import known_home
from pipeline.run.tariff import tariff_of, with_spent_beside
from pipeline.system.clock import iso
from pipeline.system.fault import Fault, typed
from pipeline.system.wording import count

SHOWN = 20  # open items, and damaged lines
_ROUNDED_S = 1.0  # sums of times in another order differ in their last digits


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The status of a run directory; `status --json` prints these fields."""

    run: str  # its path
    running: bool
    state: str  # of the last run, as the summary has it: finished, interrupted (killed, say) or running
    now: str  # a sentence: it runs, or how its last run ended
    items: dict[str, int]  # see `results.summary.item_counts`
    calls: dict[str, int]  # sent, by kind, over the life of the run directory
    money: Money | None  # spent by the job's prices, over the same time; None where it names none
    expires: dict[str, str]  # by kind of thing, when the first one expires, ISO 8601 in UTC
    expiring_within_hour: dict[str, int]  # by kind of thing
    open_items: list[str]  # the first ones, a sentence each: what is wrong and what to do
    open_not_shown: int  # open items beyond those
    unnamed: int = 0  # of them, creates that were under way when the run died: nothing names them until it goes on
    not_started: str  # what to do about items that were not started; empty when there are none, or a run is under way
    unread: int = 0  # tasks that live, and whose reports nobody collected yet (task.report: later)
    collect_by: str = ""  # `pipeline collect` must start by then to read them all in time, ISO 8601 in UTC
    changed: list[Changed]  # items whose pictures changed since they were searched
    page: str  # a sentence where report.html is older than the results; empty where it is not


class Look(NamedTuple):
    """The status of a run directory, and for how long it stays the same.

    until   while its files stay as they are, the status is the same until then, in seconds since the epoch; 0 where
            something else may change it: a run that goes on, an emergency's lines elsewhere, pictures that were sent
    """

    status: Status
    until: float


def read_status(folder: Path, *, named: Path | None = None, held: bool = False, now: float | None = None) -> Status:
    """Read a run directory, and speak of it as `named`. Raises JournalError when there is none.

    With `held` another machine works on it, whose lock is not seen here.
    """
    return look_at(folder, named=named or folder, held=held, now=time.time() if now is None else now).status


def look_at(folder: Path, *, named: Path, held: bool, now: float) -> Look:
    """Read the status of a run directory, as `read_status` does, and for how long it stays the same."""
    running = held or is_locked(folder)  # before the journal is opened: it opens and closes that file, too
    if running and was_stopped_at_once(folder):
        raise JournalError(f"{folder}: a run begins here right now and has sent nothing yet; look again in a moment")
    with reading_only(folder) as db:
        counts, removed = joined(db, folder, *in_view(db))
        standing = _standing(db, folder, counts, running=running)
        items = item_counts(standing.counts, removed=removed)
        spec = _spec(folder, db)
        api = ApiSpec() if spec is None else spec.api
        ends = expiries(db, now=now)
        unasked = State.REPORT_PENDING if running else None  # a run that goes on asks for reports, and nobody else must
        open_ = _open_items(db, folder, named, api, but=unasked)
        tasks = unread(db, folder, now=now) if spec is not None and spec.reads_later else []
        state = _state(folder, db, running=running)
        calls = with_spent_beside(spec, folder, counted(db), {}).calls if spec is not None else counted(db)
        status = Status(
            run=str(named),
            running=running,
            state=state,
            now="running" if running else _last_end(folder, db.meta("started_at") or "") + standing.told,
            items=items,
            calls={kind.value: sent for kind, (_, sent) in calls.items() if kind in PAID or (kind in KINDS and sent)},
            money=None if spec is None else _money(spec, folder, db),
            expires={what: iso(end.first) for what, end in ends.items()},
            expiring_within_hour={what: end.within_hour for what, end in ends.items()},
            open_items=open_,
            not_started=_not_started(folder, api) if items["not_started"] and not running else "",
            open_not_shown=sum(standing.counts[one] for one in OPEN if one is not unasked) - len(open_),
            unnamed=standing.unnamed,
            unread=len(tasks),
            collect_by="" if spec is None else iso_of(start_by(spec, tasks)),
            changed=[] if spec is None else changed_pictures(db, spec, now=now),
            page=about_page(folder, item_counts(counts), state, named=named),
        )
        # Lines of an emergency count while creates are unfinished, and those lie on one machine alone, perhaps.
        alone = not running and State.CREATING not in counts and not any(sent_pictures(db)) and is_joined(folder)
        return Look(status, _same_until(ends, tasks) if alone else 0.0)


def _same_until(ends: Mapping[str, Expiry], tasks: Sequence[float]) -> float:
    """Return until when no time passes at which something expires, comes within an hour of that, or dies unread."""
    dies = [tasks[0] + TASK_LIFE_S] if tasks else []
    return min([end.changes_at for end in ends.values()] + dies, default=float("inf")) - _ROUNDED_S


class _Standing(NamedTuple):
    """The items per state as the next start of a run will find them; `told` says what a run that died left.

    unnamed  creates that were under way then, and count as in doubt
    """

    counts: Counter[State]
    told: str
    unnamed: int


def _standing(db: Database, folder: Path, counts: Mapping[State, int], *, running: bool) -> _Standing:
    """Count creates that were under way as what they are: not executed, laid by with their task, or in doubt."""
    known, laid = Counter(counts), 0
    unfinished = 0 if running else known.pop(State.CREATING, 0)
    if unfinished:
        never_left = not_executed(db, known_not_executed(folder))
        laid = laid_by.count(db)
        known[State.SEARCHED] += never_left
        known[State.TASKED] += laid
        unfinished -= never_left + laid
    known[State.IN_DOUBT] += unfinished
    told = _unfinished(unfinished) + _laid_by(laid, goes_on_with(folder))
    return _Standing(known, told, unfinished)


def _open_items(db: Database, folder: Path, named: Path, api: ApiSpec, *, but: State | None) -> list[str]:
    """Describe the first open items, those of the run and then those whose reports are collected, but one state."""
    repeated = repeated_by_itself(db, most=api.duplicates)
    own = open_items(db, after=0, limit=SHOWN, repeated=repeated, but=but)
    collected = open_reports(folder, limit=SHOWN - len(own))
    placed = [*((named, *one) for one in own), *((collection_of(named), *one) for one in collected)]
    return [_item(run, work, state, problem, api) for run, work, state, problem in placed]


def _money(spec: JobSpec, folder: Path, db: Database) -> Money | None:
    calls = counted(db)
    costs = cost_of(noted(db), tariff_of(spec).prices, {kind: count for kind, (count, _) in calls.items()})
    spent = with_spent_beside(spec, folder, calls, costs)
    return money_spent(spec, spent.costs, spent.calls)


def _state(folder: Path, db: Database, *, running: bool) -> str:
    last = read_summary(folder)
    ended = last is not None and has_ended(last, db)
    return RUNNING if running else FINISHED if ended else INTERRUPTED


def about_page(folder: Path, items: Mapping[str, int], state: str, *, named: Path) -> str:
    """Say that the page is older than the results, and how to make it anew; "" where it is not, or is not there.

    `named` is the run as a person names it.
    """
    there = read_marks(folder / REPORT)
    if there is None or there == marks({word: items.get(word, 0) for word in COUNTED}, state):
        return ""
    return f"{REPORT} is older than the results; `pipeline report {shlex.quote(str(named))}` makes it anew"


def verify_run(folder: Path) -> str:
    """Check the journal and every line it knows; return a sentence. Raises JournalError that names the damaged ones."""
    results = str(results_file(folder))
    with reading_only(folder) as db:
        found = verify(db, results_file(folder))
        if found.ok and found.behind:
            refuse_unexplained(db, folder, results_file(folder))
    if found.damaged and not results_file(folder).is_file():
        raise _to_repair(folder, "the file is gone; put it back, or go on with what the journal knows", results)
    if found.journal != WHOLE:
        raise _to_repair(folder, f"the journal is damaged ({found.journal[:300]})", str(folder / JOURNAL))
    if found.damaged:
        shown = ", ".join(f"{number:,}" for number in found.damaged[:SHOWN])
        more = ", ..." if len(found.damaged) > SHOWN else ""
        wrong = f"{len(found.damaged):,} of {count(found.lines, 'line')}"
        are = "is" if len(found.damaged) == 1 else "are"
        what = f"{wrong} {are} not what was written (line {shown}{more}); put the original file back"
        raise _to_repair(folder, f"{what}, or go on without", results)
    said = _whole(found.lines, folder)
    if run_of(folder) is None and has_collection(folder):
        said = f"{said}; {verify_run(collection_of(folder))}"
    if found.behind:
        what = (
            f"behind the {count(found.lines, 'line')} that the journal knows stand {count(found.behind, 'byte')} that "
            "it does not; copy the file, then look"
        )
        raise JournalError(Fault(what, where=results))
    return said


def _whole(number: int, folder: Path) -> str:
    lines = "is the one line" if number == 1 else f"are all {number:,} lines"
    return f"verified: the journal is whole, and so {lines} of {results_file(folder).name}"


def _to_repair(folder: Path, what: str, where: str) -> JournalError:
    return JournalError(Fault(what, where=where, fix=typed("repair", folder)))


def _item(folder: Path, work: Work, state: State, problem: Problem, api: ApiSpec) -> str:
    word = state.word.replace("_", " ")
    # The vendor finds a create by its request id, and a person needs the vendor's answer to decide.
    asked = f" (request id {problem.request_id})" if state is State.IN_DOUBT and problem.request_id else ""
    todo = todo_for(work, state, problem, run=folder, about_picture=api.is_about_picture)
    return f"{word}: {work.item.id} ({work.item.source}): {problem.message}{asked}. To do: {todo}"


def _spec(folder: Path, db: Database) -> JobSpec | None:
    """Read the job as it was run; None where nobody can read that."""
    try:
        spec = load_as_run(folder / SPEC)
    except (SpecError, OSError):
        return None
    home = known_home(db)
    return spec if home is None else spec.with_folder(home)


def _not_started(folder: Path, api: ApiSpec) -> str:
    """Say what to do about items that were not started, by what ended the last run."""
    try:
        ended_by = str(json.loads((folder / SUMMARY).read_text(encoding="utf-8")).get("ended_by", ""))
    except (OSError, ValueError, AttributeError):
        ended_by = ""
    return about_not_started(ended_by, daily=api.is_daily(ended_by), command=goes_on_with(folder))


def _laid_by(records: int, goes_on: str) -> str:
    """Say that records waited for their details when the run died; "" when none did."""
    wait = count(records, "record waits for its details", "records wait for their details")
    return f"; {wait}; the next `pipeline {goes_on}` writes {'it' if records == 1 else 'them'}" if records else ""


def _unfinished(creates: int) -> str:
    """Say that creates were under way when the run died; "" when none were."""
    if not creates:
        return ""
    were = count(creates, "create was", "creates were")
    return f"; {were} under way when the run died; {'it is' if creates == 1 else 'they are'} in doubt"


def _last_end(folder: Path, started_at: str) -> str:
    """Say how the last run ended, by its summary; an older run's summary says nothing of the last one."""
    command = goes_on_with(folder)
    again = "run it again" if command == "run" else f"`pipeline {command}` the job file"
    try:
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        if summary["finished_at"] < started_at or summary.get("state", FINISHED) != FINISHED:
            return f"not running; started {started_at} and never came to its end: {again} to go on"
        return f"ended {summary['finished_at']}: {summary['exit_reason']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"not running; it has no summary, so it was killed or never ended: {again} to go on"
