"""A group of changes for the journal: what it is made of, and how it is committed."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, TypeVar

import msgspec

from pipeline.journal.kept_lines import Kept, NotExecuted
from pipeline.journal.sql.rows import Line
from pipeline.journal.storage import Disk
from pipeline.reports import PaidTask
from pipeline.system.checksum import RecordLine

_A = TypeVar("_A")
_T = TypeVar("_T")
ApplyGroup = Callable[[Disk, Sequence[_A], Sequence[Line | None]], Sequence[_T]]


class Change(msgspec.Struct):
    """A change that is applied by itself; `waiter` is None when nobody waits for it.

    `otherwise` goes to the emergency file when the change cannot be written.
    """

    apply: Callable[[Disk], Any]
    waiter: asyncio.Future[Any] | None = None
    otherwise: NotExecuted | None = None
    result: Any = None


class GroupChange(msgspec.Struct):
    """A change that is applied together with its neighbours in the group that have the same `apply_group`.

    apply_group   takes the disk, and of each change in order its argument and the place of its line; returns as many
                  results. It must change the journal in a single SQL statement: a group that holds only such changes
                  runs without BEGIN and COMMIT.
    argument      this change's argument to it
    line          appended to results.jsonl, and synced, before any change of the group
    waiter        None when nobody waits for it
    otherwise     goes to the emergency file when a change without a line cannot be written
    place         of the line, once it is written; None without a line
    """

    apply_group: ApplyGroup[Any, Any]
    argument: Any
    line: bytes | RecordLine | None = None
    waiter: asyncio.Future[Any] | None = None
    otherwise: PaidTask | None = None
    place: Line | None = None
    result: Any = None


AnyChange = Change | GroupChange


def to_keep(group: Sequence[AnyChange]) -> list[Kept]:
    """List what the emergency file must hold of a group that could not be written."""
    kept = [
        change.line or change.otherwise if isinstance(change, GroupChange) else change.otherwise for change in group
    ]
    return [line for line in kept if line is not None]


def may_stay_unsynced(group: Sequence[AnyChange]) -> bool:
    """Return whether nobody waits for any change of a group."""
    return all(isinstance(change, GroupChange) and change.waiter is None for change in group)


def commit(disk: Disk, group: Sequence[AnyChange]) -> None:
    """Apply a group to the journal, all of it or nothing; its lines are on disk already."""
    runs = [(apply_group, list(run)) for apply_group, run in groupby(group, _apply_group)]
    if len(runs) == 1 and runs[0][0] is not None:  # one statement: a transaction by itself
        _apply(disk, runs)
    else:
        disk.db.do("BEGIN IMMEDIATE")
        _apply(disk, runs)
        disk.db.do("COMMIT")


def _apply_group(change: AnyChange) -> ApplyGroup[Any, Any] | None:
    return change.apply_group if isinstance(change, GroupChange) else None


def _apply(disk: Disk, runs: Sequence[tuple[ApplyGroup[Any, Any] | None, Sequence[Any]]]) -> None:
    """Apply changes in their order; neighbours that share an `apply_group` at once."""
    for apply_group, run in runs:
        if apply_group is None:
            results: Sequence[Any] = [change.apply(disk) for change in run]
        else:
            results = apply_group(disk, [change.argument for change in run], [change.place for change in run])
        for change, result in zip(run, results, strict=True):
            change.result = result
