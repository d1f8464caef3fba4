"""The repair of the shards of a cluster run that need one, each owned meanwhile, so that nobody works on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.cluster.claims import Standing
from pipeline.cluster.directories import Directories
from pipeline.cluster.epochs import folder_of, read_note
from pipeline.cluster.layout import ITEMS, Shard
from pipeline.cluster.mending import Copy, find_lines, newest_there
from pipeline.cluster.owning import Owner
from pipeline.errors import JournalError, PipelineError, RunLocked, SpecError
from pipeline.journal.begun import REPAIRING, has_begun, was_stopped_at_once
from pipeline.journal.identity import NOTE, of_journal, of_note, refuse_older_copy
from pipeline.journal.places import JOURNAL, REPORTS, collection_of, results_file
from pipeline.journal.sql.items import counts
from pipeline.journal.storage import reading_only
from pipeline.models import State
from pipeline.offline.opening import Place, find_run, opened
from pipeline.offline.refresh import try_refresh
from pipeline.offline.repair import is_newest, is_whole, repair, take_kept
from pipeline.offline.resolve import resolve
from pipeline.offline.shared_tasks import certain_decisions
from pipeline.offline.whole_lines import job_of
from pipeline.run.directory import SPEC, known_runs
from pipeline.system.fault import Fault
from pipeline.system.wording import count


class Looked(NamedTuple):
    """A shard after a repair.

    done    what was done, a line each; nothing where it is whole
    failed  why it could not be repaired; None where it could, or need not
    """

    shard: Shard
    done: list[str]
    failed: PipelineError | None = None


def repair_shards(found: Directories, owner: Owner, numbers: list[int], *, only_copy: bool) -> Iterator[Looked]:
    """Look at shards one after the other, all where no numbers are named, and repair those that need it.

    Raises SpecError for a number that no shard has.
    """
    shards = {shard.number: shard for shard in (() if found.cluster is None else found.cluster.shards)}
    if unknown := [number for number in numbers if number not in shards]:
        what = f"there is no shard {unknown[0]:04}; this run has {len(shards):,}, from 0000"
        raise SpecError(Fault(what, where=str(found.folder), fix=""))
    standings = {one.shard: one for one in owner.standings()}
    for number in numbers or list(shards):
        yield _look(shards[number], owner, standings.get(number, Standing(number)), only_copy=only_copy)


def _look(shard: Shard, owner: Owner, standing: Standing, *, only_copy: bool) -> Looked:
    try:
        done = _repaired(shard, owner, only_copy=only_copy) if is_damaged(shard.folder, standing) else []
        _refuse_lost_list(shard)
    except (RunLocked, JournalError, SpecError) as error:
        return Looked(shard, [], error)
    return Looked(shard, done)


def is_damaged(shard: Path, standing: Standing) -> bool:
    """Return whether the newest run directory of a shard is damaged or gone.

    Nothing is changed, and a worker may be writing: then it may seem so for a moment.
    """
    newest = newest_there(shard, max((standing.base, *standing.tried, standing.number)))
    if newest < standing.base:
        return True
    run = folder_of(shard, newest)
    try:
        if not newest or not has_begun(run):
            return False
        return read_note(run) is None or any(map(_is_damaged, _journals(run)))
    except JournalError:
        return True


def _is_damaged(run: Path) -> bool:
    places = known_runs()
    return not (is_newest(run, places=places, own=False) and is_whole(run, own=False))


def _journals(run: Path) -> list[Path]:
    """List what has a journal, or had one: a run directory, and the one inside it whose reports were collected."""
    reports = collection_of(run)
    had = [reports / JOURNAL, reports / REPAIRING, run / REPORTS, *reports.glob(f"{JOURNAL}.damaged-*")]
    there = reports.is_dir() and any(file.exists() for file in had) and not was_stopped_at_once(reports)
    return [run, reports] if there else [run]


def _repaired(shard: Shard, owner: Owner, *, only_copy: bool) -> list[str]:
    """Own a shard and repair it; return what was done, a line each."""
    done: list[str] = []

    def mend(copy: Copy) -> bool:
        done.extend(_mended(copy, only_copy=only_copy))
        return bool(done)

    with owner.mended(shard.number, mend) as run:
        if run is None:
            return []
        done.insert(0, f"{run.name} goes on, a repaired copy; what was damaged stays in the folders before it")
        for one in _journals(run):
            done.extend(_decided(one))
    return done


def _mended(copy: Copy, *, only_copy: bool) -> Iterator[str]:
    """Repair a copy of a run directory; yield what was done, nothing where all of it is whole."""
    draft = copy.draft
    _refuse_older(copy, only_copy=only_copy)
    found = find_lines(draft)
    if found:
        yield f"{count(found, 'line')} that it had lost came from the folders before it"
    if not copy.newest:
        yield f"its newest run directory is gone, and {copy.source.name} does not know what was paid since"
    if not copy.noted:
        yield f"the note of {copy.source.name}, which says what it began with, is written anew"
    for one in _journals(draft):
        newest = copy.newest and is_newest(one, places=known_runs())
        if newest and is_whole(one):
            continue
        yield from take_kept(one)
        yield from repair(one, job=_job_of(one), newest=newest)


def _refuse_older(copy: Copy, *, only_copy: bool) -> None:
    """Raise JournalError where an older journal was put back: only a person can say that it is to go on."""
    for one, source in ((copy.draft, copy.source), (collection_of(copy.draft), collection_of(copy.source))):
        if only_copy or not (one / JOURNAL).is_file():
            continue
        try:
            with reading_only(one, own=True) as db:
                known = of_journal(db)
        except JournalError:  # damaged: whatever it may have forgotten is put in doubt
            continue
        refuse_older_copy(source, known, noted=of_note(one / NOTE), places=known_runs())


def _job_of(run: Path) -> str:
    try:
        return find_run(run).spec.name
    except SpecError:
        return job_of(results_file(run))


def _decided(run: Path) -> Iterator[str]:
    """Decide what is certain in a repaired run directory, and write its files anew; yield what was done."""
    place: Place | None = None
    try:
        place = find_run(run)
    except SpecError:
        yield f"{SPEC} cannot be read; the next worker writes it anew"
    with opened(run, only_copy=True) as disk:
        if place is not None:
            yield from resolve(disk, certain_decisions(disk), place.records)
        if doubtful := counts(disk.db).get(State.IN_DOUBT, 0):
            yield f"{count(doubtful, 'item is', 'items are')} in doubt"
        if place is not None and (remark := try_refresh(place, disk.db)):
            yield remark


def _refuse_lost_list(shard: Shard) -> None:
    """Raise JournalError where the items of a shard are not all listed: nothing else says what they are."""
    file = shard.folder / ITEMS
    try:
        with file.open("rb") as lines:
            there = sum(1 for _ in lines)
    except OSError as exc:
        what = f"the list of its items cannot be read ({exc.strerror}); put it back"
        raise JournalError(Fault(what, where=str(file))) from None
    if shard.items > there:
        what = f"the list of its items has {there:,} of {count(shard.items, 'line')}; put it back"
        raise JournalError(Fault(what, where=str(file)))
