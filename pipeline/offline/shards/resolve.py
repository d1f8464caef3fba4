"""Decisions about items in doubt of a cluster run: each takes effect in its item's shard, which is owned meanwhile."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.cluster.directories import Directories
from pipeline.cluster.ids import shards_of
from pipeline.cluster.owning import Owner
from pipeline.errors import JournalError, SpecError
from pipeline.journal.sql import doubts, items
from pipeline.journal.storage import reading_only
from pipeline.models import State
from pipeline.offline.decisions import Decision
from pipeline.offline.opening import find_run, opened
from pipeline.offline.refresh import try_refresh, unseen
from pipeline.offline.resolve import all_in_doubt, not_in_doubt, resolve
from pipeline.system.fault import Fault, typed
from pipeline.system.wording import count, listed

_DOUBTFUL = (State.IN_DOUBT, State.CREATING)  # what was under way when a worker died is in doubt for its successor


class _Begun(NamedTuple):
    number: int
    run: Path


class Placed(NamedTuple):
    """A shard and the decisions about its items."""

    shard: int
    run: Path  # as it is now
    decisions: list[Decision]


def place(found: Directories, decisions: Sequence[Decision]) -> list[Placed]:
    """Find the shards of decisions. Raises SpecError that names every one that cannot be applied, and none is."""
    runs = {shard.number: shard.run for shard in _begun(found)}
    placed: dict[int, list[Decision]] = defaultdict(list)
    faults: list[str] = []
    status = typed("status", found.folder)
    for decision in decisions:
        number, state = _home(found, runs, decision.id)
        if number is None or state not in _DOUBTFUL:
            faults.append(not_in_doubt(decision, state, status))
        else:
            placed[number].append(decision)
    faults += _tasks_of_others(runs, placed)
    if faults:
        raise SpecError(*faults, *found.not_read.values(), "nothing was applied")
    return [Placed(number, runs[number], placed[number]) for number in sorted(placed)]


def doubtful(found: Directories, decision: str) -> list[Placed]:
    """Take the same decision about every item in doubt."""
    placed = []
    for shard, run in ((shard, shard.run) for shard in _begun(found)):
        with reading_only(run) as db:
            if any(items.counts(db).get(state) for state in _DOUBTFUL):
                placed.append(Placed(shard.number, run, all_in_doubt(db, decision)))
    return placed


def resolve_shard(found: Directories, owner: Owner, placed: Placed, everything: str | None) -> tuple[list[str], str]:
    """Apply the decisions about one shard, all or none; return what was done, a line each, and a remark."""
    with owner.owned(placed.shard) as folder:
        run = find_run(folder)
        with opened(folder) as disk:
            decisions = placed.decisions if everything is None else all_in_doubt(disk.db, everything)
            new = unseen(folder, disk.db, found.folder, placed.run)
            if set(new) & {decision.id for decision in decisions}:
                raise SpecError(_not_shown(found.folder, new))
            done = resolve(disk, decisions, run.records)
            return done, try_refresh(run, disk.db)


def still_in_doubt(found: Directories) -> int:
    """Count the items of all shards that are in doubt."""
    return sum(number for number in found.each(_doubts_in))


def _doubts_in(run: Path) -> int:
    with reading_only(run) as db:
        return items.counts(db).get(State.IN_DOUBT, 0)


def _not_shown(folder: Path, new: list[str]) -> Fault:
    more = count(len(new), "more item is", "more items are")
    what = f"{more} in doubt since a worker died, and nobody was shown: {listed(new)}. Nothing was decided; look first"
    return Fault(what, where=str(folder), fix=typed("report", folder))


def _begun(found: Directories) -> Iterator[_Begun]:
    shards = () if found.cluster is None else found.cluster.shards
    return (_Begun(shard.number, shard.run) for shard in shards if shard.run is not None)


def _home(found: Directories, runs: dict[int, Path], id_: str) -> tuple[int | None, State | None]:
    """Find the shard of an id, and its state there; None where none has it."""
    try:
        named = [number for number in shards_of(found.folder, id_) if number in runs]
    except JournalError:  # without the index each journal is asked
        named = list(runs)
    for number in named:
        with reading_only(runs[number]) as db:
            if (there := items.find(db, id_)) is not None:
                return number, there[1]
    return None, None


def _tasks_of_others(runs: dict[int, Path], placed: dict[int, list[Decision]]) -> Iterator[str]:
    """Name the decisions whose task is that of an item in another shard, which the shard itself cannot know."""
    wanted = {one.task_id: (number, one) for number, mine in placed.items() for one in mine if one.task_id}
    for number, mine in placed.items():
        for one in mine:
            if one.task_id is not None and wanted[one.task_id][0] != number:
                other = wanted[one.task_id][1]
                yield Fault(f"{one.id!r}: task {one.task_id} is the one of {other.id!r}", where=one.origin)
    for number, run in runs.items() if wanted else ():
        with reading_only(run) as db:
            known = doubts.owners(db, wanted.keys())
        for task_id, owner in known.items():
            shard, one = wanted[task_id]
            if shard != number:
                yield Fault(f"{one.id!r}: task {task_id} is the one of {owner!r}", where=one.origin)
