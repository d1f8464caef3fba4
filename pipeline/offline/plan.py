"""The plan of a run: what it would do and cost, without a single call."""

import functools
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.endpoints.patsnap.codes import NORMAL_ANSWER_S
from pipeline.job.outlook import not_looked_at, warnings
from pipeline.job.schema import JobSpec
from pipeline.journal.imagined import imagine
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.doubts import repeated_by_itself
from pipeline.journal.sql.items import count_listed, in_view
from pipeline.journal.sql.naming import names_by_hash
from pipeline.journal.sql.views import count_single, with_views
from pipeline.models import OPEN, PAID, SETTLED, Item, Kind, State
from pipeline.offline.foreseen_reuse import ForeseenReuse, TakenFrom, counted
from pipeline.offline.foresight import Foreseen, Seen, details_of, foresee, questions_of
from pipeline.offline.listing import BadRows, Copies, bad_rows, copies_in, saved_calls
from pipeline.offline.parting import Parting
from pipeline.offline.shards.foresight import about_plan
from pipeline.offline.taking_in import Listing, take_in
from pipeline.results.money import Cost, cost_of_plan
from pipeline.run.changed import Changed, find_changed, tell
from pipeline.run.directory import is_locked, known_runs, run_folder
from pipeline.run.donors import open_donors
from pipeline.run.listed import list_at_hand
from pipeline.run.load import account_known, load_spec
from pipeline.sources.check import check_sources
from pipeline.sources.foreign import refuse_foreign
from pipeline.sources.ids import make_id
from pipeline.sources.inspection import MadeFit, Watch, inspect_items
from pipeline.sources.looks import looking
from pipeline.sources.pictures import most_of
from pipeline.sources.remarks import SourceRemarks
from pipeline.system.fault import settings
from pipeline.system.wording import count
from pipeline.views import local_views


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a job and the calls that are left; `plan --json` prints these fields.

    >>> from pipeline import plan_job
    >>> plan = plan_job("portfolio.yaml")
    >>> plan.items, plan.already, plan.paid_calls, plan.refused
    (3, {'tasked': 3}, 0, [])
    """

    job: str
    vendor: str  # its host, or `sandbox`
    run: str  # the path of the run directory
    items: int  # rows that the job lists
    bad: int  # of them, rows that cannot be used; they become failed items
    repeated: int  # rows whose id was listed before
    same_picture: int  # items with another item's picture, which is searched once
    bad_rows: list[BadRows]  # what is wrong with those, equal faults once
    copies: list[Copies]  # the items that share pictures, by the item whose picture it is
    saved: dict[str, int]  # calls that this saves the next run, by kind
    already: dict[str, int]  # items that the run directory knows, by status
    calls: dict[str, int]  # that the next run makes, by kind, without retries: no more than the budgets allow
    at_most: list[str] = []  # of these, kinds of which it may make fewer: later pages of a search may turn out empty
    fitted: int  # local pictures that are turned or re-encoded before their upload
    details: int = 0  # patents whose details, and families, it asks for at most; known ones are not asked for again
    questions: int = 0  # for reports, at most; about two a task are usual
    collected: bool = False  # True when `pipeline collect` asks them, and not the run (task.report: later)
    reused: dict[str, int]  # calls that other runs save, by kind; empty where the job reuses nothing (search.reuse)
    reused_from: list[TakenFrom] = []  # what these are, by run directory
    left_out: int  # items that the budgets leave out
    budget: str  # the budget that leaves them out, a sentence; empty when all items fit
    cost: Cost | None  # of these calls, by the job's prices; None where it names none
    seconds: float  # that these calls take at the QPS
    binds: str  # the limit that they wait for; empty when there are none
    accounts: list[str] = []  # that share the calls, where the job has several: the time is that of all at once
    not_looked_at: list[str]  # what the search leaves out of sight, one phrase each
    changed: list[Changed]  # items whose pictures changed since they were searched
    warnings: list[str]  # what the job says that is probably not meant, one sentence each
    refused: list[str]  # why `run` would not go on in the run directory, a line each; mostly empty

    @property
    def paid_calls(self) -> int:
        """Number of all calls that the next run makes, without retries."""
        return sum(self.calls.values())


def plan_job(
    path: str | Path,
    *,
    overrides: Sequence[str] = (),
    new: bool = False,
    rehearse: bool = False,
    quick: bool = False,
    watch: Watch | None = None,
) -> Plan:
    """Say what a run of the job file at `path` would do and cost; it sends and writes nothing.

    `overrides` change keys of the job file (`api.qps=10`), `new` plans for another run directory, `rehearse` for a
    rehearsal. Every local picture is opened, and `watch` is told how many were; with `quick` none is, so that copies
    and unreadable ones are not known. No credentials are needed. Raises SpecError for a faulty job, JournalError when
    the journal of its run directory is damaged or gone.

    >>> from pipeline import plan_job
    >>> plan = plan_job("portfolio.yaml", overrides=["api.qps=2"], new=True)
    >>> plan.calls, plan.binds
    ({'upload': 0, 'search': 3, 'create': 3}, 'search at 2 a second')
    """
    with list_at_hand(load_spec(Path(path), overrides=overrides, rehearse=rehearse), new=new) as spec:
        check_sources(spec)
        account = account_known(Path(path), spec) if spec.search.reuse_s else None
        plan = make_plan(spec, PlannedRun(new=new, account=account), quick=quick, watch=watch)
        foreign = refuse_foreign(spec, Path(path))
        words = [path, *settings(overrides)]
        machines = [about_plan(Path(plan.run), words)] if spec.cluster is not None else []
    refused = [*([str(foreign)] if foreign else []), *plan.refused]
    return msgspec.structs.replace(plan, refused=refused, warnings=[*machines, *plan.warnings])


class PlannedRun(NamedTuple):
    """The options of the run that is planned.

    account  its name (calls/account.py), needed to see what it reuses of other runs; None where it is not known
    """

    new: bool = False
    limit: int | None = None
    accept_changes: bool = False
    account: str | None = None


_PLAIN = PlannedRun()


def make_plan(spec: JobSpec, run: PlannedRun = _PLAIN, *, quick: bool = False, watch: Watch | None = None) -> Plan:
    """Plan a loaded job: read every source, and a copy of the journal of its run directory, if there is one.

    Every local picture is opened unless the plan is to be `quick`; `watch` is told how many were.
    """
    folder = run_folder(spec, now=datetime.now().astimezone(), new=run.new)
    now = time.time()
    with imagine(folder, now=now, running=folder.is_dir() and is_locked(folder), places=known_runs()) as db:
        already = _already(db)
        sources = _taken_in(db, spec, accept_changes=run.accept_changes, quick=quick, watch=watch)
        seen, changed = _look(db, spec, sources.unusable, generation=sources.generation, now=now, quick=quick)
        with open_donors(spec, folder, run.account, now=now) as donors, looking() as looks:
            most = most_of(fit=spec.upload.fit)
            digest = functools.partial(looks.digest, spec.root_path, most=most) if not quick else lambda _: None
            reuse = None if donors is None else ForeseenReuse(db, spec, donors, digest, now)
            work = foresee(
                db, spec, seen, generation=sources.generation, now=now, limit=run.limit, reuse=reuse, folder=folder
            )
        plan = _plan_of(db, spec, folder, sources, work)
        remarks = [*warnings(spec), *_unknown_account(spec, run.account), *sources.remarks(db, spec)]
        return msgspec.structs.replace(plan, already=already, changed=changed, warnings=remarks)


@dataclass(frozen=True, slots=True)
class _Sources:
    """The sources of a job, taken into an imagined journal.

    unusable  the numbers of items that wait or are in doubt, and whose pictures cannot be sent
    failing   those of them that wait: they become failed items
    refused   why a run would not go on in the run directory, a line each
    """

    listing: Listing
    generation: int
    unusable: Collection[int]
    failing: Sequence[Item]
    refused: Sequence[str]
    noted: SourceRemarks
    made_fit: MadeFit

    def remarks(self, db: Database, spec: JobSpec) -> list[str]:
        """Say what is probably not meant, or made fit."""
        return [
            *_single_pictures(db, spec, generation=self.generation),
            *self.noted.texts(),
            *self.made_fit.texts(),
        ]


def _taken_in(db: Database, spec: JobSpec, *, accept_changes: bool, quick: bool, watch: Watch | None) -> _Sources:
    """Read every source into the imagined journal."""
    noted, made_fit = SourceRemarks(spec), MadeFit(spec)
    hashed = names_by_hash(db, make_id)
    items = functools.partial(
        inspect_items, spec, quick=quick, hashed=hashed, watch=watch, note=noted.note, made_fit=made_fit
    )
    listing, reading, refused = take_in(db, spec, items, accept_changes=accept_changes)
    unusable, failing = listing.unusable(db)
    return _Sources(listing, reading.generation, unusable, failing, refused, noted, made_fit)


def _plan_of(db: Database, spec: JobSpec, folder: Path, sources: _Sources, work: Foreseen) -> Plan:
    """Put the plan together, but for what was known, what has changed, and warnings."""
    generation, pages = sources.generation, spec.search.pages_left(None)
    listed = count_listed(db, generation=generation)
    calls = {kind: work.calls[kind] for kind in PAID}
    details = details_of(db, spec, folder, Counter(work.calls) + work.reused)
    questions = questions_of(db, spec, folder, work)
    seconds, binds = _time(spec, work.calls)
    return Plan(
        job=spec.name,
        vendor=spec.vendor,
        run=str(folder),
        items=sources.listing.rows,
        bad=listed.unreadable + len(sources.failing),
        repeated=sources.listing.rows - listed.items,
        same_picture=listed.twins,
        bad_rows=bad_rows(db, sources.failing, generation=generation),
        copies=copies_in(db, generation=generation),
        saved=saved_calls(db, generation=generation, tasks=spec.task.enabled, pages=pages),
        already={},
        calls={kind.value: count for kind, count in calls.items()},
        at_most=[Kind.SEARCH.value] if pages > 1 and work.calls[Kind.SEARCH] else [],
        fitted=len(sources.made_fit),
        details=details,
        questions=questions,
        collected=spec.reads_later,
        reused={kind.value: work.reused[kind] for kind in PAID} if spec.search.reuse_s else {},
        reused_from=counted(work.taken),
        left_out=work.left_out,
        budget=work.budget,
        cost=cost_of_plan(spec, calls | {Kind.DETAILS: details, Kind.QUERY: questions}),
        seconds=seconds,
        binds=binds,
        accounts=list(spec.accounts),
        not_looked_at=not_looked_at(spec),
        changed=[],
        warnings=[],
        refused=[str(line) for line in sources.refused],
    )


def _unknown_account(spec: JobSpec, account: str | None) -> list[str]:
    if not spec.search.reuse_s or account is not None:
        return []
    return ["search.reuse: no credentials are set here, so nobody knows which runs are of this account; none counts"]


def _look(
    db: Database, spec: JobSpec, unusable: Collection[int], *, generation: int, now: float, quick: bool
) -> tuple[Seen, list[Changed]]:
    """Look which pictures are not what was sent for their items, or for the items they share a picture with."""
    if quick:
        files = {ord_: {*local_views(source)} for ord_, source in with_views(db, generation=generation)}
        return Seen(unusable, views=files), []
    with looking() as looks:

        def digest(source: str) -> str | None:
            return looks.digest(spec.root_path, source, most_of(fit=spec.upload.fit))

        found = list(find_changed(db, digest))
        told = [said for sent, digest_ in found if (said := tell(db, sent, digest_, now=now)) is not None]
        repeated = repeated_by_itself(db, most=spec.api.duplicates)
        parted = Parting(digest, unusable, repeated, now).part_changed(db, generation=generation)
        shown = {
            ord_: {digest(view) or view for view in local_views(source)}
            for ord_, source in with_views(db, generation=generation)
        }
    return Seen(unusable, {sent.ord for sent, _ in found}, shown, parted), told


def _single_pictures(db: Database, spec: JobSpec, *, generation: int) -> list[str]:
    """Say which endpoint searches the items that have one picture, where it is not the one of the job."""
    number = count_single(db, generation=generation) if spec.search.TAKES_VIEWS else 0
    if not number:
        return []
    other = spec.search.of_picture("").endpoint
    has, is_ = ("has", "it is") if number == 1 else ("have", "they are")
    return [f"{count(number, 'item')} {has} one picture: {is_} searched with {other}, with the same parameters"]


def _already(db: Database) -> dict[str, int]:
    known, _ = in_view(db)
    return {state.word: known[state] for state in (*SETTLED, *OPEN) if known.get(state)} | (
        {"searched, not yet a task": known[State.SEARCHED]} if known.get(State.SEARCHED) else {}
    )


def _time(spec: JobSpec, calls: Mapping[Kind, int]) -> tuple[float, str]:
    """Return the seconds that the calls take at the QPS, and the limit that binds."""
    kind = max(PAID, key=lambda kind: calls[kind] / spec.qps_in_all(kind))
    if not calls[kind]:
        return 0.0, ""
    qps = spec.qps_in_all(kind)
    calls_of_an_item = sum(1 for kind in PAID if calls[kind])
    return calls[kind] / qps + NORMAL_ANSWER_S * calls_of_an_item, f"{kind.value} at {qps:g} a second"
