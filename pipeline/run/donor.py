"""One other run directory, open to be read: what it paid for a picture, from its records and from its journal."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from pipeline.endpoints.patsnap.endpoints import endpoints_for
from pipeline.endpoints.patsnap.similar_designs import Search
from pipeline.engine.reuse import Found
from pipeline.errors import PipelineError
from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from pipeline.journal.paid_hits import hits_last
from pipeline.journal.places import RESULTS, SPOOL, collection_of, results_file
from pipeline.journal.reports import read_at
from pipeline.journal.spool import mark_of, read_spooled
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Line, hits_of
from pipeline.journal.sql.shown import Shown, called, showing
from pipeline.models import CONTENT, EXPIRY_MARGIN_S, UPLOAD_LIFE_S, Hits, State, Task, Upload
from pipeline.reports import ReusedTask, TaskNote
from pipeline.results.hits import choose, decides_hits, proves_choice
from pipeline.results.reading import RecordView, read_line
from pipeline.run.directory import SPEC
from pipeline.run.held import held_hits, held_report, task_of, with_further_pages
from pipeline.system.clock import from_the_future


class Donor:
    """One other run directory."""

    def __init__(self, folder: Path, db: Database, spec: JobSpec, account: str, collected: Database | None) -> None:
        """Read the journal `db`, and the one of the reports that were `collected` for it; None where none were."""
        self.folder = folder
        self._collected = collected
        self._db = db
        self._spec = spec
        self._account = account
        self._decides = _as_json(decides_hits(spec))
        self._query = endpoints_for(spec.search, report_lang=spec.task.report_lang, country=spec.task.country).query

    def found(self, identity: str, *, now: float) -> list[Found]:
        """List what is paid here for a picture. Raises one of several errors when this cannot be read."""
        asked = self._spec.search.of_picture(identity.removeprefix(CONTENT))
        shown = showing(self._db, identity, account=self._account)
        return [found for one in shown if (found := self._found(one, asked, now=now)) is not None]

    def _found(self, one: Shown, asked: Search, *, now: float) -> Found | None:
        if one.sha256 is not None and not self._same_upload:
            return None
        upload = None if one.upload is None else self._young(one.upload, now=now)
        record = None if one.line is None else self._since(_record(self.folder / RESULTS, one.line))
        hits = task = None
        if self._spec.submits:
            task = self._submitted(one, record, now=now)
        elif (hits := self._hits(one, record, asked, now=now)) is not None:
            task = self._task(one, record, hits, now=now)
            if not hits_last(hits.at, now=now) and (task is None or task.report is None):
                hits = task = None
        if hits is None and task is None and upload is None:
            return None
        return Found(self.folder.name, hits, task, upload)

    def _young(self, upload: Upload, *, now: float) -> Upload:
        """Return an upload as it may be used: one that is older than the job says counts as ended."""
        return upload if self._is_young(upload.expires_at - UPLOAD_LIFE_S, now=now) else Upload(upload.url, 0.0)

    def _is_young(self, at: float, *, now: float) -> bool:
        return now - at <= self._spec.search.reuse_s and not from_the_future(at, now=now)

    def _since(self, record: RecordView) -> RecordView:
        """Return a record as it stands since reports were collected; without its task where that came to nothing."""
        if self._collected is None or record.task is None or record.status != State.TASKED.word:
            return record
        since = called(self._collected, record.item)
        if since is None or (since.task is not None and since.task.task_id == record.task.task_id):
            return record
        if since.line is None:
            return msgspec.structs.replace(record, task=None)
        return _record(results_file(collection_of(self.folder)), since.line)

    def _hits(self, one: Shown, record: RecordView | None, asked: Search, *, now: float) -> Hits | None:
        """Read the hits of a search that asked what we ask, if all that it brought are here, and it is young."""
        search = one.note if record is None else record.search
        if search is None or (search.endpoint, search.params) != (asked.endpoint, _as_json(asked.params)):
            return None
        hits = self._spooled(one) if record is None else held_hits(record, asked)
        if hits is None or not self._is_young(hits.at, now=now):
            return None
        deep = with_further_pages(hits, asked, stopped_below=self._min_score(one, record))
        return None if deep is None else msgspec.structs.replace(deep, reused_from=(self.folder.name, one.id))

    def _spooled(self, one: Shown) -> Hits | None:
        """Read the hits of an item that is not settled here; None where they are gone."""
        if one.note is None or one.spool is None:
            return None
        array = read_spooled(self.folder / SPOOL, one.spool, mark=mark_of(one.ord, one.note))
        return None if array is None else hits_of(one.note, array)

    def _min_score(self, one: Shown, record: RecordView | None) -> float | None:
        """Return the score below which a search asked for no more pages here; None where nobody can tell."""
        if record is not None:
            spec = self._as_run_for(record)
            return None if spec is None else spec.search.min_score
        asked = None if one.of_task is None else one.of_task.asked
        return None if asked is None else asked.get("min_score")

    def _task(self, one: Shown, record: RecordView | None, hits: Hits, *, now: float) -> ReusedTask | None:
        """Return the task of an item, if it was made of the hits that we would choose."""
        task, note = task_of(record) if record is not None else (one.task, one.of_task)
        if task is None or note is None or self._spec.search.pages_left(hits):
            return None
        choice = choose(hits, min_score=self._spec.search.min_score, max_hits=self._spec.task.max_hits)
        if choice is None:
            return None
        same = proves_choice(hits, choice, count=note.hits, dropped=note.hits_dropped)
        if not same and self._decided(record, note) != self._decides:
            return None
        return self._lasting(one, record, task, note, now=now)

    def _decided(self, record: RecordView | None, note: TaskNote) -> Any:
        """Return what the hits of a task were decided by here; None where nobody can tell."""
        spec = None if record is None else self._as_run_for(record)
        return note.asked if spec is None else _as_json(decides_hits(spec))

    def _submitted(self, one: Shown, record: RecordView | None, *, now: float) -> ReusedTask | None:
        """Return the task of an item that was submitted as we would submit it, if it is young."""
        if record is None:
            task, note = one.task, one.of_task
            asked = None if note is None else note.asked
        elif record.search is None:  # its report brings the hits later: the job says what was asked
            (task, note), spec = task_of(record), self._as_run_for(record)
            if spec is None or spec.search.endpoint != self._spec.search.endpoint:
                return None
            asked = _as_json(decides_hits(spec))
        else:
            task, note = task_of(record)
            if record.search.endpoint != self._spec.search.endpoint:
                return None
            asked = {"country": None if note is None else note.country, **record.search.params}
        if task is None or note is None or asked != self._decides or not self._is_young(task.at, now=now):
            return None
        return self._lasting(one, record, task, note, now=now)

    def _lasting(
        self, one: Shown, record: RecordView | None, task: Task, note: TaskNote, *, now: float
    ) -> ReusedTask | None:
        """Return a task that asked what ours would, while its report is held here or can still be asked for."""
        wanted = self._spec.task
        if (note.report_lang, note.country) != (wanted.report_lang, wanted.country):
            return None
        report = None
        if record is not None and wanted.enabled and wanted.report != "off":
            report = held_report(record, self.folder, self._query)
        if report is None and (now > task.expires_at - EXPIRY_MARGIN_S or from_the_future(task.at, now=now)):
            return None
        asked = TaskNote(note.hits, note.hits_dropped, note.report_lang, note.country)
        return ReusedTask(task.task_id, task.at, self.folder.name, one.id, asked, report)

    def _as_run_for(self, record: RecordView) -> JobSpec | None:
        """Return the job that a record is of; None where another lies here now, or none that can be read."""
        digest, spec = self._as_run
        return spec if digest == record.spec_sha256 else None

    @property
    def _same_upload(self) -> bool:
        """Return whether local pictures are uploaded here as ours are."""
        return self._as_run[1] is not None and self._as_run[1].upload == self._spec.upload

    @cached_property
    def _as_run(self) -> tuple[str, JobSpec | None]:
        """The digest of the job as it was run here, and the job; None where nobody can read that."""
        try:
            raw = (self.folder / SPEC).read_bytes()
            return hashlib.sha256(raw).hexdigest(), load_job(self.folder / SPEC, as_run=True)
        except (PipelineError, OSError):
            return "", None


def _record(results: Path, line: Line) -> RecordView:
    raw = read_at(results, line)
    if raw is None:
        raise ValueError("a line is not what was written")
    return read_line(raw)


def _as_json(value: Any) -> Any:
    """Return a value as it is read back from JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))
