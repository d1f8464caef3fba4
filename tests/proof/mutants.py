"""Negative controls: the mistakes that the proofs exist to find. A proof that lets one of them pass is broken."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from pipeline.engine.patent_budget import PatentBudget
from pipeline.journal import storage as disk_module
from pipeline.journal.results_file import ResultsFile
from pipeline.journal.spool import Spool
from pipeline.journal.sql import changes, database, doubts
from pipeline.journal.sql.changes import ADVANCE, Step
from pipeline.journal.sql.database import UNSYNCED, Database
from pipeline.journal.steps import Steps
from pipeline.journal.writer import Writer
from pipeline.models import SETTLED
from pipeline.run import directory, execution, known_patents
from pipeline.run.known_patents import KnownPatents
from pipeline.system import files


class Mutant(NamedTuple):
    """A mistake: what it is, and how it is made."""

    text: str
    apply: Callable[[pytest.MonkeyPatch], None]


def _late_intent(patch: pytest.MonkeyPatch) -> None:
    """The intent is written with the outcome only: no change of state is illegal, but nothing is there before the POST.

    (Left out altogether it is refused by the trigger in SQL, as soon as the first answer is lost.)
    """
    intend, settle, leave_open, put_back = Steps.intend, Steps.settle, Steps.leave_open, Steps.put_back
    late: dict[int, Any] = {}

    async def noted(self: Steps, work: Any, hits: Any, **how: Any) -> None:
        late[work.ord] = hits, how

    async def make_up(steps: Steps, work: Any) -> None:
        if work.ord in late:
            hits, how = late.pop(work.ord)
            await intend(steps, work, hits, **how)

    async def settling(self: Steps, work: Any, *outcome: Any) -> None:
        await make_up(self, work)
        await settle(self, work, *outcome)

    async def leaving(self: Steps, work: Any, *outcome: Any) -> None:
        await make_up(self, work)
        await leave_open(self, work, *outcome)

    def putting_back(self: Steps, work: Any, hits: Any) -> None:
        late.pop(work.ord, None)
        put_back(self, work, hits)

    patch.setattr(Steps, "intend", noted)
    patch.setattr(Steps, "settle", settling)
    patch.setattr(Steps, "leave_open", leaving)
    patch.setattr(Steps, "put_back", putting_back)


def _early_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    write = Writer._write

    def early(self: Writer, disk: Any, group: Any) -> None:
        do = disk.db.do

        def telling(sql: str, *parameters: Any) -> Any:
            if sql == "COMMIT" or (sql.startswith(ADVANCE) and not disk.db.connection.in_transaction):
                self._call_soon(self._acknowledge, group)
                time.sleep(0.005)  # the loop is as fast as it likes to be
            return do(sql, *parameters)

        disk.db.do = telling
        try:
            write(self, disk, group)
        finally:
            disk.db.do = do

    patch.setattr(Writer, "_write", early)


def _line_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("pipeline.journal.results_file._sync_data", lambda fd: None)


def _line_after_commit(patch: pytest.MonkeyPatch) -> None:
    """The group's lines are only noted, and appended once the commit that knows them is done."""
    append, write = ResultsFile.append, Writer._write
    late: list[bytes] = []

    def noted(self: ResultsFile, lines: Any) -> Any:
        late.extend(lines)
        return [self.adopt(bytes(line)) for line in lines]

    def committing_first(self: Writer, disk: Any, group: Any) -> None:
        write(self, disk, group)
        if late:
            next_, end = disk.results._next, disk.results._end
            time.sleep(0.005)  # the disk is as slow as it likes to be
            append(disk.results, late)
            disk.results._next, disk.results._end = next_, end
            late.clear()

    patch.setattr(ResultsFile, "append", noted)
    patch.setattr(Writer, "_write", committing_first)


def _normal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(database, "DURABLE", UNSYNCED)


def _two_commits(patch: pytest.MonkeyPatch) -> None:
    """State and task in one commit, the line's place in the next: the first design, which lost lines now and then."""
    advance = changes.advance

    def twice(db: Database, steps: Sequence[Step]) -> None:
        settled = [step for step in steps if step[1] in SETTLED]
        advance(db, [step for step in steps if step[1] not in SETTLED])
        within = db.connection.in_transaction
        db.do("BEGIN IMMEDIATE") if not within else None
        for ord_, state, _, _, _, _, _, task_id, task_at, *_ in settled:
            change = "UPDATE items SET state = ?, task_id = ?, task_at = ? WHERE ord = ?"
            db.do(change, (state, task_id, task_at, ord_))
        db.do("COMMIT")
        db.do("BEGIN IMMEDIATE")
        for ord_, _, calls, seq, offset, length, crc, *_ in settled:
            change = "UPDATE items SET calls = ?, seq = ?, offset = ?, length = ?, crc = ? WHERE ord = ?"
            db.do(change, (calls, seq, offset, length, crc, ord_))
        db.do("COMMIT") if not within else None

    patch.setattr(changes, "advance", twice)


