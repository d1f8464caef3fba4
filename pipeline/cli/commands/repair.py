"""`repair`: also where the job as it was run cannot be read, for the lines themselves name their job."""

from pathlib import Path

from pipeline.cli.screen import show_lines, stdout_console
from pipeline.errors import SpecError
from pipeline.journal.sql.items import counts
from pipeline.journal.storage import JOURNAL, RESULTS
from pipeline.models import State
from pipeline.offline.opening import Place, find_run, opened
from pipeline.offline.refresh import tell_anew
from pipeline.offline.repair import is_whole, repair
from pipeline.offline.whole_lines import job_of
from pipeline.results.reading import OPEN
from pipeline.run.directory import REPORT, SPEC, SUMMARY, lock
from pipeline.run.embedded_sandbox import hit_picture
from pipeline.run.end import write_report_page
from pipeline.system.wording import count


def repair_command(run: Path) -> int:
    """Make a damaged run directory usable again; say what was done."""
    place = _place(run)
    with lock(run):
        if is_whole(run):
            show_lines([f"{run}: the journal and every line are what was written; nothing to repair"], stdout_console())
            return 0
        said = repair(run, job=place.spec.name if place is not None else job_of(run / RESULTS))
    with opened(run) as disk:
        doubtful = counts(disk.db).get(State.IN_DOUBT, 0)
        if place is not None:
            summary = tell_anew(place, disk.db)
            write_report_page(place.spec, run, summary, hit_picture=hit_picture(place.spec, run))
        else:
            said.append(f"{SPEC} cannot be read, so {OPEN}, {SUMMARY} and {REPORT} stay as they are until the next run")
    if doubtful:
        items = count(doubtful, "item is", "items are")
        said.append(f"{items} in doubt: ask the vendor, then decide with `pipeline resolve {run}`")
    show_lines([*said, "`pipeline run` goes on with the job"], stdout_console())
    return 0


def _place(run: Path) -> Place | None:
    """The run and its job; None where only the job cannot be read. Raises SpecError when there is no run."""
    try:
        return find_run(run)
    except SpecError:
        if not (run / JOURNAL).is_file() and not (run / RESULTS).is_file():
            raise
        return None
