"""open.jsonl, summary.json and report.html: written for people by the end of a run, and anew by `resolve` and others.

All three are made from one state of the journal, so that they agree; each takes its place whole.
"""

import logging
import time
from pathlib import Path

import msgspec

from pipeline.errors import ItemRefused
from pipeline.job.schema import JobSpec
from pipeline.journal.places import results_file, run_of
from pipeline.journal.sql import line_index
from pipeline.journal.sql.database import Database
from pipeline.results.joining import read_joined
from pipeline.results.late_details import read_late
from pipeline.results.left_out import left_out
from pipeline.results.open_lines import write_open
from pipeline.results.page.page import write_report
from pipeline.results.page.view import COUNTED, RunView
from pipeline.results.reading import OPEN
from pipeline.results.record import RecordLines
from pipeline.results.summary import RunSummary, to_json
from pipeline.results.survey import Survey, survey
from pipeline.run.changed import changed_pictures
from pipeline.run.directory import REPORT, SUMMARY
from pipeline.run.embedded_sandbox import hit_picture as pictures_of_hits
from pipeline.sources.pictures import preview_picture, read_picture
from pipeline.system.files import write_whole

_log = logging.getLogger(__name__)


def write_outputs(
    folder: Path, db: Database, records: RecordLines, summary: RunSummary, *, page_must: bool = False
) -> RunSummary:
    """Write all three; return the summary with what the records say.

    A page that cannot be written is logged and takes nothing from a run, unless `page_must` be there.
    """
    write_open(folder, db, records)
    last = line_index.last(db)
    known = last.seq + 1 if last is not None else 0  # to the journal
    settled = survey(results_file(folder), most=known, late=read_late(folder), joined=read_joined(folder))
    open_ = survey(folder / OPEN)
    found = changed_pictures(db, records.spec, now=time.time())
    changed = [one.source for one in found if not one.now_item]
    summary = msgspec.structs.replace(summary, not_looked_at=left_out(settled, open_, summary.items, changed=changed))
    write_whole(folder / SUMMARY, to_json(summary))
    if run_of(folder) is not None:  # the page of the run shows its reports
        return summary
    try:
        _write_page(records.spec, folder, summary, open_, settled)
    except Exception as exc:  # whatever it is, the run is over and its exit code stands
        if page_must:
            raise
        _log.error("report.failed error=%s %s", type(exc).__name__, exc)
    return summary


def _write_page(spec: JobSpec, folder: Path, summary: RunSummary, open_: Survey, settled: Survey) -> None:
    hit_picture = pictures_of_hits(spec, folder)
    view = RunView(
        job=summary.job,
        vendor=summary.vendor,
        rehearsal=summary.rehearsal,
        tool=summary.tool,
        started_at=summary.started_at,
        finished_at=summary.finished_at,
        counts={word: summary.items.get(word, 0) for word in COUNTED},
        calls={kind: spent.sent for kind, spent in summary.calls.items()},
        billed=summary.billed,
        money=str(summary.money or ""),
        exit_reason=summary.exit_reason,
        not_looked_at=summary.not_looked_at,
        search=spec.search.endpoint + ("" if spec.submits else f", the {spec.search.limit} most similar"),
        ended_by=summary.ended_by,
        daily=spec.api.is_daily(summary.ended_by),
        state=summary.state,
        as_of=summary.as_of,
    )

    def picture(source: str, sha256: str | None) -> bytes | None:
        if source.startswith(("https://", "http://")):
            return hit_picture(source)
        try:
            read = preview_picture if spec.upload.fit else read_picture  # nobody needs it in full here
            now = read(spec.root_path, source)
        except ItemRefused:
            return None
        # A file that changed since it was searched is another picture: it must not stand beside these hits.
        return now.data if sha256 in (None, now.sha256) else None

    write_report(folder / REPORT, view, open_, settled, picture=picture)
