"""The work of the next run, foreseen in an imagined journal: the calls it makes without faults, and what does not fit.

Whatever the run asks before it begins an item is asked here, in the run's order: what the item needs (`engine/cost`),
whether the budgets allow it, which items in doubt the job lets it create once more.
"""

import functools
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from pipeline.engine.catching_up import asked_by, lacking
from pipeline.engine.cost import Allowance, Paid, calls_for, upload_lasts
from pipeline.engine.report_meter import MOST_POLLS
from pipeline.errors import MONEY
from pipeline.job.schema import JobSpec
from pipeline.journal.collected import spent_beside, unread
from pipeline.journal.paid_hits import hits_last
from pipeline.journal.purse import Purse
from pipeline.journal.sql import doubts, reports
from pipeline.journal.sql.calls import counted
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.forecast import Standing, to_work_on
from pipeline.journal.sql.money import noted
from pipeline.journal.sql.rows import hits_of
from pipeline.journal.sql.views import uploads as view_uploads
from pipeline.journal.used_up import money_used_up, used_up
from pipeline.models import KINDS, Kind
from pipeline.offline.foreseen_reuse import ForeseenReuse, Taken
from pipeline.results.patent_counts import ASKED, WAITING
from pipeline.run.tariff import tariff_of


@dataclass(slots=True)
class Foreseen:
    """The work of one run. `left_out` counts the items that the budgets leave out, `budget` says which budget does."""

    calls: Mapping[Kind, int] = field(default_factory=Counter)
    reused: Counter[Kind] = field(default_factory=Counter)  # calls that other runs save
    taken: list[Taken] = field(default_factory=list)  # of other runs, by item
    left_out: int = 0
    budget: str = ""

    @property
    def taken_unread(self) -> int:
        """Number of the tasks of other runs whose reports nobody has read."""
        return sum("tasks" in one.parts and "reports" not in one.parts for one in self.taken)


