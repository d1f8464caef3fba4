"""One item all the way: upload, search, select, task. Knows the vendor and the journal only as protocols."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

import anyio

from pipeline.clock import Age, Clocks, from_the_future, steady
from pipeline.errors import CallError, InDoubt, ItemRefused
from pipeline.hits import choose
from pipeline.models import (
    EXPIRY_MARGIN_S,
    HITS_LIFE_S,
    UPLOAD_LIFE_S,
    Doubtful,
    Failed,
    Kind,
    Lapsed,
    NoHits,
    Outcome,
    Problem,
    PutBack,
    SearchOnly,
    Settled,
    Tasked,
    Upload,
    Work,
    earlier,
    iso,
)
from pipeline.pictures import Picture
from pipeline.ports import Ledger, Vendor
from pipeline.spec.model import JobSpec

EXPIRED = "expired"  # a sleeping machine, or a clock that was moved


@dataclass(frozen=True, slots=True)
class Ports:
    """What an item needs on its way; `read_picture` reads and checks a local picture in a thread."""

    spec: JobSpec
    params: Mapping[str, Any]
    vendor: Vendor
    ledger: Ledger
    read_picture: Callable[[str], Picture]
    now: Callable[[], float] = time.time
    steady: Callable[[], float] = steady
    # A decoded picture may hold 100 million pixels: only a few at a time.
    reading: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(4))


class ItemMeter:
    """Counts one item's calls, and makes each durable before its first byte. `began` once anything was sent."""

    def __init__(self, work: Work, ports: Ports) -> None:
        self.stage = "read"
        self.began = False
        self.sent_at: float | None = None  # the last call's
        self._work = work
        self._ledger = ports.ledger
        self._clocks = Clocks(ports.now, ports.steady)
        self._ages: list[Age] = []
        self._intended = False
        self._reserved = False
        self._may_exist = False

    def rests_on(self, at: float) -> None:
        """The next calls rest on an upload or a search that was answered `at`: no call rests on one that expires."""
        self._ages.append(Age(at, self._clocks))

    def starts_anew(self) -> None:
        """The next calls rest on nothing."""
        self._ages.clear()

    async def before(self, kind: Kind, request_id: str) -> None:
        """Reserve the call; for a create also make the intent durable. Raises ItemRefused on expired links."""
        self._refuse_expired(kind)
        await self._ledger.reserve(kind)
        self._reserved = True
        if kind is Kind.CREATE:
            assert self._work.hits is not None
            self._intended = True  # from here on, also for who is cancelled meanwhile: it is on its way to the disk
            await self._ledger.intend(self._work, self._work.hits, request_id=request_id, at=self._clocks.wall())

    def sent(self, kind: Kind) -> None:
        """Count the call: from here on it may be paid. Raises ItemRefused as `before` does, or JournalError."""
        self._refuse_expired(kind)  # the machine may have slept between the intent and the permit
        self._ledger.sent(kind)
        self.began = True
        self.sent_at = self._clocks.wall()
        self._reserved = False
        self._work.calls.add(kind)

    def not_executed(self, kind: Kind, *, sent: bool) -> None:
        """Take the intent back, unless an earlier attempt may exist, and the reservation too if nothing was sent."""
        if self._reserved:
            self._ledger.release(kind)
            self._reserved = False
        if self._intended and not self._may_exist:
            self._ledger.put_back(self._work, None)
            self._intended = False

    def may_exist(self) -> None:
        """Keep the intent from now on: a kill must find the item in doubt, though its create is sent again."""
        self._may_exist = True

    def _refuse_expired(self, kind: Kind) -> None:
        for age in self._ages:
            if kind is not Kind.UPLOAD and age.seconds > HITS_LIFE_S - EXPIRY_MARGIN_S:
                raise ItemRefused("the vendor's links expired before they were used", code=EXPIRED, sent=False)


