"""The plan of a run: what it would do and cost, without a single call."""

import time
from array import array
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.endpoints.patsnap.codes import NORMAL_ANSWER_S
from pipeline.job.outlook import not_looked_at, warnings
from pipeline.job.schema import JobSpec
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.forecast import left, repeatable
from pipeline.journal.sql.items import counts, find
from pipeline.journal.storage import has_begun, reading_only
from pipeline.models import OPEN, SETTLED, Item, Kind, State
from pipeline.run.begin import refusal
from pipeline.run.directory import run_folder
from pipeline.run.load import load_spec
from pipeline.sources.check import check_sources, fingerprint
from pipeline.sources.foreign import refuse_foreign
from pipeline.sources.inspection import Watch, inspect_items
from pipeline.sources.remarks import remarks_on


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
    already: dict[str, int]  # items that the run directory knows, by status
    calls: dict[str, int]  # left, by kind, without retries
    seconds: float  # that these calls take at the QPS
    binds: str  # the limit that they wait for; empty when there are none
    not_looked_at: list[str]  # what the search leaves out of sight, one phrase each
    warnings: list[str]  # what the job says that is probably not meant, one sentence each
    refused: list[str]  # why `run` would not go on in the run directory, a line each; mostly empty

    @property
    def paid_calls(self) -> int:
        """Number of all calls left, without retries."""
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
    spec = load_spec(Path(path), overrides=overrides, rehearse=rehearse)
    check_sources(spec)
    plan = make_plan(spec, new=new, quick=quick, watch=watch)
    foreign = refuse_foreign(spec, Path(path))
    return msgspec.structs.replace(plan, refused=[*([foreign] if foreign else []), *plan.refused])


def make_plan(spec: JobSpec, *, new: bool = False, quick: bool = False, watch: Watch | None = None) -> Plan:
    """Plan a loaded job: read every source once, streamed, and the journal of its run directory, if there is one.

    Every local picture is opened unless the plan is to be `quick`; `watch` is told how many were.
    """
    folder = run_folder(spec, now=datetime.now().astimezone(), new=new)
    with reading_only(folder) if has_begun(folder) else nullcontext() as db:
        return _plan(spec, folder, db, inspect_items(spec, quick=quick, watch=watch))


def _plan(spec: JobSpec, folder: Path, db: Database | None, items: Iterable[Item]) -> Plan:
    unchanged = db is not None and db.meta("admitted") == fingerprint(spec)
    seen = _Seen()
    for item in items:
        new = item.problem is None and (db is None or (not unchanged and find(db, item.id) is None))
        seen.add(item.id, item.identity, local=item.local, bad=item.problem is not None, new=new)
    known = left(db, now=time.time()) if db is not None else {}
    again = repeatable(db, most=spec.api.duplicates) if db is not None else 0
    fresh, fresh_local = seen.new_pictures()
    pending = fresh + known.get("pending", 0)
    calls = {
        Kind.UPLOAD: fresh_local + known.get("to_upload", 0),
        Kind.SEARCH: pending,
        Kind.CREATE: pending + known.get("searched", 0) + again if spec.task.enabled else 0,
    }
    seconds, binds = _time(spec, calls)
    return Plan(
        job=spec.name,
        vendor=spec.vendor,
        run=str(folder),
        items=seen.items,
        bad=seen.bad,
        repeated=seen.repeated,
        same_picture=seen.same_picture,
        already=_already(db),
        calls={kind.value: count for kind, count in calls.items()},
        seconds=seconds,
        binds=binds,
        not_looked_at=not_looked_at(spec),
        warnings=[*warnings(spec), *remarks_on(spec)],
        refused=refusal(spec, vendor=db.meta("vendor"), asked=db.meta("asked")) if db is not None else [],
    )


class _Seen:
    """Counts of ids and pictures, by 64-bit hashes: with 16 bytes an item, a million fits in little memory."""

    def __init__(self) -> None:
        self.items = 0
        self.bad = 0
        self._ids = array("q")
        self._sources = array("q")
        self._new = array("q")
        self._new_local = array("q")

    def add(self, id_: str, picture: str, *, local: bool, bad: bool, new: bool) -> None:
        """Count a row; `new` when the journal does not know its id yet."""
        self.items += 1
        if bad:
            self.bad += 1
            return
        key = hash(picture)
        self._ids.append(hash(id_))
        self._sources.append(key)
        if new:
            (self._new_local if local else self._new).append(key)

    @property
    def repeated(self) -> int:
        """Number of rows whose id was there before."""
        return len(self._ids) - _distinct(self._ids)

    @property
    def same_picture(self) -> int:
        """Number of items with a picture that another item shows, too: it is searched once."""
        return max(0, _distinct(self._ids) - _distinct(self._sources))

    def new_pictures(self) -> tuple[int, int]:
        """Count the distinct pictures that the journal does not know yet: all, and the local ones."""
        local = _distinct(self._new_local)
        return _distinct(self._new) + local, local


def _distinct(hashes: Iterable[int]) -> int:
    before: int | None = None
    count = 0
    for value in sorted(hashes):
        count += value != before
        before = value
    return count


def _already(db: Database | None) -> dict[str, int]:
    known = counts(db) if db is not None else {}
    return {state.word: known[state] for state in (*SETTLED, *OPEN) if known.get(state)} | (
        {"searched, not yet a task": known[State.SEARCHED]} if known.get(State.SEARCHED) else {}
    )


def _time(spec: JobSpec, calls: dict[Kind, int]) -> tuple[float, str]:
    """Return the seconds that the calls take at the QPS, and the limit that binds."""
    kind = max(calls, key=lambda kind: calls[kind] / spec.api.qps_of(kind))
    if not calls[kind]:
        return 0.0, ""
    qps = spec.api.qps_of(kind)
    calls_of_an_item = sum(1 for count in calls.values() if count)
    return calls[kind] / qps + NORMAL_ANSWER_S * calls_of_an_item, f"{kind.value} at {qps:g} a second"
