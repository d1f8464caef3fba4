"""The application of decisions about items in doubt: all are checked, then all take effect at once. Sends nothing."""

import contextlib
import time
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.journal.paid_hits import with_hits
from pipeline.journal.spool import mark_of
from pipeline.journal.sql import changes, doubts, items, reports
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Waiting, hits_of
from pipeline.journal.storage import Disk
from pipeline.models import TASK_LIFE_S, WAITING, Choice, State, Task, Work
from pipeline.offline.decisions import CREATED, RETRY, Decision, task_id_fault
from pipeline.offline.shared_tasks import SharedTask, shared_task
from pipeline.reports import PaidTask, TaskNote
from pipeline.results.hits import choose
from pipeline.results.reading import read_line
from pipeline.results.record import RecordLines
from pipeline.system.fault import Fault, typed


class _Doubt(NamedTuple):
    """An item in doubt and the decision about it."""

    ord: int
    decision: Decision
    row: Waiting
    request_id: str | None  # of the create that is in doubt
    sent_at: float | None  # seconds since the epoch
    shared: SharedTask | None = None  # the task that was found, in the line of an item with the same picture


class _FoundTask(NamedTuple):
    """A task that a person found at the vendor."""

    line: bytes  # the item's record
    task: Task
    hits_lost: bool


def all_in_doubt(db: Database, decision: str) -> list[Decision]:
    """Take the same decision about every item in doubt."""
    return [Decision(id_, decision, None, "--all") for id_ in doubts.ids(db)]


def resolve(disk: Disk, decisions: Sequence[Decision], records: RecordLines) -> list[str]:
    """Apply all decisions, durably; return what was done, a line each. Raises SpecError, and nothing is applied.

    The records are written before the decisions are committed: if the process dies between, the next start adopts them.
    """
    checked = _checked(disk, decisions)
    now = time.time()
    awaited = {doubt.ord for doubt in checked if _may_be_reported(doubt, records.spec, now=now)}
    found = {
        doubt.ord: _found_task(disk, doubt, records, now=now)
        for doubt in checked
        if doubt.decision.decision == CREATED and doubt.ord not in awaited
    }
    placed = dict(zip(found, disk.results.append([task.line for task in found.values()]) if found else (), strict=True))
    done = []
    disk.db.do("BEGIN IMMEDIATE")
    for doubt in checked:
        id_, decision, task_id, _ = doubt.decision
        doubts.decide(disk.db, doubt.ord, decision, at=now, request_id=doubt.request_id, task_id=task_id)
        if doubt.ord in awaited:
            done.append(f"{id_}: {_await_report(disk, doubt, records.spec, now=now)}")
        elif decision == CREATED:
            _, task, hits_lost = found[doubt.ord]
            line = placed[doubt.ord]
            first = doubt.shared.same_as if doubt.shared is not None else None
            own = task if first is None else None  # an item has one task id at most: a twin's task is the first's
            changes.settle(disk.db, doubt.ord, State.TASKED, line=line, calls=doubt.row.work.calls, task=own)
            more = "; its hits are lost, and the line says so" if hits_lost else ""
            more += f"; it shares the picture and the task of {first}" if first is not None else ""
            done.append(f"{id_}: settled as tasked, task {task_id} (line {line.seq + 1:,} of results.jsonl){more}")
        else:
            done.append(f"{id_}: {_wait_again(disk, doubt, submits=records.spec.submits, now=now)}")
    disk.db.do("COMMIT")
    with contextlib.suppress(OSError):  # a segment that cannot be deleted now is deleted at the next start
        for doubt in checked:
            if doubt.ord in found and doubt.row.spool:
                disk.spool.release(doubt.row.spool.segment)
    return done


def _checked(disk: Disk, decisions: Sequence[Decision]) -> list[_Doubt]:
    """Find the item of each decision. Raises SpecError that names every decision that cannot be applied."""
    db = disk.db
    faults: list[str] = []
    found: list[_Doubt] = []
    status = typed("status", disk.folder)
    seen: dict[str, str] = {}
    known = doubts.owners(db, {decision.task_id for decision in decisions if decision.task_id})
    for decision in decisions:
        place = items.find(db, decision.id)
        if decision.id in seen:
            faults.append(Fault(f"{decision.id!r} is decided twice (also {seen[decision.id]})", where=decision.origin))
        elif place is None or place[1] is not State.IN_DOUBT:
            faults.append(not_in_doubt(decision, None if place is None else place[1], status))
        elif fault := _task_fault(decision, known, shared := _shared(disk, place[0], decision)):
            faults.append(Fault(fault, where=decision.origin))
        else:
            found.append(_Doubt(place[0], decision, items.work(db, place[0]), *doubts.intent(db, place[0]), shared))
            if decision.task_id:
                known.setdefault(decision.task_id, decision.id)
        seen.setdefault(decision.id, decision.origin)
    if faults:
        raise SpecError(*faults, "nothing was applied")
    return found


