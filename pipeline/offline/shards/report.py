"""The page, the summary and open.jsonl of a cluster run: one of each for all shards, which are only read."""

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from pipeline.cluster.directories import Directories, items_in, not_taken_in
from pipeline.cluster.machines import held_by, holder_of, workers_in
from pipeline.cluster.merge import MANIFEST, Lines, copy_lines, lines_in, write_manifest
from pipeline.job.schema import JobSpec
from pipeline.journal.places import OPEN_FILE, SPLIT, SUMMARY, results_file
from pipeline.journal.sql.items import count_labelled_waiting
from pipeline.journal.storage import reading_only
from pipeline.offline.opening import find_run
from pipeline.offline.refresh import summary_now
from pipeline.offline.report import Made
from pipeline.results.before import Before, read_before
from pipeline.results.joining import read_joined
from pipeline.results.late_details import read_late
from pipeline.results.left_out import left_out
from pipeline.results.open_lines import write_open
from pipeline.results.page.runs import write_runs
from pipeline.results.page.view import Wishes
from pipeline.results.reading import RecordView
from pipeline.results.summary import RunSummary, to_json
from pipeline.results.sums import in_one
from pipeline.results.survey import Part, Survey, survey
from pipeline.run.changed import changed_pictures
from pipeline.run.client_page import of_client
from pipeline.run.directory import is_locked
from pipeline.run.page import compared, page_of, pictures_on_page, view_of, write_view
from pipeline.run.similar import similar_in
from pipeline.system.files import write_whole
from pipeline.system.folders import temporary_folder
from pipeline.system.wording import count

ON_PAGE = 100_000  # products: a browser takes no more, and the most alike come first
_AT_ONCE = 1 << 20


@dataclass(slots=True)
class _Seen:
    """The shards as they were when each was looked at. Not frozen: looking at one after the other adds to it."""

    folder: Path  # of the run
    named: Path  # as a person names it
    temporary: Path
    wishes: Wishes
    spec: JobSpec | None = None  # of the first one
    runs: list[Path] = field(default_factory=list)
    summaries: list[RunSummary] = field(default_factory=list)
    lines: list[Lines] = field(default_factory=list)
    settled: list[Part] = field(default_factory=list)
    open_files: list[Path] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    waiting: int = 0  # of the client
    lacking: int = 0  # items that shards list and have not taken in

    def add(self, run: Path, *, held: bool, listed: int) -> None:
        """Look at a shard, which lists so many items."""
        place = find_run(run)
        running = held or is_locked(run)
        open_file = self.temporary / f"{len(self.runs)}-{OPEN_FILE}"
        with reading_only(run) as db:
            db.do("BEGIN")  # one state of the journal for all that is said
            write_open(run, db, place.records, to=open_file, named=self.named)
            lines = lines_in(run, db)
            joined = read_joined(run, open_file=open_file)
            changed = changed_pictures(db, place.spec, now=time.time())
            summary = summary_now(place, db, running=running)
            client, label = self.wishes.client, (self.wishes.report or place.spec.report).client_label
            waiting = count_labelled_waiting(db, label, client) if client else 0
        self.spec = self.spec or place.spec
        self.runs.append(run)
        self.summaries.append(summary)
        self.lacking += not_taken_in(summary.items, listed)
        self.lines.append(lines)
        self.settled.append(Part(results_file(run), lines.lines, read_late(run), joined))
        self.open_files.append(open_file)
        self.changed += [one.source for one in changed if not one.now_item]
        self.waiting += waiting


def make_cluster_report(found: Directories, wishes: Wishes, *, named: Path | None = None) -> Made:
    """Make the files of a cluster run anew, and speak of it as `named`. Raises SpecError, JournalError or OSError.

    Nothing in the shards is changed, so that nobody has to own them, and workers go on meanwhile.
    """
    with temporary_folder() as temporary:
        seen = _Seen(found.folder, named or found.folder, temporary, wishes)
        held = held_by(list(workers_in(found.folder)), now=time.time())
        listed = found.listed
        for _ in found.each(lambda run: seen.add(run, held=bool(holder_of(run, held)), listed=listed[run])):
            pass
        write_manifest(found.folder, seen.lines, copy_lines(seen.lines))
        write_whole(found.folder / OPEN_FILE, _joined(seen.open_files), several_writers=True)
    spec = seen.spec
    assert spec is not None, "there was a shard to look at"

    def surveys(only: Callable[[RecordView], bool] | None = None) -> tuple[Survey, Survey]:
        kept = survey(*seen.settled, only=only, keep=ON_PAGE)
        return kept, survey(Part(found.folder / OPEN_FILE), only=only, keep=ON_PAGE)

    settled, open_ = surveys()
    summary = _summary(found, seen, settled, open_)
    before = read_before(found.folder, summary, wishes.since)
    summary = msgspec.structs.replace(summary, similar=similar_in(spec, settled, open_, before))
    write_whole(found.folder / SUMMARY, to_json(summary), several_writers=True)
    _write(seen, summary, wishes.of_all(), (settled, open_), before)
    if wishes.client:
        label = (wishes.report or spec.report).client_label
        own = of_client(surveys, label, wishes.client, summary, waiting=seen.waiting)
        _write(seen, own.summary, wishes, (own.settled, own.open_), before)
    write_runs(found.folder.parent)
    return Made(summary, page_of(found.folder, wishes.client))


def _joined(files: list[Path]) -> Iterator[bytes]:
    for path in files:
        with path.open("rb") as file:
            while some := file.read(_AT_ONCE):
                yield some


def _summary(found: Directories, seen: _Seen, settled: Survey, open_: Survey) -> RunSummary:
    summary = in_one(
        seen.summaries,
        run=found.folder.resolve().name,
        results=str(found.folder / MANIFEST),
        waiting=items_in(found.not_begun) + seen.lacking,
    )
    left = left_out(settled, open_, summary.items, changed=seen.changed)
    if found.not_read:
        shards = count(len(found.not_read), "shard that is", "shards that are")
        left.append(f"products of {shards} missing or cannot be read")
    return msgspec.structs.replace(summary, not_looked_at=left)


def _write(seen: _Seen, summary: RunSummary, wishes: Wishes, surveys: tuple[Survey, Survey], before: Before) -> None:
    settled, open_ = surveys
    assert seen.spec is not None
    view = compared(view_of(seen.spec, seen.named, summary, wishes), seen.folder, summary, before)
    view = dataclasses.replace(view, files=(MANIFEST, OPEN_FILE, SUMMARY, SPLIT))
    if (beyond := settled.taken + open_.taken) > (shown := len(settled) + len(open_)):
        said = f"products beyond the {shown:,} most alike, of {beyond:,}: not on this page"
        view = dataclasses.replace(view, not_looked_at=[*view.not_looked_at, said])
    write_view(view, seen.folder, open_, settled, pictures=pictures_on_page(seen.spec, *seen.runs))
