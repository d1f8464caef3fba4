"""Files made of a run for other programs and other people, also beside a run that goes on. Sends nothing."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pipeline.cluster.directories import Directories, about_not_begun, directories, items_in
from pipeline.cluster.merge import lines_in
from pipeline.errors import SpecError
from pipeline.job.report import ReportSpec
from pipeline.job.schema import JobSpec
from pipeline.journal.places import JOURNAL, OPEN_FILE, results_file
from pipeline.journal.sql import line_index
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.items import count_labelled_waiting, in_view
from pipeline.journal.storage import reading_only
from pipeline.models import UNFINISHED
from pipeline.offline.opening import Place, find_run
from pipeline.offline.refresh import has_ended, read_summary
from pipeline.offline.target import require_replaceable
from pipeline.results.before import NOTHING_BEFORE, Before, read_named
from pipeline.results.decisions import Decision, merged
from pipeline.results.exports.export import CELL, About, Export, Written
from pipeline.results.exports.formats import FORMATS, writer_of
from pipeline.results.exports.selection import Selection, Wanted, select
from pipeline.results.joining import read_joined
from pipeline.results.late_details import read_late
from pipeline.results.left_out import left_out
from pipeline.results.open_lines import write_open
from pipeline.results.page.words import STATES
from pipeline.results.summary import FINISHED, INTERRUPTED, RUNNING
from pipeline.results.survey import Part
from pipeline.run.changed import changed_pictures
from pipeline.run.decided import decided_beside, decided_in
from pipeline.run.directory import is_locked
from pipeline.run.pictures import small_pictures_of
from pipeline.system.clock import iso
from pipeline.system.fault import Fault, typed
from pipeline.system.files import replaced
from pipeline.system.folders import temporary_folder
from pipeline.system.wording import count
from pipeline.version import __version__

STDOUT = Path("-")


class Asked(NamedTuple):
    """The export that a person asks for."""

    to: str
    per: str | None = None
    wanted: Wanted = Wanted()
    output: Path | None = None  # None = named after the run, in the current folder; "-" = stdout
    pictures: str = CELL
    decisions: tuple[Path, ...] = ()  # files whose decisions count beside decisions.csv
    force: bool = False  # a file that is there is replaced
    report: ReportSpec | None = None  # what the job says of its page now; None = what it said when it was run
    since: str | None = None  # the run to compare with: last, or a run directory; None = none


class Made(NamedTuple):
    """The outcome of an export."""

    file: Path
    written: Written
    as_of: str
    state: str
    remarks: tuple[str, ...]


@dataclass(slots=True)
class _Seen:
    """Run directories as they were at one moment. Not frozen: looking at one after the other adds to it."""

    settled: list[Part] = field(default_factory=list)
    open_: list[Part] = field(default_factory=list)
    states: set[str] = field(default_factory=set)
    unfinished: int = 0
    changed: dict[str, str] = field(default_factory=dict)  # pictures that changed since they were searched, by item
    remarks: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        return next((state for state in (RUNNING, INTERRUPTED) if state in self.states), FINISHED)


def make_export(
    folder: Path, asked: Asked, *, name: str, before: Before = NOTHING_BEFORE, named: Path | None = None
) -> Made:
    """Write an export of a run that is called `name`, and speak of it as `named`.

    Raises SpecError, JournalError or OSError.

    Of a run that is under way only the journal is read, and nothing in the run directory is changed. `before` is the
    run to compare with, where somebody has read it.
    """
    write = writer_of(asked.to)
    if asked.since is not None:
        before = read_named(folder, asked.since)
    found = directories(folder)
    place = next(found.each(_place))
    file = _file(name, asked, place, folder)
    if place is not None:
        report = asked.report or place.spec.report
        asked = asked._replace(wanted=asked.wanted._replace(client_label=report.client_label), report=report)
    with temporary_folder() as temporary:
        seen = _look(found, named or folder, temporary, asked.wanted)
        selection = select(asked.wanted, seen.settled, seen.open_, look_for=seen.changed)
        export = Export(
            selection=selection,
            decided=_decided(name, place, asked),
            about=_about(name, place, selection, seen, asked.report, before),
            before=before.earlier,
            per=asked.per,
            picture=(lambda _source, _sha256: None) if place is None else small_pictures_of(place.spec, *found.runs),
            pictures=asked.pictures,
        )
        with _opened(file) as out:
            written = write(out, export)
    remarks = (*written.remarks, *_remarks(named or folder, seen), *seen.remarks)
    return Made(file, written, export.about.as_of, export.about.state, remarks)


def _place(folder: Path) -> Place | None:
    """Find the job of a run; None for a folder that holds nothing but results."""
    if (results_file(folder)).is_file() and not (folder / JOURNAL).is_file():
        return None
    return find_run(folder)


def _file(name: str, asked: Asked, place: Place | None, folder: Path) -> Path:
    """Name the file to write. Raises SpecError where it is there and may not be replaced."""
    client = "" if asked.wanted.client is None else "-" + re.sub(r"[^\w-]+", "-", asked.wanted.client).strip("-")
    per = "" if asked.per is None or FORMATS[asked.to].both else f"-{asked.per}s"
    file = asked.output or Path(f"{name}{client}{per}.{asked.to}")
    if file == STDOUT and not FORMATS[asked.to].text:
        what = f"{asked.to} is no text and cannot go to stdout; name a file"
        raise SpecError(Fault(what, where="--output -", fix=f"--output export.{asked.to}"))
    if file.is_dir():
        file = file / f"{name}{client}{per}.{asked.to}"
    if file == STDOUT:
        return file
    spec = None if place is None else place.spec
    require_replaceable(file, asked.to, spec, *asked.decisions, results_file(folder))
    if file.exists() and not asked.force:
        what = "it is there already, and what somebody wrote into it would be lost; name another file, or replace it"
        raise SpecError(Fault(what, where=str(file), fix="--force"))
    return file


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if file == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with replaced(file) as out:
            yield out


def _look(found: Directories, named: Path, temporary: Path, wanted: Wanted) -> _Seen:
    """Look at each journal for a moment, and write what is open then to a file."""
    seen = _Seen()
    listed = found.listed
    for _ in found.each(lambda run: _add(seen, named, run, temporary, wanted, listed.get(run, 0))):
        pass
    if found.not_begun:
        seen.states.add(INTERRUPTED)
        seen.unfinished += 0 if wanted.client else items_in(found.not_begun)
    seen.remarks += [*found.not_read.values(), *filter(None, [about_not_begun(found.not_begun)])]
    return seen


def _add(seen: _Seen, named: Path, run: Path, temporary: Path, wanted: Wanted, listed: int) -> None:
    place = _place(run)
    if place is None:
        seen.settled.append(Part(results_file(run), late=read_late(run), joined=read_joined(run)))
        seen.open_.append(Part(run / OPEN_FILE))
        return
    running = is_locked(run)
    with reading_only(run) as db:
        db.do("BEGIN")  # one state of the journal for all that is said
        open_file = temporary / f"{len(seen.open_)}-{OPEN_FILE}"
        write_open(run, db, place.records, to=open_file, named=named)
        last, summary = line_index.last(db), read_summary(run)
        ended = not running and summary is not None and has_ended(summary, db)
        lines_in(run, db).require_whole()
        joined = read_joined(run, open_file=open_file)
        seen.unfinished += _unfinished(db, wanted, listed)
        seen.changed |= _changed(db, place)
    seen.states.add(RUNNING if running else FINISHED if ended else INTERRUPTED)
    seen.settled.append(Part(results_file(run), 0 if last is None else last.seq + 1, read_late(run), joined))
    seen.open_.append(Part(open_file))


def _changed(db: Database, place: Place) -> dict[str, str]:
    found = changed_pictures(db, place.spec, now=time.time())
    return {one.item: one.source for one in found if not one.now_item}


def _unfinished(db: Database, wanted: Wanted, listed: int) -> int:
    """Count the items that have not come to their end, with those that a shard lists and has not taken in."""
    if wanted.client is not None:
        return count_labelled_waiting(db, wanted.client_label, wanted.client)
    counts, removed = in_view(db)
    lacking = max(0, listed - sum(counts.values()) - removed)
    return sum(counts.get(state, 0) for state in UNFINISHED) + lacking


def _decided(name: str, place: Place | None, asked: Asked) -> dict[tuple[str, str], Decision]:
    files = [decided_in(file, by="", run=name) for file in asked.decisions]
    return merged([] if place is None else decided_beside(place.spec), *files)


def _about(
    name: str,
    place: Place | None,
    selection: Selection,
    seen: _Seen,
    report: ReportSpec | None,
    before: Before,
) -> About:
    client = selection.wanted.client
    spec: JobSpec | None = None if place is None else place.spec
    changed = [source for item, source in seen.changed.items() if item in selection.named]
    first = next(iter(selection.settled.in_order()), None) or next(iter(selection.open_.in_order()), None)
    return About(
        title=client or (report.title if report is not None else "") or (spec.name if spec is not None else name),
        run="" if client is not None else name,
        before=f"the run of {before.at[:10]}" if client is not None and before.at else before.name,
        vendor=spec.vendor if spec is not None else "" if first is None else first.vendor,
        rehearsal=spec.rehearsal if spec is not None else first is not None and first.rehearsal,
        tool=f"infringement-pipeline {__version__}",
        state=STATES[seen.state],
        as_of=iso(time.time()),
        unfinished=seen.unfinished,
        not_looked_at=left_out(selection.settled, selection.open_, {"not_started": seen.unfinished}, changed=changed),
    )


def _remarks(folder: Path, seen: _Seen) -> Iterator[str]:
    if not seen.unfinished:
        return
    without = count(seen.unfinished, "product has", "products have")
    if seen.state == INTERRUPTED:
        yield f"{without} no outcome yet; `{typed('report', folder)}` says what became of those that were under way"
    else:
        yield f"{without} no outcome yet and {'is' if seen.unfinished == 1 else 'are'} not in the file"
