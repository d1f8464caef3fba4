"""open.jsonl, summary.json and report.html, written anew as the journal says now, and what they have shown so far."""

import contextlib
import time
from collections.abc import Collection
from pathlib import Path

import msgspec

from pipeline.errors import SpecError
from pipeline.journal.collected import joined, unread
from pipeline.journal.places import OPEN_FILE, REPORT, SUMMARY
from pipeline.journal.sql import doubts
from pipeline.journal.sql.calls import counted
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import in_view, open_items
from pipeline.journal.sql.money import cost_of, noted
from pipeline.models import State
from pipeline.offline.opening import Place
from pipeline.results.page.view import Wishes
from pipeline.results.patent_counts import META, counts_in
from pipeline.results.reading import read_line
from pipeline.results.summary import (
    FINISHED,
    INTERRUPTED,
    RUNNING,
    Figures,
    RunSummary,
    build_summary,
    exit_of,
    item_counts,
    said_in,
)
from pipeline.run.collect_by import iso_of, start_by
from pipeline.run.directory import ENDED
from pipeline.run.end import first_of
from pipeline.run.outputs import write_outputs
from pipeline.run.tariff import tariff_of, with_spent_beside
from pipeline.system.clock import iso
from pipeline.system.fault import Fault, typed
from pipeline.system.structs import decode
from pipeline.system.wording import count, listed


def unseen(folder: Path, db: Database, *others: Path) -> list[str]:
    """List the items in doubt that open.jsonl does not name: the run that put them in doubt died before it wrote it.

    `others` are folders whose open.jsonl showed them, too.
    """
    doubtful = dict.fromkeys(doubts.ids(db))
    for place in (folder, *others):
        # A file that is not there, or is damaged from some line on, showed nobody what is missing in it.
        with contextlib.suppress(OSError, ValueError), (place / OPEN_FILE).open("rb") as lines:
            for line in lines:
                shown = read_line(line)
                if shown.status == State.IN_DOUBT.word:
                    doubtful.pop(shown.item, None)
    return list(doubtful)


def refuse_unseen(place: Place, db: Database, ids: Collection[str]) -> None:
    """Raise SpecError if one of `ids` is in doubt and nobody was shown; open.jsonl names all of them from then on."""
    new = unseen(place.folder, db)
    if not set(new) & set(ids):
        return
    remark = try_refresh(place, db)
    more = count(len(new), "more item is", "more items are")
    what = f"{more} in doubt since the run died, and nobody was shown: {listed(new)}. Nothing was decided; look first"
    fix = typed("status", place.folder)
    raise SpecError(Fault(what, where=str(place.folder / OPEN_FILE), fix=fix), *([remark] if remark else []))


def try_refresh(place: Place, db: Database) -> str:
    """Refresh the files; return "", or a remark that names the one that could not be written.

    Never raises: what was decided before is durable, and must not look as if it had failed.
    """
    try:
        refresh(place, db)
    except Exception as exc:
        reason = f"{exc.filename}: {exc.strerror}" if isinstance(exc, OSError) else f"{type(exc).__name__}: {exc}"
        return (
            f"{OPEN_FILE}, {SUMMARY} or {REPORT} could not be written anew ({reason}); the journal is right, and the "
            "next command that ends writes them"
        )
    return ""


def refresh(place: Place, db: Database, *, running: bool = False, wishes: Wishes | None = None) -> RunSummary:
    """Write open.jsonl, summary.json and report.html as the journal says now; return the summary.

    Where there are `wishes` the page must be there; one of a client alone is another page.
    """
    summary = summary_now(place, db, running=running)
    return write_outputs(place.folder, db, place.records, summary, wishes=wishes)


def summary_now(place: Place, db: Database, *, running: bool) -> RunSummary:
    """Return the last run's summary with the counts of now."""
    counts, removed = joined(db, place.folder, *in_view(db))
    return _last_summary(place, db, item_counts(counts, removed=removed), running=running)


def _last_summary(place: Place, db: Database, items: dict[str, int], *, running: bool) -> RunSummary:
    """Return the last run's summary with the items and calls of now.

    The reason for its end stays, unless the items were the reason. A summary that an older run left says nothing of the
    last one, which was killed before it wrote its own, or is under way: then a new one is made.
    """
    last = read_summary(place.folder)
    ended = not running and last is not None and has_ended(last, db)
    state = RUNNING if running else FINISHED if ended else INTERRUPTED
    now = _summary_of_journal(place, db, items, state)
    if last is None or not ended:
        return now
    if last.exit_code in (0, 1):
        last = msgspec.structs.replace(last, exit_code=now.exit_code, exit_reason=now.exit_reason)
    return msgspec.structs.replace(
        last,
        items=items,
        unread=now.unread,
        collect_by=now.collect_by,
        calls=now.calls,
        details=now.details,
        money=now.money,
        calls_per_settled=now.calls_per_settled,
        units_billed=max(last.units_billed, now.units_billed),  # a repair may have lost them
        as_of=now.as_of,
    )


def read_summary(folder: Path) -> RunSummary | None:
    """Read summary.json; None when there is none that can be read."""
    try:
        return decode((folder / SUMMARY).read_bytes(), RunSummary)
    except (OSError, msgspec.MsgspecError):
        return None


def has_ended(last: RunSummary, db: Database) -> bool:
    """Return whether the last run came to its end, and `last` is its summary."""
    started_at = db.meta("started_at") or last.started_at
    noted = db.meta(ENDED)  # runs of earlier versions did not note it
    return last.started_at == started_at and last.state == FINISHED and noted in (None, started_at)


def _summary_of_journal(place: Place, db: Database, items: dict[str, int], state: str) -> RunSummary:
    """Make a summary of the journal alone, for a run that is not over or wrote none."""
    repeated = doubts.repeated_by_itself(db, most=place.spec.api.duplicates)
    first_open, todo = first_of(open_items(db, after=0, limit=1, repeated=repeated), place.folder, place.spec)
    exit_code, exit_reason = exit_of(None, items, first_open, limited=False, todo=todo)
    if state == RUNNING:
        exit_reason = "the run is still going on"
    elif state == INTERRUPTED:
        exit_reason = f"the run was interrupted before it came to its end; {exit_reason}"
    now, calls = iso(time.time()), counted(db)
    tasks = unread(db, place.folder, now=time.time()) if place.spec.reads_later else []
    reserved = {kind: reserved for kind, (reserved, _) in calls.items()}
    spent = with_spent_beside(
        place.spec, place.folder, calls, cost_of(noted(db), tariff_of(place.spec).prices, reserved)
    )
    figures = Figures(
        started_at=db.meta("started_at") or now,
        finished_at=now,
        exit_code=exit_code,
        exit_reason=exit_reason,
        items=items,
        calls=spent.calls,
        patents=counts_in(db.meta(META)),
        costs=spent.costs,
        units=float(db.meta("units") or 0),
        said=said_in(db.meta("units_said")),
        unread=len(tasks),
        collect_by=iso_of(start_by(place.spec, tasks)),
        state=state,
    )
    return build_summary(place.folder, place.records, figures)
