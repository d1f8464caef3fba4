"""One item all the way: upload, search, select, task. Knows the vendor and the journal only as protocols."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from pipeline.errors import CallError, InDoubt, ItemRefused
from pipeline.hits import choose
from pipeline.models import EXPIRY_MARGIN_S, Kind, NoHits, Problem, SearchOnly, Settled, Tasked, Work
from pipeline.pictures import Picture
from pipeline.ports import Ledger, Vendor
from pipeline.spec.model import JobSpec


@dataclass(frozen=True, slots=True)
class Ports:
    """What an item needs on its way; `read_picture` reads and checks a local picture in a thread."""

    spec: JobSpec
    params: Mapping[str, Any]
    vendor: Vendor
    ledger: Ledger
    read_picture: Callable[[str], Picture]
    now: Callable[[], float] = time.time
    # A decoded picture may hold 100 million pixels: only a few at a time.
    reading: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(4))


class ItemMeter:
    """Counts one item's calls, and makes each durable before its first byte. `began` once anything was sent."""

    def __init__(self, work: Work, ports: Ports) -> None:
        self.stage = "read"
        self.began = False
        self._work = work
        self._ledger = ports.ledger
        self._now = ports.now
        self._intended = False
        self._reserved = False

    async def before(self, kind: Kind, request_id: str) -> None:
        """Reserve the call; for a create also make the intent durable."""
        await self._ledger.reserve(kind)
        self._reserved = True
        if kind is Kind.CREATE:
            assert self._work.hits is not None
            await self._ledger.intend(self._work, self._work.hits, request_id=request_id, at=self._now())
            self._intended = True

    def sent(self, kind: Kind) -> None:
        """Count the call: from here on it may be paid."""
        self.began = True
        self._reserved = False
        self._work.calls.add(kind)
        self._ledger.sent(kind)

    def not_executed(self, kind: Kind, *, sent: bool) -> None:
        """Take the intent back, and the reservation too if nothing was sent."""
        if self._reserved:
            self._ledger.release(kind)
            self._reserved = False
        if self._intended:
            self._ledger.put_back(self._work, None)
            self._intended = False


async def process_item(work: Work, ports: Ports, meter: ItemMeter) -> Settled:
    """Take one item all the way: item -> (upload) -> search -> select -> task. Raises what stops it on the way."""
    spec = ports.spec
    url = await _reachable(work, ports, meter)
    meter.stage = "search"
    if work.hits is None:
        work.hits = await ports.vendor.search(spec.search.endpoint, url, ports.params, meter)
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
    if work.upload is None or work.upload.expires_at - EXPIRY_MARGIN_S < ports.now():
        picture = await anyio.to_thread.run_sync(ports.read_picture, work.item.source, limiter=ports.reading)
        meter.stage = "upload"
        work.upload = await ports.vendor.upload(picture.data, picture.file_type, meter)
        work.sha256 = picture.sha256
        if work.hits is None:
            ports.ledger.uploaded(work, work.upload, picture.sha256)
    return work.upload.url


def problem_of(stage: str, error: CallError) -> Problem:
    """What a failed call means for its item."""
    consequence = "in_doubt" if isinstance(error, InDoubt) else "fail" if isinstance(error, ItemRefused) else "retry"
    return Problem(
        stage=stage,
        code=error.code,
        message=error.message,
        consequence=consequence,
        # What the vendor refused for good stays refused; a file on this machine can be mended and costs nothing.
        retryable=consequence == "retry" or stage == "read",
        request_id=error.request_id,
        correlation_id=error.correlation_id,
    )
