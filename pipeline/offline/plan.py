"""What a run would do and cost, without a single call."""

import time
from array import array
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import msgspec

from pipeline.endpoints.patsnap.codes import NORMAL_ANSWER_S
from pipeline.job.outlook import not_looked_at, warnings
from pipeline.job.schema import JobSpec
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.forecast import left, repeatable
from pipeline.journal.sql.items import counts, find
from pipeline.journal.storage import has_begun, reading_only
from pipeline.models import OPEN, SETTLED, Kind, State
from pipeline.run.begin import refusal
from pipeline.sources.check import fingerprint
from pipeline.sources.items import read_items


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The items of a job and the calls that are left, without retries.

    `already` is what the run directory knows, `refused` why `run` would not go on in it.
    """

    job: str
    vendor: str
    run: str
    items: int
    bad: int
    repeated: int
    same_picture: int
    already: dict[str, int]
    calls: dict[str, int]
    seconds: float
    binds: str
    not_looked_at: list[str]
    warnings: list[str]
    refused: list[str]

    @property
    def paid_calls(self) -> int:
        """All calls left, without retries."""
        return sum(self.calls.values())


def make_plan(spec: JobSpec, folder: Path) -> Plan:
    """Read every source once, streamed, and the journal of `folder` if there is one; nothing is written or sent.

    Raises JournalError for a journal that is damaged or gone.
    """
    with reading_only(folder) if has_begun(folder) else nullcontext() as db:
        return _plan(spec, folder, db)


def _plan(spec: JobSpec, folder: Path, db: Database | None) -> Plan:
    unchanged = db is not None and db.meta("admitted") == fingerprint(spec)
    seen = _Seen()
    for item in read_items(spec):
        new = item.problem is None and (db is None or (not unchanged and find(db, item.id) is None))
        seen.add(item.id, item.source, local=item.local, bad=item.problem is not None, new=new)
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
        warnings=warnings(spec),
        refused=refusal(spec, vendor=db.meta("vendor"), asked=db.meta("asked")) if db is not None else [],
    )


class _Seen:
    """Counts ids and pictures by 64-bit hashes: 16 bytes an item, so a million fits in little memory."""

    def __init__(self) -> None:
        self.items = 0
        self.bad = 0
        self._ids = array("q")
        self._sources = array("q")
        self._new = array("q")
        self._new_local = array("q")

    def add(self, id_: str, source: str, *, local: bool, bad: bool, new: bool) -> None:
        self.items += 1
        if bad:
            self.bad += 1
            return
        key = hash((source, local))
        self._ids.append(hash(id_))
        self._sources.append(key)
        if new:
            (self._new_local if local else self._new).append(key)

    @property
    def repeated(self) -> int:
        """Rows whose id was there before."""
        return len(self._ids) - _distinct(self._ids)

    @property
    def same_picture(self) -> int:
        """Items that show a picture which another item shows too: searched once."""
        return max(0, _distinct(self._ids) - _distinct(self._sources))

    def new_pictures(self) -> tuple[int, int]:
        """Distinct pictures that the journal does not know yet: all, and the local ones."""
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
    """Seconds the calls take at the QPS, and which limit binds."""
    kind = max(calls, key=lambda kind: calls[kind] / spec.api.qps_of(kind))
    if not calls[kind]:
        return 0.0, ""
    qps = spec.api.qps_of(kind)
    return calls[kind] / qps + NORMAL_ANSWER_S * sum(
        1 for count in calls.values() if count
    ), f"{kind.value} at {qps:g} a second"