class _Turn(NamedTuple):
    """An item when its turn comes, with the calls it needs."""

    ord: int
    calls: tuple[Kind, ...]
    saved: tuple[Kind, ...] = ()  # by what other runs paid for
    taken: Taken | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The items whose pictures were looked at and are not what is thought: they cannot be sent, or were replaced."""

    unusable: Collection[int] = ()
    changed: Collection[int] = ()
    views: Mapping[int, Collection[str]] = field(default_factory=dict)  # per item with views, the digests of its files
    parted: Collection[int] = ()  # twins that show another picture than their first item: they are worked on last


def foresee(
    db: Database,
    spec: JobSpec,
    seen: Seen,
    *,
    generation: int,
    now: float,
    limit: int | None,
    reuse: ForeseenReuse | None = None,
    folder: Path | None = None,
) -> Foreseen:
    """Foresee the next run, which begins at most `limit` items; with `reuse` they take what other runs paid.

    The budgets are also those of reports that were collected for `folder`.
    """
    budgets = {kind: spec.api.budget_of(kind) for kind in KINDS}
    spent = {kind: reserved for kind, (reserved, _) in counted(db).items()}
    beside = {} if folder is None else spent_beside(folder)[0]
    left = {
        kind: None if cap is None else cap - spent[kind] - beside.get(kind, (0, 0))[0] for kind, cap in budgets.items()
    }
    if (questions := left[Kind.QUERY]) is not None:
        left[Kind.QUERY] = questions - min(max(questions, 0), awaited(db, spec))
    money = _Money(Purse(tariff_of(spec, folder), noted(db), spent), spent)
    allowance = Allowance(left.__getitem__, money)
    found = Foreseen(allowance.taken)
    known = {sha256 for sha256, expires in view_uploads(db).items() if upload_lasts(expires, now=now)}
    foresight = _Foresight(spec, seen, known, now, reuse)
    turns = foresight.turns(db, generation=generation)
    for begun, turn in enumerate(turns):
        if begun == limit:
            break
        if (lacking := allowance.lacks(turn.calls)) is not None:
            found.budget = _used_up(lacking, budgets, money)
            found.left_out = 1 + sum(1 for _ in turns)
            break
        if not (Kind.UPLOAD in turn.calls and turn.ord in seen.unusable):
            allowance.take(turn.calls)
            found.reused.update(turn.saved)
            found.taken += [turn.taken] if turn.taken is not None else []
            known.update(seen.views.get(turn.ord, ()) if Kind.UPLOAD in turn.calls else ())
    return found


def awaited(db: Database, spec: JobSpec) -> int:
    """Count the tasks of earlier runs that the next run asks about."""
    return reports.count_awaited(db) if spec.awaits_reports else 0


def questions_of(db: Database, spec: JobSpec, folder: Path, work: Foreseen) -> int:
    """Return how many questions for reports are asked at most: of the run's own tasks and of those of earlier runs.

    The run asks them, or whoever collects its reports.
    """
    if not spec.awaits_reports and not spec.reads_later:
        return 0
    if spec.reads_later:
        tasks = len(unread(db, folder, now=time.time())) + work.calls.get(Kind.CREATE, 0) + work.taken_unread
    else:
        tasks = awaited(db, spec) + work.calls.get(Kind.QUERY, 0)
    questions = tasks * MOST_POLLS
    spent = sum(known.get(Kind.QUERY, (0, 0))[0] for known in (counted(db), spent_beside(folder)[0]))
    cap = spec.api.budget_of(Kind.QUERY)
    return questions if cap is None else min(questions, max(0, cap - spent))


def details_of(db: Database, spec: JobSpec, folder: Path, calls: Mapping[Kind, int]) -> int:
    """Return for how many patents the run asks for details, and families, at most.

    They are those of its own items, and of records that earlier runs left without.

    Patents that are common to several items, or known, are asked for once or not at all.
    """
    if spec.details is None:
        return 0
    every = db.meta(ASKED) != asked_by(spec.details)
    left = lacking(folder, spec.details, every=every) if every or db.meta(WAITING) == "1" else ()
    items = calls.get(Kind.CREATE if spec.task.enabled else Kind.SEARCH, 0)
    patents = items * spec.details.top + sum(len(record.ids) for record in left)
    patents *= 2 if spec.details.family else 1
    cap, spent = spec.api.budget.details, counted(db).get(Kind.DETAILS, (0, 0))[0]
    return patents if cap is None else min(patents, max(0, cap - spent))


class _Money(NamedTuple):
    """The money that is left before the run (engine/cost.Purse)."""

    purse: Purse
    spent: Mapping[Kind, int]

    @property
    def prices(self) -> Mapping[Kind, Decimal]:
        return self.purse.capped

    def money_left(self) -> Decimal:
        return self.purse.left(self.spent)


def _used_up(lacking: str, budgets: Mapping[Kind, int | None], money: _Money) -> str:
    if lacking == MONEY:
        return money_used_up(money.purse.tariff, money.money_left())
    return used_up(Kind(lacking), budgets[Kind(lacking)])


@dataclass(frozen=True, slots=True)
class _Foresight:
    """The turns of items, in the order of the run. `known` are the pictures of views that are uploaded by then."""

    spec: JobSpec
    seen: Seen
    known: Collection[str]
    now: float
    reuse: ForeseenReuse | None = None

    def turns(self, db: Database, *, generation: int) -> Iterator[_Turn]:
        """Yield the items, each with the calls that it needs when its turn comes."""
        last = []
        for one in to_work_on(db, generation=generation, now=self.now):
            if one.ord in self.seen.parted:
                last.append(one)
            else:
                yield self._turn(one)
        after = 0
        while batch := doubts.repeatable(db, after=after, generation=generation, most=self.spec.api.duplicates):
            after = batch[-1].work.ord
            for work, note, _ in batch:
                upload = None if work.upload is None else work.upload.expires_at
                hits = None if note is None else hits_of(note, b"[]")
                one = Standing(work.ord, work.item.local, upload, None if hits is None else hits.at, hits)
                yield self._turn(one, doubtful=True)
        yield from map(self._turn, last)

    def _turn(self, one: Standing, *, doubtful: bool = False) -> _Turn:
        searched = one.hits_at is not None and hits_last(one.hits_at, now=self.now)
        pages_left = self.spec.search.pages_left
        pages = 0 if searched and one.hits is None else pages_left(one.hits if searched else None)
        views = self.seen.views.get(one.ord)
        paid = Paid(
            local=one.local,
            uploaded=one.upload_expires is not None and upload_lasts(one.upload_expires, now=self.now),
            searched=searched,
            doubtful=doubtful,
            changed=one.ord in self.seen.changed,
            pages=pages - (not searched),
            uploads=1 if views is None else sum(view not in self.known for view in views),
        )
        needed = functools.partial(calls_for, tasks=self.spec.task.enabled, reports=self.spec.awaits_reports)
        if self.reuse is None or doubtful:
            return _Turn(one.ord, needed(paid))
        with_taken, taken = self.reuse.applied(one.ord, paid)
        calls = needed(with_taken)
        return _Turn(one.ord, calls, tuple((Counter(needed(paid)) - Counter(calls)).elements()), taken)