def _no_folder_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(disk_module, "sync_names", lambda folder: None)


def _page_not_awaited(patch: pytest.MonkeyPatch) -> None:
    """A page is written with the next group, and nobody waits for that: as it was before these campaigns knew pages."""

    async def posted(self: Steps, work: Any, hits: Any) -> None:
        self.found(work, hits)

    patch.setattr(Steps, "found_page", posted)


def _not_laid_by(patch: pytest.MonkeyPatch) -> None:
    async def forgetting(self: Steps, work: Any, line: Any) -> None:
        return None

    patch.setattr(Steps, "lay_by", forgetting)


def _task_told_early(patch: pytest.MonkeyPatch) -> None:
    """The engine goes on with a task whose report is awaited before its row is written."""
    await_report = Steps.await_report
    late: list[Any] = []

    async def early(self: Steps, work: Any, task: Any, note: Any) -> None:
        async def after_a_while() -> None:
            await asyncio.sleep(0.05)
            await await_report(self, work, task, note)

        late.append(asyncio.get_running_loop().create_task(after_a_while()))

    patch.setattr(Steps, "await_report", early)


def _view_not_kept(patch: pytest.MonkeyPatch) -> None:
    async def forgetting(self: Steps, sha256: str, upload: Any) -> None:
        self._views[sha256] = upload

    patch.setattr(Steps, "view_uploaded", forgetting)


def _patent_not_kept(patch: pytest.MonkeyPatch) -> None:
    """What was said of a patent stays in the memory of the run that asked."""

    def in_memory(self: KnownPatents, endpoint: str, answers: Any) -> None:
        self._memory |= {(endpoint, id_): answer for id_, answer in answers.items()}

    patch.setattr(KnownPatents, "keep", in_memory)


def _patents_not_counted(patch: pytest.MonkeyPatch) -> None:
    """A call for many patents counts as one."""

    async def reserving(self: PatentBudget, patents: int) -> None:
        await reserve(self, 1)

    reserve = PatentBudget.reserve
    patch.setattr(PatentBudget, "reserve", reserving)


def _doubt_retried_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(doubts, "leave_to_person", lambda db, ord_: None)


def _drawing_not_written(patch: pytest.MonkeyPatch) -> None:
    for module in (directory, execution):
        patch.setattr(module, "keep_drawing", lambda folder, name, data: None)


def _drawing_not_synced(patch: pytest.MonkeyPatch) -> None:
    write = directory.write_whole
    patch.setattr(directory, "write_whole", lambda file, data, **how: write(file, data, durable=False, **how))


def _hits_of_reports_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Spool, "sync", lambda self, ords: None)


def _late_name_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(files, "sync_folder", lambda folder: None)


def _patents_folder_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(known_patents, "sync_names", lambda folder: None)


MUTANTS = {
    "no-intent": Mutant("a create is sent before its intent is on disk", _late_intent),
    "early-ack": Mutant("an item is acknowledged before its commit", _early_acknowledgement),
    "line-not-synced": Mutant("the commit does not wait for the line's fdatasync", _line_not_synced),
    "line-after-commit": Mutant("the line is written after the commit that knows it", _line_after_commit),
    "normal": Mutant("synchronous=NORMAL", _normal),
    "two-commits": Mutant("state and place of a line in two commits", _two_commits),
    "page-not-awaited": Mutant("the next page is asked for before the last one is written", _page_not_awaited),
    "not-laid-by": Mutant("a record waits for its details without being laid by", _not_laid_by),
    "task-told-early": Mutant("a task whose report is awaited is told to be there before its row is", _task_told_early),
    "view-not-kept": Mutant("the upload of a view is not written down", _view_not_kept),
    "patent-not-kept": Mutant("what was said of a patent is not written to the cache", _patent_not_kept),
    "patents-not-counted": Mutant("a call for many patents counts as one", _patents_not_counted),
    "doubt-retried-for-ever": Mutant("a doubt that was retried once is retried again", _doubt_retried_for_ever),
    "drawing-not-written": Mutant("the drawing of a report is not written", _drawing_not_written),
    "drawing-not-synced": Mutant("the drawing of a report is not synced", _drawing_not_synced),
    "hits-not-synced": Mutant("the hits of a task whose report is awaited are not synced", _hits_of_reports_not_synced),
    "late-name-not-synced": Mutant("the name of details.jsonl is not synced", _late_name_not_synced),
    "patents-folder-not-synced": Mutant("the folder of the cache of patents is not synced", _patents_folder_not_synced),
    "no-folder-sync": Mutant("the names of new files are not synced", _no_folder_sync),
}
