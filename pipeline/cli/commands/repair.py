"""The command `pipeline repair`. It needs no readable job, because the lines themselves name theirs."""

from pathlib import Path

from pipeline.cli.commands.repair_shards import repair_shards_command
from pipeline.cli.screen import show_lines
from pipeline.cluster.layout import shards_named
from pipeline.errors import SpecError
from pipeline.journal.begun import BEGINS_ANEW, was_stopped_at_once
from pipeline.journal.kept_files import left_over
from pipeline.journal.places import JOURNAL, OPEN_FILE, REPORT, SUMMARY, goes_on_with, results_file, run_of
from pipeline.journal.sql.items import counts
from pipeline.journal.storage import reading_only, refuse_forbidden
from pipeline.models import State
from pipeline.offline.opening import Place, find_run, opened
from pipeline.offline.refresh import refresh
from pipeline.offline.repair import is_newest, is_whole, refuse_other_copy, repair, take_kept
from pipeline.offline.resolve import resolve
from pipeline.offline.shared_tasks import certain_decisions
from pipeline.offline.whole_lines import job_of
from pipeline.run.directory import SPEC, known_runs, lock
from pipeline.run.load import folder_of
from pipeline.system.fault import Fault, typed
from pipeline.system.wording import count


def repair_command(run: Path, *, shards: list[int] | None = None, only_copy: bool = False) -> int:
    """Make a damaged run directory usable again, of many machines each shard that needs it; print what was done.

    With `only_copy` a copy, or a directory with an older journal, is the one to go on with.
    """
    run = folder_of(run) if run.is_file() else run
    if (named := shards_named(run)) is not None:
        return repair_shards_command(named[0], [*named[1], *(shards or [])], only_copy=only_copy)
    if shards:
        raise SpecError(Fault("this run has no shards; leave this out", where=f"--shard {shards[0]}", fix=""))
    place = _place(run)
    with lock(run):
        refuse_forbidden(run)
        if not only_copy:
            refuse_other_copy(run, places=known_runs())
        if was_stopped_at_once(run):
            show_lines([f"{run}: {BEGINS_ANEW}"])
            return 0
        newest = is_newest(run, places=known_runs())
        whole = newest and is_whole(run)
        if whole:
            done = [f"{run}: the journal and every line are what was written; nothing to repair"]
        else:
            done = take_kept(run)
            job = place.spec.name if place is not None else job_of(results_file(run))
            done += repair(run, job=job, newest=newest)
    if whole and not only_copy and (place is None or not _any_in_doubt(run)):
        show_lines(done)
        return 0
    with opened(run, only_copy=only_copy or not whole) as disk:
        if place is not None:
            done += resolve(disk, certain_decisions(disk), place.records)
        doubtful = counts(disk.db).get(State.IN_DOUBT, 0)
        if place is not None:
            refresh(place, disk.db)
        else:
            done.append(
                f"{SPEC} cannot be read, so {OPEN_FILE}, {SUMMARY} and {REPORT} stay as they are until the next run"
            )
    if doubtful:
        items = count(doubtful, "item is", "items are")
        done.append(f"{items} in doubt: ask the vendor; `{typed('status', run)}` names each, and how to decide")
    around = run_of(run)
    again = typed(goes_on_with(run)) if around is None else typed("collect", around)
    show_lines([*done, f"`{again}` goes on with the job"])
    return 0


def _any_in_doubt(run: Path) -> bool:
    with reading_only(run) as db:
        return bool(counts(db).get(State.IN_DOUBT, 0))


def _place(run: Path) -> Place | None:
    """Find the run and its job; None when only the job cannot be read. Raises SpecError when there is no run."""
    try:
        return find_run(run)
    except SpecError:
        if not (run / JOURNAL).is_file() and not (results_file(run)).is_file() and not left_over(run):
            raise
        return None
