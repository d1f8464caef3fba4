"""The lines of reports that are collected after their tasks: the run's record, with the report or why there is none.

All that the run's record says (its search and hits, their details, what was reused) stays as it was written.
"""

import msgspec

from pipeline.models import OF_REPORT, Calls, Problem, State
from pipeline.paging import patents_in
from pipeline.reports import Report, WholeReport, tied
from pipeline.results.record import NOTHING, Record, RecordLines, Spliced, spliced
from pipeline.results.record_parts import TaskPart
from pipeline.system.checksum import crc32
from pipeline.system.structs import decode


def with_report(records: RecordLines, line: bytes, calls: Calls, report: Report) -> tuple[State, Spliced]:
    """Return state and line of an item whose report is in; `line` is its record in the run, `calls` were spent since.

    A report that brings its hits itself may bring none: then nothing was found.
    """
    first = decode(line, Record)
    state, array, search, task, drawing = State.REPORTED, bytes(first.hits), first.search, first.task, ""
    lost, remark = first.hits_lost, ""
    if isinstance(report, WholeReport) and report.hits is not None:
        state, lost, remark = report.state, report.lacks_hits, report.remark
        array, search, drawing = records.kept(report.hits), records.search(report.hits), report.drawing_file
        task = None if task is None else msgspec.structs.replace(task, hits=len(report.hits.scores))
    head = msgspec.structs.replace(
        first,
        status=state.word,
        search=search,
        task=task,
        calls=spent_since(line, calls),
        comparisons=tied(report.comparisons, patents_in(array)),
        report=msgspec.Raw(report.data),
        line_drawing=drawing,
        hits_lost=lost,
        remark=remark,
        hits=NOTHING,
    )
    return state, spliced(head, array, crc32(array))


def spent_since(line: bytes, calls: Calls) -> Calls:
    """Return the calls that an item's record in the run names, with those that were spent since."""
    first = decode(line, Record).calls
    return Calls(
        first.upload + calls.upload,
        first.search + calls.search,
        first.create + calls.create,
        first.query + calls.query,
    )


def left_open(line: bytes, state: State, problem: Problem, *, todo: str, anew: TaskPart | None) -> bytes:
    """Return the line of an item whose report did not come, for open.jsonl; `anew` is a task that was paid for since.

    `line` is its record in the run, or that of a twin.
    """
    first = decode(line, Record)
    before = "" if first.task is None else first.task.task_id
    task = anew if anew is not None or state not in OF_REPORT else first.task
    head = msgspec.structs.replace(
        first,
        status=state.word,
        error=problem,
        todo=todo,
        task=task,
        replaces="" if task is first.task else before,
        hits=NOTHING,
    )
    hits = bytes(first.hits)
    return bytes(spliced(head, hits, crc32(hits)))
