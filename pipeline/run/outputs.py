"""open.jsonl, summary.json and report.html: written for people by the end of a run, and anew by `resolve` and others.

All three are made from one state of the journal, so that they agree; each takes its place whole.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from pipeline.errors import SpecError
from pipeline.journal.epochs import is_epoch
from pipeline.journal.places import OPEN_FILE, SUMMARY, results_file, run_of
from pipeline.journal.sql import line_index
from pipeline.journal.sql.database import Database
from pipeline.results.before import Before, read_before
from pipeline.results.joining import read_joined
from pipeline.results.late_details import read_late
from pipeline.results.left_out import left_out
from pipeline.results.open_lines import write_open
from pipeline.results.page.runs import write_runs
from pipeline.results.page.view import Wishes
from pipeline.results.reading import RecordView
from pipeline.results.record import RecordLines
from pipeline.results.summary import RunSummary, to_json
from pipeline.results.survey import Part, Survey, survey
from pipeline.run.changed import changed_pictures
from pipeline.run.page import write_page
from pipeline.run.similar import similar_in
from pipeline.system.fault import typed
from pipeline.system.files import write_whole

_log = logging.getLogger(__name__)


def write_outputs(
    folder: Path,
    db: Database,
    records: RecordLines,
    summary: RunSummary,
    *,
    wishes: Wishes | None = None,
    since: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> RunSummary:
    """Write all three; return the summary with what the records say.

    `since` is the run that a run is compared with, where nobody wishes anything: none, last (also None), or a name.
    A page that cannot be written is logged and said, and takes nothing from a run, unless a person wishes it. Raises
    SpecError where the file of decisions that is wished for cannot be used, or the run to compare with is not there.
    """
    before = _before(folder, summary, wishes, since)
    write_open(folder, db, records)
    settled, open_ = surveys_of(folder, db)
    found = changed_pictures(db, records.spec, now=time.time())
    changed = [one.source for one in found if not one.now_item]
    summary = msgspec.structs.replace(summary, not_looked_at=left_out(settled, open_, summary.items, changed=changed))
    if run_of(folder) is None:
        summary = msgspec.structs.replace(summary, similar=similar_in(records.spec, settled, open_, before))
    write_whole(folder / SUMMARY, to_json(summary))
    if run_of(folder) is not None:  # the page of the run shows its reports
        return summary
    try:
        write_page(records.spec, folder, summary, open_, settled, wishes=wishes and wishes.of_all(), before=before)
    except Exception as exc:  # whatever it is, the run is over and its exit code stands
        if wishes is not None:
            raise
        _log.error("report.failed error=%s %s", type(exc).__name__, exc)
        reason = " ".join(str(exc).split())[:400] or type(exc).__name__
        say(f"note: the page was not written: {reason}; once that is mended, run `{typed('report', folder)}`")
    if not is_epoch(folder):
        write_runs(folder.parent)
    return summary


def _before(folder: Path, summary: RunSummary, wishes: Wishes | None, since: str | None) -> Before:
    """Read the run before. Raises SpecError where a person wishes one that is not there; a run has one that is."""
    if run_of(folder) is not None or is_epoch(folder):
        return Before()
    try:
        return read_before(folder, summary, since if wishes is None else wishes.since)
    except SpecError as error:
        if wishes is not None:
            raise
        _log.info("since.not_compared %s", error)
        return Before()


def surveys_of(folder: Path, db: Database, only: Callable[[RecordView], bool] | None = None) -> tuple[Survey, Survey]:
    """Go through the settled and the open records that the journal knows."""
    last = line_index.last(db)
    known = last.seq + 1 if last is not None else 0  # to the journal
    late, joined = read_late(folder), read_joined(folder)
    settled = survey(Part(results_file(folder), known, late, joined), only=only)
    return settled, survey(Part(folder / OPEN_FILE), only=only)