def not_in_doubt(decision: Decision, state: State | None, status: str) -> Fault:
    """Say why a decision is about nothing: its item is in another state, or there is none; `status` is a command."""
    if state is None:
        return Fault(f"this run has no item {decision.id!r}", where=decision.origin, fix=status)
    what = f"{decision.id!r} is not in doubt, it {_standing(state)}"
    return Fault(what, where=decision.origin, fix=status)


def _standing(state: State) -> str:
    """Say where an item stands. One that waits is not called searched, which is the word for a settled item."""
    return "waits for the next run" if state in WAITING else f"is {state.word.replace('_', ' ')}"


def _shared(disk: Disk, ord_: int, decision: Decision) -> SharedTask | None:
    return shared_task(disk, ord_, decision.task_id) if decision.task_id is not None else None


def _task_fault(decision: Decision, known: dict[str, str], shared: SharedTask | None) -> str | None:
    task_id = decision.task_id
    if task_id is None:
        return None
    if fault := task_id_fault(task_id):
        return fault
    if task_id in known and shared is None:
        return f"{decision.id!r}: task {task_id} is the one of {known[task_id]!r}"
    return None


def _found_task(disk: Disk, doubt: _Doubt, records: RecordLines, *, now: float) -> _FoundTask:
    """Encode the record of an item whose task a person found at the vendor."""
    work = doubt.row[0]
    if doubt.shared is not None:
        line = records.shared(work, doubt.shared.line, same_as=doubt.shared.same_as, calls=work.calls)
        record = read_line(line)
        assert record.task is not None
        at = datetime.fromisoformat(record.task.at).timestamp()
        return _FoundTask(line, Task(record.task.task_id, at), record.hits_lost)
    hits_lost = not _bring_hits(disk, doubt.row)
    assert doubt.decision.task_id is not None
    task = Task(doubt.decision.task_id, doubt.sent_at if doubt.sent_at is not None else now)
    choice = _choice(work, records.spec) or Choice(b"[]", 0, 0)
    line = records.resolved(work, task, choice, hits_lost=hits_lost)
    return _FoundTask(line, task, hits_lost=hits_lost)


def _bring_hits(disk: Disk, row: Waiting) -> bool:
    """Let an item have the hits that it was searched for; return whether their bytes are there.

    Without them the scores still say how many hits went into the task.
    """
    work, note, ref = row
    if note is None:
        return False
    array = None if ref is None else disk.spool.read(ref, mark=mark_of(work.ord, note))
    work.hits = hits_of(note, _blank(len(note.scores)) if array is None else array)
    return array is not None


def _may_be_reported(doubt: _Doubt, spec: JobSpec, *, now: float) -> bool:
    """Return whether the task that a person found still has a report to be read by the next run."""
    lives = doubt.sent_at is None or doubt.sent_at + TASK_LIFE_S > now
    return spec.awaits_reports and lives and doubt.decision.decision == CREATED and doubt.shared is None


def _await_report(disk: Disk, doubt: _Doubt, spec: JobSpec, *, now: float) -> str:
    """Note the task that a person found; the next run asks for its report."""
    work = doubt.row[0]
    _bring_hits(disk, doubt.row)
    choice = _choice(work, spec) or Choice(b"[]", 0, 0)
    asked = TaskNote(choice.count, choice.dropped, spec.task.report_lang, spec.task.country)
    assert doubt.decision.task_id is not None
    at = doubt.sent_at if doubt.sent_at is not None else now
    paid = PaidTask(work.item.id, doubt.decision.task_id, at, work.calls, asked)
    reports.await_reports(disk.db, [(doubt.ord, paid)])
    return f"its task is {paid.task_id}; the next run asks for its report"


def _blank(count: int) -> bytes:
    return b"[" + b",".join([b"0"] * count) + b"]"


def _choice(work: Work, spec: JobSpec) -> Choice | None:
    if work.hits is None:
        return None
    return choose(work.hits, min_score=spec.search.min_score, max_hits=spec.task.max_hits)


def _wait_again(disk: Disk, doubt: _Doubt, *, submits: bool, now: float) -> str:
    """Let an item wait for the next run; say with what."""
    [(_, ref)] = with_hits(disk, [doubt.row], now=now)
    doubts.end(disk.db, doubt.ord)
    what = (
        "waits again; the next run submits it"
        if submits
        else "waits again with its hits; the next run creates its task"
        if ref is not None
        else "waits again without its hits, which are gone; the next run searches it and creates its task"
    )
    return what + ("; you accept that it may be paid twice" if doubt.decision.decision == RETRY else "")
