"""The removal of a run of many machines: all of its shards with all of their epochs, and what the leases have of it.

It stays while anything in it is open, as a run of one machine does, and while a worker on any machine has a shard. All
shards are owned while it goes, so that no worker begins in what is about to be gone; then the folder gets another name
at once, and only when nobody has taken us for dead meanwhile it is deleted.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.cluster.claims import Claims, GivenBack, Standing
from pipeline.cluster.directories import Directories, directories, in_a_line
from pipeline.cluster.joining import place_of_leases
from pipeline.cluster.late_lines import late_tasks
from pipeline.cluster.layout import Shard
from pipeline.cluster.machines import workers_in
from pipeline.cluster.owning import owning
from pipeline.cluster.split import read_split
from pipeline.cluster.whole_run import WholeRun, forget
from pipeline.errors import JournalError, PipelineError, RunLocked
from pipeline.journal.kept_files import digest_of, kept_here
from pipeline.journal.places import JOURNAL, SHARDS
from pipeline.journal.sql.doubts import owners
from pipeline.journal.storage import reading_only
from pipeline.leases.opening import open_store
from pipeline.leases.store import StoreUnknown
from pipeline.offline.open_parts import open_parts
from pipeline.offline.shards.resting import leases_of
from pipeline.run.directory import is_free, is_locked
from pipeline.system.fault import Fault
from pipeline.system.wording import count, listed


def epochs_in(run: Path) -> list[Path]:
    """List the run directories of all epochs of all shards that have a journal, in order."""
    return sorted(journal.parent for journal in (run / SHARDS).glob(f"*/e*/{JOURNAL}"))


def kept(run: Path, *, now: float) -> str:
    """Say why a run stays; "" when nobody works on it, and nothing in it is open. Nothing is changed."""
    try:
        found = directories(run)
        shards = _standings(run, leases_of(found))
    except (PipelineError, OSError) as error:
        return _cannot_be_read(error)
    return _worked_on(run, shards, now=now) or _open_in(found, shards, now=now)


@contextmanager
def owned(run: Path, *, now: float, say: Callable[[str], None]) -> Iterator[WholeRun]:
    """Own all shards of a run that may go while the block lasts.

    Raises RunLocked where a worker has one, or something in it is open after all, JournalError where the leases are not
    here.
    """
    if why := kept(run, now=now):  # without waiting for an owner who may live
        raise RunLocked(Fault(why))
    found, split = directories(run), read_split(run)
    leases = place_of_leases(run, leases_of(found))
    with owning(run, leases, say=say) as owner, owner.whole() as whole:
        if why := _worked_on(run, whole.before, now=now) or _open_in(found, whole.before, now=now):
            raise RunLocked(Fault(why))
        yield whole
    if whole.is_gone:
        with suppress(StoreUnknown):  # what stays there is of no use, and does no harm
            forget(open_store(leases), split.id)


def let_go(run: Path, gone: Path, whole: WholeRun) -> None:
    """Give a run that is owned another name, under which it may be deleted.

    Raises RunLocked where another took a shard over meanwhile: then it stays where it is. Raises OSError.
    """
    run.rename(gone)
    try:
        whole.is_gone = whole.is_ours()
    finally:
        if not whole.is_gone:
            gone.rename(run)
    if not whole.is_gone:
        raise RunLocked(Fault("this command was silent for too long, and another machine may have taken the run over"))


def _standings(run: Path, leases: str | None) -> list[Standing]:
    """Return how the shards stand. Raises SpecError, or JournalError where the leases are not here, or silent."""
    try:
        return Claims(open_store(place_of_leases(run, leases)), read_split(run)).look()
    except StoreUnknown as exc:
        raise JournalError(Fault(f"the leases do not answer: {exc}", where=str(run))) from None


def _worked_on(run: Path, shards: Collection[Standing], *, now: float) -> str:
    if there := [one.name for one in workers_in(run) if one.is_there(now=now)]:
        return f"a worker is there ({listed(there)})"
    if any(not is_free(epoch) and is_locked(epoch) for epoch in epochs_in(run)):
        return "a run goes on in it"
    if owned := [one for one in shards if one.worker]:
        return f"{count(len(owned), 'shard was', 'shards were')} not given back by a worker: {_names(owned)}"
    if aside := [one for one in shards if one.state is GivenBack.ASIDE]:
        return f"{count(len(aside), 'shard is', 'shards are')} set aside: {_names(aside)}"
    if left := [one for one in shards if one.state is GivenBack.OPEN]:
        return f"{count(len(left), 'shard is', 'shards are')} not finished: {_names(left)}"
    return ""


def _names(shards: Collection[Standing]) -> str:
    return listed([f"{one.shard:04}" for one in shards])


def _open_in(found: Directories, shards: Collection[Standing], *, now: float) -> str:
    """Say what is open in the first shard in which anything is."""
    assert found.cluster is not None
    wanted = {one.shard for one in shards}
    for shard in found.cluster.shards:
        try:
            why = _open_in_shard(shard, now=now) if shard.run is not None else _missing(shard.number in wanted)
        except (PipelineError, OSError) as error:
            why = _cannot_be_read(error)
        if why:
            return f"shard {shard.name}: {why}"
    return ""


def _missing(wanted: bool) -> str:
    return "its run directory is missing" if wanted else ""


def _open_in_shard(shard: Shard, *, now: float) -> str:
    assert shard.run is not None
    if why := open_parts(shard.run, now=now):
        return why
    tasks, here = late_tasks(shard.run), kept_here()
    if tasks is None or any(digest_of(epoch) in here for epoch in shard.folder.glob("e*")):
        return "what was paid when a disk failed is not taken in yet"
    if tasks:
        with reading_only(shard.run) as db:
            if tasks - owners(db, tasks).keys():
                return "tasks that were paid came late, and are not taken in"
    return ""


def _cannot_be_read(error: BaseException) -> str:
    return f"it cannot be read ({in_a_line(error)})"
