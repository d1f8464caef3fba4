"""A person's decisions about items in doubt: all of them are checked, then all are applied at once. No call is made."""

import contextlib
import csv
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import SpecError
from pipeline.job.schema import JobSpec
from pipeline.journal.paid_hits import with_hits
from pipeline.journal.spool import mark_of
from pipeline.journal.sql import changes, doubts, items
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Waiting, hits_of
from pipeline.journal.storage import Disk
from pipeline.models import WAITING, Choice, State, Task, Work
from pipeline.results.hits import choose
from pipeline.results.record import RecordLines

CREATED, NOT_CREATED, RETRY = "created", "not-created", "retry"
_COLUMNS = ("id", "decision", "task_id")
_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{5,127}")


class Decision(NamedTuple):
    """What is decided about one item; `origin` says where it was written (`--created`, `decisions.csv:3`)."""

    id: str
    decision: str
    task_id: str | None
    origin: str


class _Doubt(NamedTuple):
    ord: int
    decision: Decision
    row: Waiting
    request_id: str | None
    sent_at: float | None


def read_decisions(path: Path) -> list[Decision]:
    """Read a CSV with the columns id, decision, task_id. Raises SpecError that names every bad row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip().lower() for name in next(reader, [])]
            if missing := [name for name in _COLUMNS if name not in header]:
                comma = "; the separator must be a comma" if len(header) == 1 and re.search("[;\t|]", header[0]) else ""
                named = f"no column {', '.join(missing)}; the columns are {', '.join(_COLUMNS)}"
                raise SpecError(f"{path}:1: {named}{comma}")
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except OSError as exc:
        raise SpecError(f"{path}: cannot be read: {exc.strerror}") from None
    except (csv.Error, UnicodeError) as exc:
        raise SpecError(f"{path}: this is not CSV in UTF-8: {exc}") from None
    decisions, faults = [], []
    for number, row in rows:
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        origin = f"{path}:{number}"
        decision = Decision(cells.get("id", ""), cells.get("decision", ""), cells.get("task_id") or None, origin)
        decisions.append(decision)
        faults += [f"{origin}: {fault}" for fault in _row_faults(decision, wrong_width=len(row) != len(header))]
    if faults:
        raise SpecError(*faults, "nothing was applied")
    return decisions


def _row_faults(decision: Decision, *, wrong_width: bool) -> list[str]:
    faults = ["this row has more or fewer cells than the header"] if wrong_width else []
    if not decision.id:
        faults.append("no id")
    if decision.decision not in (CREATED, NOT_CREATED, RETRY):
        faults.append(f"decision {decision.decision!r} is not allowed; allowed: {CREATED}, {NOT_CREATED}, {RETRY}")
    elif (decision.decision == CREATED) != (decision.task_id is not None):
        wants = "needs its task_id" if decision.decision == CREATED else "takes no task_id"
        faults.append(f"{decision.decision} {wants}")
    elif fault := _bad_task_id(decision.task_id):
        faults.append(fault)
    return faults


def all_in_doubt(db: Database, decision: str) -> list[Decision]:
    """Take the same decision about every item in doubt."""
    return [Decision(id_, decision, None, "--all") for id_ in doubts.ids(db)]


def resolve(disk: Disk, decisions: Sequence[Decision], spec: JobSpec, records: RecordLines) -> list[str]:
    """Apply all decisions, durably; return what was done, a line each. Raises SpecError, and nothing is applied."""
    found = _checked(disk.db, decisions)
    now = time.time()
    lines = [_line(disk, doubt, spec, records, now=now) for doubt in found if doubt.decision.decision == CREATED]
    placed = iter(disk.results.append([line for line, _, _ in lines]) if lines else ())
    tasks = iter(lines)
    said, segments = [], []
    disk.db.do("BEGIN IMMEDIATE")
    for doubt in found:
        id_, decision, task_id, _ = doubt.decision
        doubts.decide(disk.db, doubt.ord, decision, at=now, request_id=doubt.request_id, task_id=task_id)
        if decision == CREATED:
            _, task, lost = next(tasks)
            line = next(placed)
            changes.settle(disk.db, doubt.ord, State.TASKED, line=line, calls=doubt.row.work.calls, task=task)
            segments += [doubt.row.spool.segment] if doubt.row.spool else []
            more = "; its hits are lost, and the line says so" if lost else ""
            said.append(f"{id_}: settled as tasked, task {task_id} (line {line.seq + 1:,} of results.jsonl){more}")
        else:
            said.append(f"{id_}: {_wait_again(disk, doubt, now=now)}")
    disk.db.do("COMMIT")
    with contextlib.suppress(OSError):  # it is decided; what is not deleted now is at the next start
        for segment in segments:
            disk.spool.release(segment)
    return said


def _checked(db: Database, decisions: Sequence[Decision]) -> list[_Doubt]:
    faults, found = [], []
    seen: dict[str, str] = {}
    known = doubts.owners(db, {decision.task_id for decision in decisions if decision.task_id})
    for decision in decisions:
        place = items.find(db, decision.id)
        if decision.id in seen:
            faults.append(f"{decision.origin}: {decision.id!r} is decided twice (also {seen[decision.id]})")
        elif place is None:
            faults.append(f"{decision.origin}: this run has no item {decision.id!r}")
        elif place[1] is not State.IN_DOUBT:
            faults.append(f"{decision.origin}: {decision.id!r} is not in doubt, it {_standing(place[1])}")
        elif fault := _task_fault(decision, known):
            faults.append(f"{decision.origin}: {fault}")
        else:
            found.append(_Doubt(place[0], decision, items.work(db, place[0]), *doubts.intent(db, place[0])))
            if decision.task_id:
                known[decision.task_id] = decision.id
        seen.setdefault(decision.id, decision.origin)
    if faults:
        raise SpecError(*faults, "nothing was applied")
    return found


def _standing(state: State) -> str:
    """Where an item stands, in a sentence; what waits is not called searched, which is the word for a settled item."""
    return "waits for the next run" if state in WAITING else f"is {state.word.replace('_', ' ')}"


def _task_fault(decision: Decision, known: dict[str, str]) -> str | None:
    task_id = decision.task_id
    if task_id is None:
        return None
    if fault := _bad_task_id(task_id):
        return fault
    if task_id in known:
        return f"{decision.id!r}: task {task_id} is the one of {known[task_id]!r}"
    return None


def _bad_task_id(task_id: str | None) -> str | None:
    """What is wrong with a task id, if anything: an option that was taken for one, say."""
    if task_id is None or _TASK_ID.fullmatch(task_id):
        return None
    return f"{task_id!r} is no task id: 6 to 128 letters, digits and _.:- after a letter or digit"


def _line(disk: Disk, doubt: _Doubt, spec: JobSpec, records: RecordLines, *, now: float) -> tuple[bytes, Task, bool]:
    """The line of a create that a person found at the vendor, its task, and whether its hits are lost."""
    work, note, ref = doubt.row
    array = disk.spool.read(ref, mark=mark_of(work.ord, note)) if ref is not None and note is not None else None
    if note is not None:
        # Without the bytes the scores still say how many hits went into the task.
        work.hits = hits_of(note, array if array is not None else _blank(len(note.scores)))
    assert doubt.decision.task_id is not None
    task = Task(doubt.decision.task_id, doubt.sent_at if doubt.sent_at is not None else now)
    choice = _choice(work, spec) or Choice(b"[]", 0, 0)
    return records.resolved(work, task, choice, hits_lost=array is None), task, array is None


def _blank(count: int) -> bytes:
    return b"[" + b",".join([b"0"] * count) + b"]"


def _choice(work: Work, spec: JobSpec) -> Choice | None:
    if work.hits is None:
        return None
    return choose(work.hits, min_score=spec.search.min_score, max_hits=spec.task.max_hits)


def _wait_again(disk: Disk, doubt: _Doubt, *, now: float) -> str:
    [(_, ref)] = with_hits(disk, [doubt.row], now=now)
    doubts.end(disk.db, doubt.ord)
    what = (
        "waits again with its hits; the next run creates its task"
        if ref is not None
        else "waits again without its hits, which are gone; the next run searches it and creates its task"
    )
    return what + ("; you accept that it may be paid twice" if doubt.decision.decision == RETRY else "")
