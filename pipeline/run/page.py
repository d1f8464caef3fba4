"""The page of a run directory: what its journal, its job and its pictures give to it."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from pipeline.job.schema import JobSpec
from pipeline.journal.places import REPORT
from pipeline.reports import DRAWINGS
from pipeline.results.before import Before, known
from pipeline.results.decisions import Decision, merged
from pipeline.results.page.page import Written, write_report
from pipeline.results.page.thumbs import MadePictures, Pictures, StoredPictures
from pipeline.results.page.view import COUNTED, RunView, Wishes
from pipeline.results.pictures.store import PictureStore
from pipeline.results.standing import standing_of
from pipeline.results.summary import RunSummary
from pipeline.results.survey import Survey
from pipeline.run.decided import decided_beside, decided_in
from pipeline.run.pictures import pictures_of

_JOB_FILES = ("*.yaml", "*.yml")
_MOST_LETTERS = 60  # of a client in the name of a folder, which has at most 255 bytes: a letter has up to four


def write_page(
    spec: JobSpec,
    folder: Path,
    summary: RunSummary,
    open_: Survey,
    settled: Survey,
    *,
    wishes: Wishes | None = None,
    before: Before | None = None,
) -> Written:
    """Write report.html of a run; of a client alone where `wishes` name one. Raises OSError, or SpecError."""
    view = view_of(spec, folder, summary, wishes or Wishes())
    if before is not None:
        view = compared(view, folder, summary, before)
    return write_view(view, folder, open_, settled, pictures=pictures_on_page(spec, folder))


def compared(view: RunView, folder: Path, summary: RunSummary, before: Before) -> RunView:
    """Return a run's view with what it knows of the run before."""
    return replace(view, before=before, standing=standing_of(folder, known(summary), view.decisions, before.earlier))


def write_view(view: RunView, folder: Path, open_: Survey, settled: Survey, *, pictures: Pictures) -> Written:
    """Write a page to its place in the folder of its run."""
    place = page_of(folder, view.client)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return write_report(place, view, open_, settled, pictures=pictures)


def page_of(folder: Path, client: str = "") -> Path:
    """Return where a page lies: that of a client in a folder of its own, which can be sent as it is."""
    if not client:
        return folder / REPORT
    name = re.sub(r"[^\w.-]+", "-", client)[:_MOST_LETTERS].strip("-.")
    if name != client:  # two clients whose names differ in what was replaced or cut alone share no folder
        name = f"{name or 'client'}-{hashlib.sha256(client.encode()).hexdigest()[:6]}"
    return folder / "clients" / name / REPORT


def view_of(spec: JobSpec, folder: Path, summary: RunSummary, wishes: Wishes) -> RunView:
    """Return the facts of a run as its page shows them."""
    report = wishes.report or spec.report
    return RunView(
        job=summary.job,
        run=summary.run,
        title=report.title,
        client=wishes.client,
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
        search=spec.search.endpoint,
        limit=0 if spec.submits else max(spec.search.limit, spec.search.depth if spec.search.depth > 100 else 0),
        min_score=0.0 if spec.submits else float(spec.search.min_score),
        ended_by=summary.ended_by,
        daily=spec.api.is_daily(summary.ended_by),
        state=summary.state,
        as_of=summary.as_of,
        unread=summary.unread,
        collect_by=summary.collect_by,
        folder=str(folder),
        job_file=job_file_of(spec),
        at_least=float(report.at_least if wishes.at_least is None else wishes.at_least),
        lang=wishes.lang,
        links=report.links,
        group_by=tuple(report.group_by),
        decisions=tuple(_decisions(spec, wishes.decisions)),
        one_file=wishes.one_file,
    )


def _decisions(spec: JobSpec, file: Path | None) -> list[Decision]:
    """Read the decisions beside the job, and those of a file that a person names. Raises SpecError."""
    named = [] if file is None else decided_in(file, by="", run="")
    return list(merged(decided_beside(spec), named).values())


def job_file_of(spec: JobSpec) -> str:
    """Return the job file as commands name it: the one beside the job's sources that has its name; else `JOB`."""
    named = re.compile(rf"^name:\s*[\"']?{re.escape(spec.name)}[\"']?\s*(#.*)?$", re.MULTILINE)
    found = []
    for path in (one for pattern in _JOB_FILES for one in spec.folder.glob(pattern)):
        try:
            if named.search(path.read_text(encoding="utf-8")):
                found.append(path)
        except (OSError, UnicodeDecodeError):
            continue
    return str(found[0]) if len(found) == 1 else "JOB"


def pictures_on_page(spec: JobSpec, *folders: Path) -> Pictures:
    """Return where the pictures of a page come from: those that were kept, then those that are still at hand.

    `folders` are the run directories that it shows, mostly one.
    """
    read = pictures_of(spec, *folders)

    def at_hand(source: str, sha256: str | None) -> bytes | None:
        if source.startswith(f"{DRAWINGS}/"):
            return next(filter(Path.is_file, (folder / source for folder in folders)), folders[0] / source).read_bytes()
        return read(source, sha256)

    return StoredPictures(MadePictures(at_hand), *map(PictureStore, folders))
