"""The counts on the page of a run that goes on: `python -m pipeline.offline.counts_page RUN`, as the run starts it.

A page with products keeps them and says beside them how the run stands now; where there is none, one of counts alone is
written. Nothing but report.html is touched, and nothing is sent.
"""

import os
import sys
from pathlib import Path

from pipeline.journal.places import REPORT
from pipeline.journal.storage import reading_only
from pipeline.offline.opening import find_run
from pipeline.offline.refresh import summary_now
from pipeline.results.page.marks import put_marks
from pipeline.results.page.page import write_report
from pipeline.results.page.thumbs import NoPictures
from pipeline.results.page.view import COUNTED, Wishes
from pipeline.results.summary import RUNNING
from pipeline.results.survey import Survey
from pipeline.run.page import view_of


def write_counts(folder: Path) -> None:
    """Write how a run stands into its page. Raises SpecError, JournalError or OSError."""
    place = find_run(folder)
    with reading_only(folder) as db:
        db.do("BEGIN")  # one state of the journal
        summary = summary_now(place, db, running=True)
    counted = {word: summary.items.get(word, 0) for word in COUNTED}
    if put_marks(folder / REPORT, counted, RUNNING, summary.as_of):
        return
    view = view_of(place.spec, folder, summary, Wishes())
    write_report(folder / REPORT, view, Survey(), Survey(), pictures=NoPictures())


def stand_back() -> None:
    """Let every other process go first."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    os.nice(19)


if __name__ == "__main__":
    stand_back()
    write_counts(Path(sys.argv[1]))