async def process_item(work: Work, ports: Ports, meter: ItemMeter) -> Settled:
    """Take one item all the way; once more from the start when its links expired on the way."""
    try:
        return await _whole_way(work, ports, meter)
    except ItemRefused as error:
        if error.code != EXPIRED:
            raise
    meter.starts_anew()
    ports.ledger.forget(work)
    work.hits = work.upload = None
    return await _whole_way(work, ports, meter)


async def _whole_way(work: Work, ports: Ports, meter: ItemMeter) -> Settled:
    """Item -> (upload) -> search -> select -> task. Raises what stops it on the way."""
    spec = ports.spec
    url = await _reachable(work, ports, meter)
    meter.stage = "search"
    if work.hits is None:
        work.hits = await ports.vendor.search(spec.search.endpoint, url, ports.params, meter)
    meter.rests_on(work.hits.at)
    choice = choose(work.hits, min_score=spec.search.min_score, max_hits=spec.task.max_hits)
    if choice is None:
        return NoHits(work.hits)
    if not spec.task.enabled:
        return SearchOnly(work.hits)
    meter.stage = "create"
    if choice.count == 0:
        raise ItemRefused("no hit has all the fields that a task needs", code="incomplete_hits", sent=False)
    task = await ports.vendor.create(url, choice, meter, report_lang=spec.task.report_lang, country=spec.task.country)
    return Tasked(work.hits, choice, task)


async def _reachable(work: Work, ports: Ports, meter: ItemMeter) -> str:
    """The picture's URL at the vendor; a local picture is uploaded unless an earlier upload still lives."""
    if not work.item.local:
        return work.item.source
    if work.upload is None or _expired(work.upload, ports.now()):
        picture = await anyio.to_thread.run_sync(ports.read_picture, work.item.source, limiter=ports.reading)
        meter.stage = "upload"
        work.upload = await ports.vendor.upload(picture.data, picture.file_type, meter)
        work.sha256 = picture.sha256
        if work.hits is None:
            ports.ledger.uploaded(work, work.upload, picture.sha256)
    meter.rests_on(work.upload.expires_at - UPLOAD_LIFE_S)
    return work.upload.url


def _expired(upload: Upload, now: float) -> bool:
    return upload.expires_at - EXPIRY_MARGIN_S < now or from_the_future(upload.expires_at - UPLOAD_LIFE_S, now=now)


def doubtful(error: InDoubt, sent_at: float | None) -> Doubtful:
    """A create that may exist: what happened, when, and who decides."""
    when = "" if sent_at is None else f" (sent {iso(sent_at)})"
    problem = problem_of("create", error)
    return Doubtful(replace(problem, message=f"{problem.message}{when}; it may exist and be paid"))


def after_doubt(doubt: Problem, outcome: Outcome) -> Outcome:
    """What the second create of an item in doubt came to: only a task ends the doubt about the first."""
    match outcome:
        case Tasked() | PutBack():
            return outcome
        case Doubtful(problem):
            return Doubtful(replace(problem, message=f"{problem.message}; {earlier(doubt)}"))
        case Failed(problem) | Lapsed(problem):
            said = f"was tried and failed: {problem.message}"
        case NoHits() | SearchOnly():
            said = "was not made: a new search found nothing to make it of"
        case _:
            assert_never(outcome)
    return Doubtful(replace(doubt, message=f"{doubt.message}; a second create {said}"))


def problem_of(stage: str, error: CallError) -> Problem:
    """What a failed call means for its item."""
    consequence = "in_doubt" if isinstance(error, InDoubt) else "fail" if isinstance(error, ItemRefused) else "retry"
    return Problem(
        stage=stage,
        code=error.code,
        message=error.message,
        consequence=consequence,
        # What the vendor refused for good stays refused; a file on this machine can be mended and costs nothing.
        retryable=consequence == "retry" or stage == "read" or error.code == EXPIRED,
        request_id=error.request_id,
        correlation_id=error.correlation_id,
    )
