"""Negative controls: the mistakes that the proofs exist to find. A proof that lets one of them pass is broken."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import pytest

from pipeline.journal import storage as disk_module
from pipeline.journal.journal import Journal
from pipeline.journal.results_file import Sink
from pipeline.journal.sql.database import ADVANCE, Step, Store
from pipeline.journal.sql.schema import configure
from pipeline.journal.steps import Intent
from pipeline.journal.writer import Writer
from pipeline.models import State


class Mutant(NamedTuple):
    """A mistake: what it is, and how it is made."""

    text: str
    apply: Callable[[pytest.MonkeyPatch], None]


def _late_intent(patch: pytest.MonkeyPatch) -> None:
    """The intent is written with the outcome only: no change of state is illegal, but nothing is there before the POST.

    (Left out altogether it is refused by the trigger in SQL, as soon as the first answer is lost.)
    """
    intend, settle, leave_open, put_back = Journal.intend, Journal.settle, Journal.leave_open, Journal.put_back
    late: dict[int, Any] = {}

    async def noted(self: Journal, work: Any, hits: Any, **how: Any) -> None:
        late[work.ord] = hits, how

    async def make_up(journal: Journal, work: Any) -> None:
        if work.ord in late:
            hits, how = late.pop(work.ord)
            await intend(journal, work, hits, **how)

    async def settling(self: Journal, work: Any, *outcome: Any) -> None:
        await make_up(self, work)
        await settle(self, work, *outcome)

    async def leaving(self: Journal, work: Any, *outcome: Any) -> None:
        await make_up(self, work)
        await leave_open(self, work, *outcome)

    def putting_back(self: Journal, work: Any, hits: Any) -> None:
        late.pop(work.ord, None)
        put_back(self, work, hits)

    patch.setattr(Journal, "intend", noted)
    patch.setattr(Journal, "settle", settling)
    patch.setattr(Journal, "leave_open", leaving)
    patch.setattr(Journal, "put_back", putting_back)


def _early_acknowledgement(patch: pytest.MonkeyPatch) -> None:
    write = Writer._write

    def early(self: Writer, disk: Any, group: Any) -> None:
        do = disk.store.do

        def telling(sql: str, *parameters: Any) -> Any:
            if sql == "COMMIT" or (sql == ADVANCE and not disk.store._connection.in_transaction):
                for operation in group:
                    if operation.result is None and isinstance(operation.argument, Intent):
                        operation.result = disk.spool._segment
                self._call_soon(self._acknowledge, group)
                time.sleep(0.002)  # the loop is as fast as it likes to be
            return do(sql, *parameters)

        disk.store.do = telling
        try:
            write(self, disk, group)
        finally:
            disk.store.do = do

    patch.setattr(Writer, "_write", early)


def _line_not_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("pipeline.journal.results_file._sync_data", lambda fd: None)


def _line_after_commit(patch: pytest.MonkeyPatch) -> None:
    """The group's lines are only noted, and appended once the commit that knows them is done."""
    append, write = Sink.append, Writer._write
    late: list[bytes] = []

    def noted(self: Sink, lines: Any) -> Any:
        late.extend(lines)
        return [self.adopt(bytes(line)) for line in lines]

    def committing_first(self: Writer, disk: Any, group: Any) -> None:
        write(self, disk, group)
        if late:
            next_, end = disk.sink._next, disk.sink._end
            append(disk.sink, late)
            disk.sink._next, disk.sink._end = next_, end
            late.clear()

    patch.setattr(Sink, "append", noted)
    patch.setattr(Writer, "_write", committing_first)


def _normal(patch: pytest.MonkeyPatch) -> None:
    def careless(execute: Any, **options: Any) -> None:
        configure(execute, **options)
        execute("PRAGMA synchronous=NORMAL").fetchall()

    patch.setattr(disk_module, "configure", careless)


def _two_commits(patch: pytest.MonkeyPatch) -> None:
    """State and task in one commit, the line's place in the next: the first design, which lost lines now and then."""
    advance = Store.advance

    def twice(self: Store, steps: Sequence[Step]) -> None:
        settled = [step for step in steps if step[1] is not State.CREATING]
        advance(self, [step for step in steps if step[1] is State.CREATING])
        within = self._connection.in_transaction
        self.do("BEGIN IMMEDIATE") if not within else None
        for ord_, state, _, _, _, _, _, task_id, task_at in settled:
            changes = "UPDATE items SET state = ?, task_id = ?, task_at = ? WHERE ord = ?"
            self.do(changes, (int(state), task_id, task_at, ord_))
        self.do("COMMIT")
        self.do("BEGIN IMMEDIATE")
        for ord_, _, calls, seq, offset, length, crc, *_ in settled:
            values = msgspec.json.encode(calls).decode(), seq, offset, length, crc, ord_
            self.do("UPDATE items SET calls = ?, seq = ?, offset = ?, length = ?, crc = ? WHERE ord = ?", values)
        self.do("COMMIT") if not within else None

    patch.setattr(Store, "advance", twice)


def _no_folder_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(disk_module, "sync_names", lambda folder: None)


MUTANTS = {
    "no-intent": Mutant("a create is sent before its intent is on disk", _late_intent),
    "early-ack": Mutant("an item is acknowledged before its commit", _early_acknowledgement),
    "line-not-synced": Mutant("the commit does not wait for the line's fdatasync", _line_not_synced),
    "line-after-commit": Mutant("the line is written after the commit that knows it", _line_after_commit),
    "normal": Mutant("synchronous=NORMAL", _normal),
    "two-commits": Mutant("state and place of a line in two commits", _two_commits),
    "no-folder-sync": Mutant("the names of new files are not synced", _no_folder_sync),
}
