"""The other run directories under output.dir, whose searches and tasks of the same account may be reused.

They are only read, also while their own runs go on. Where one cannot be read, or a line in it is not what was written,
nothing of it is reused: what is reused must be as sure as what this run pays for itself.
"""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import msgspec

from pipeline.endpoints.interface import Answer, Refusal
from pipeline.endpoints.patsnap.endpoints import SEARCHES, name_of
from pipeline.engine.reuse import Found
from pipeline.errors import PipelineError
from pipeline.job.load import load_job
from pipeline.job.schema import JobSpec
from pipeline.journal.paid_hits import hits_last
from pipeline.journal.places import JOURNAL, RESULTS
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.rows import Line
from pipeline.journal.sql.shown import Shown, showing
from pipeline.journal.storage import reading_only
from pipeline.models import EXPIRY_MARGIN_S, UPLOAD_LIFE_S, Hits, Task, Upload
from pipeline.results.reading import RecordView, read_line
from pipeline.run.directory import SPEC
from pipeline.system.checksum import crc32
from pipeline.system.clock import from_the_future

_log = logging.getLogger(__name__)
_UNREADABLE = (PipelineError, OSError, ValueError)


class Donors:
    """The other run directories, newest first (engine/reuse.Reuse)."""

    def __init__(self, donors: list["Donor"]) -> None:
        self._donors = donors

    def find(self, identity: str, *, now: float) -> Found | None:
        """Find what is paid for a picture; of several things the one that saves most, then the newest."""
        found: list[Found] = []
        for donor in list(self._donors):
            try:
                found += donor.found(identity, now=now)
            except _UNREADABLE as exc:
                _log.warning("reuse.not_read folder=%s error=%s", donor.folder, exc)
                self._donors.remove(donor)
        return max(found, key=_saves, default=None)


def _saves(one: Found) -> tuple[bool, bool, float, float]:
    at = one.hits.at if one.hits is not None else 0.0
    return one.task is not None, one.hits is not None, at, one.upload.expires_at if one.upload is not None else 0.0


@contextmanager
def open_donors(spec: JobSpec, folder: Path, account: str | None, *, now: float) -> Iterator[Donors | None]:
    """Open the run directories beside `folder` until the block ends; yield None where the job reuses nothing.

    Without an account, and on the embedded sandbox (each is an account of its own), nothing is reused.
    """
    age_s = spec.search.reuse_s
    if not age_s or account is None or spec.sandbox or spec.search.endpoint not in map(name_of, SEARCHES):
        yield None
        return
    with ExitStack() as opened:
        donors = []
        for other in sorted(folder.parent.glob(f"*/{JOURNAL}"), key=_changed_at, reverse=True):
            if other.parent == folder or _changed_at(other) < now - age_s:
                continue
            with suppress(*_UNREADABLE):
                db = opened.enter_context(reading_only(other.parent))
                donors.append(Donor(other.parent, db, spec, account))
        yield Donors(donors)


def _changed_at(journal: Path) -> float:
    """Return when a run last wrote here; its log of changes is newer than the journal while it goes on."""
    times = [0.0]
    for path in (journal, journal.with_name(f"{JOURNAL}-wal"), journal.with_name(RESULTS)):
        with suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)


class Donor:
    """One other run directory, open to be read."""

    def __init__(self, folder: Path, db: Database, spec: JobSpec, account: str) -> None:
        self.folder = folder
        self._db = db
        self._spec = spec
        self._account = account
        self._params = msgspec.json.decode(msgspec.json.encode(spec.search.params))

    def found(self, identity: str, *, now: float) -> list[Found]:
        """List what is paid here for a picture. Raises one of several errors when this cannot be read."""
        shown = showing(self._db, identity, account=self._account)
        return [found for one in shown if (found := self._found(one, now=now)) is not None]

    def _found(self, one: Shown, *, now: float) -> Found | None:
        if one.sha256 is not None and not self._same_upload:
            return None
        upload = None if one.upload is None else self._young(one.upload, now=now)
        record = None if one.line is None else self._record(one.line)
        hits = None if record is None else self._hits(record, now=now)
        if record is None or hits is None:
            return Found(None, None, upload) if upload is not None else None
        return Found(hits, self._task(record, now=now), upload)

    def _young(self, upload: Upload, *, now: float) -> Upload:
        """Return an upload as it may be used: one that is older than the job says counts as ended."""
        age_s = now - (upload.expires_at - UPLOAD_LIFE_S)
        return upload if age_s <= self._spec.search.reuse_s else Upload(upload.url, 0.0)

    def _record(self, line: Line) -> RecordView:
        with (self.folder / RESULTS).open("rb") as results:
            results.seek(line.offset)
            raw = results.read(line.length)
        if crc32(raw) != line.crc:
            raise ValueError("a line is not what was written")
        return read_line(raw)

    def _hits(self, record: RecordView, *, now: float) -> Hits | None:
        """Read the hits of a search that asked what we ask, if all of them are in the record and they live."""
        search = record.search
        if (
            search is None
            or record.hits_lost
            or (search.endpoint, search.params) != (self._spec.search.endpoint, self._params)
        ):
            return None
        at = datetime.fromisoformat(search.at).timestamp()
        if search.depth or now - at > self._spec.search.reuse_s or not hits_last(at, now=now):
            return None
        head = f'{{"status":true,"error_code":0,"data":{{"total_search_result_count":{search.total},"patent_messages":'
        body = head.encode() + bytes(record.raw_hits) + b"}}"
        try:
            hits = self._spec.search.read(Answer(200, body, search.request_id, at))
        except Refusal:
            return None
        if len(hits.scores) != search.hits:  # the record keeps only the first of them (output.hits)
            return None
        return replace(hits, reused_from=(self.folder.name, record.item))

    def _task(self, record: RecordView, *, now: float) -> Task | None:
        """Return the record's task if it lives, and was made of hits chosen as we choose them."""
        part, asked = record.task, self._spec.task
        if part is None or (part.report_lang, part.country) != (asked.report_lang, asked.country):
            return None
        task = Task(part.task_id, datetime.fromisoformat(part.at).timestamp())
        if now > task.expires_at - EXPIRY_MARGIN_S or from_the_future(task.at, now=now):
            return None
        digest, spec = self._as_run
        if spec is None or digest != record.spec_sha256:  # it chose by another job than the one that lies there now
            return None
        same = (spec.search.min_score, spec.task.max_hits) == (self._spec.search.min_score, asked.max_hits)
        return task if same else None

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
