"""The page of one client: made of its records alone, so that nothing of another one is in it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.errors import SpecError
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import count_labelled_waiting
from pipeline.results.before import read_before
from pipeline.results.left_out import left_out
from pipeline.results.page.page import Written
from pipeline.results.page.view import COUNTED, NOT_STARTED, Wishes
from pipeline.results.reading import RecordView
from pipeline.results.record import RecordLines
from pipeline.results.summary import RunSummary
from pipeline.results.survey import Survey
from pipeline.run.outputs import surveys_of
from pipeline.run.page import write_page
from pipeline.system.fault import Fault
from pipeline.system.wording import listed

Surveys = Callable[[Callable[[RecordView], bool]], tuple[Survey, Survey]]  # of settled and of open records


class OfClient(NamedTuple):
    """The records of one client, and what is to be said of them as of a run."""

    summary: RunSummary
    settled: Survey
    open_: Survey


def write_client_page(folder: Path, db: Database, records: RecordLines, summary: RunSummary, wishes: Wishes) -> Written:
    """Write the page of the client that `wishes` name, after the files of the whole run.

    Its counts, and what was not looked at, are those of its own products. Raises SpecError where it has none.
    """
    label = (wishes.report or records.spec.report).client_label
    waiting = count_labelled_waiting(db, label, wishes.client)
    own = of_client(lambda only: surveys_of(folder, db, only), label, wishes.client, summary, waiting=waiting)
    before = read_before(folder, summary, wishes.since)
    return write_page(records.spec, folder, own.summary, own.open_, own.settled, wishes=wishes, before=before)


def of_client(surveys: Surveys, label: str, client: str, summary: RunSummary, *, waiting: int) -> OfClient:
    """Take what is a client's out of a run; `waiting` are its items without an outcome. Raises SpecError for none."""
    settled, open_ = surveys(is_of(label, client))
    counts = {word: settled.statuses[word] + open_.statuses[word] for word in COUNTED} | {NOT_STARTED: waiting}
    if not any(counts.values()):
        raise SpecError(Fault(f"no product has the label {label}: {client}{_others(surveys, label)}"))
    items = {**dict.fromkeys(summary.items, 0), **counts}
    left = left_out(settled, open_, items)
    nothing = {"exit_reason": "", "ended_by": "", "money": None, "unread": 0, "collect_by": ""}
    return OfClient(msgspec.structs.replace(summary, items=items, not_looked_at=left, **nothing), settled, open_)


def is_of(label: str, client: str) -> Callable[[RecordView], bool]:
    """Return what says whether a record is of a client."""
    return lambda record: record.image.labels.get(label) == client


def _others(surveys: Surveys, label: str) -> str:
    """Name the clients that there are, for who mistyped one."""
    names: dict[str, None] = {}

    def note(record: RecordView) -> bool:
        if (name := record.image.labels.get(label)) is not None:
            names.setdefault(name)
        return False

    found = surveys(note)
    assert not any(map(len, found))
    return f"; there are {listed(sorted(names), most=10)}" if names else f"; no product has a label {label!r}"
