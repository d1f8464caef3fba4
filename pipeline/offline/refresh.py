"""The files that people look at, written anew as the journal says now."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.job.outlook import not_looked_at, warnings
from pipeline.journal.sql import doubts
from pipeline.journal.sql.calls import counted
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import counts, open_items
from pipeline.journal.storage import RESULTS
from pipeline.models import PAID, State
from pipeline.offline.opening import Place
from pipeline.results.reading import OPEN, read_line
from pipeline.results.summary import RunSummary, Spent, calls_per_settled, item_counts, to_json
from pipeline.run.directory import SUMMARY
from pipeline.run.end import exit_of
from pipeline.system.clock import iso
from pipeline.system.files import ascii_line, write_whole
from pipeline.version import __version__

_BATCH = 512


def unseen(folder: Path, db: Database) -> list[str]:
    """List the items in doubt that open.jsonl does not name: the run that put them in doubt died before it wrote it."""
    doubtful = dict.fromkeys(doubts.ids(db))
    # A file that is not there, or is damaged from some line on, showed nobody what is missing in it.
    with contextlib.suppress(OSError, ValueError), (folder / OPEN).open("rb") as lines:
        for line in lines:
            shown = read_line(line)
            if shown.status == State.IN_DOUBT.word:
                doubtful.pop(shown.item, None)
    return list(doubtful)


def tell_anew(place: Place, db: Database) -> RunSummary:
    """Write open.jsonl and summary.json as the journal says now."""
    write_whole(place.folder / OPEN, _open_lines(place, db))
    listed = counts(db, generation=int(db.meta("generation") or 0))
    items = item_counts(listed, removed=sum(counts(db).values()) - sum(listed.values()))
    summary = _last_summary(place, db, items)
    write_whole(place.folder / SUMMARY, to_json(summary))
    return summary


def _open_lines(place: Place, db: Database) -> Iterator[bytes]:
    after = 0
    while batch := open_items(db, after=after, limit=_BATCH):
        for work, state, problem in batch:
            yield ascii_line(place.records.open(work, state, problem))
        after = batch[-1][0].ord


def _last_summary(place: Place, db: Database, items: dict[str, int]) -> RunSummary:
    """The last run's summary with the items and calls of now; why it ended stays, unless the items were the reason.

    One that an older run left says nothing of the last one, which was killed before it wrote its own.
    """
    exit_code, exit_reason = exit_of(None, items, open_items(db, after=0, limit=1), limited=False)
    fresh = _fresh_summary(place, db, items, exit_code, exit_reason)
    try:
        last = msgspec.json.decode((place.folder / SUMMARY).read_bytes(), type=RunSummary)
    except (OSError, msgspec.MsgspecError):
        return fresh
    if last.started_at != (db.meta("started_at") or last.started_at):
        return fresh
    if last.exit_code not in (0, 1):
        exit_code, exit_reason = last.exit_code, last.exit_reason
    return msgspec.structs.replace(
        last,
        items=items,
        exit_code=exit_code,
        exit_reason=exit_reason,
        calls=fresh.calls,
        calls_per_settled=fresh.calls_per_settled,
        units_billed=max(last.units_billed, fresh.units_billed),  # a repair may have lost them
    )


def _fresh_summary(place: Place, db: Database, items: dict[str, int], exit_code: int, exit_reason: str) -> RunSummary:
    """A summary where the last run was killed before it wrote one: what only that run knew is zero."""
    calls, now, spec = counted(db), iso(time.time()), place.spec
    return RunSummary(
        job=spec.name,
        run=place.folder.name,
        vendor=spec.vendor,
        tool=__version__,
        spec_sha256=place.records.spec_sha256,
        started_at=db.meta("started_at") or now,
        finished_at=now,
        duration_s=0.0,
        exit_code=exit_code,
        exit_reason=exit_reason,
        items=items,
        calls={
            kind.value: Spent(sent, reserved - sent, spec.api.budget_of(kind))
            for kind, (reserved, sent) in calls.items()
        },
        calls_this_run={kind.value: 0 for kind in PAID},
        units_billed=float(db.meta("units") or 0),
        calls_per_settled=calls_per_settled(items, {kind: sent for kind, (_, sent) in calls.items()}),
        refused_for_speed=0,
        retried=0,
        not_looked_at=not_looked_at(spec),
        warnings=warnings(spec),
        results=str(place.folder / RESULTS),
    )
