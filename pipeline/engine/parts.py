"""The parts that an item needs while it is worked on."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from pipeline.endpoints.interface import Endpoints
from pipeline.engine.details import HitDetails
from pipeline.engine.first_items import FirstItems
from pipeline.engine.reuse import Reuse
from pipeline.job.schema import JobSpec
from pipeline.models import Hits, Task, Work
from pipeline.ports import Ledger, Vendor
from pipeline.sources.pictures import Picture
from pipeline.system.clock import steady


@dataclass(frozen=True, slots=True)
class Ports:
    """The parts of one run.

    spec           the job
    endpoints      the vendor's endpoints that the job asks
    vendor         makes the paid calls
    ledger         the durable state
    read_picture   reads and checks a local picture; it blocks, so it runs in a thread
    digest         returns the SHA-256 of a local picture as it is now, None when it cannot be read; it blocks, too
    now, steady    the wall clock (epoch seconds), and one that is never set and counts sleep
    first_items    holds items back while calls of a kind are new to the account
    say            tells a person a line at once
    keep_drawing   writes a picture that a report brings, by its name; it blocks, so it runs in a thread
    keep_pictures  wants the pictures of an item and of its hits kept; quick, and never raises
    questions_per_s  for reports, of our part of the account
    reuse          finds what other runs paid for a picture; None where the job wants none of it
    follow         takes in tasks of the run whose reports are collected, and returns whether more may come; None in one
    paid           is told of each task whose report somebody else reads; None where nobody wants to know
    details        asks for details of the best hits; None where the job wants none
    most           items at once at most, whatever the job says: the system may not allow as many open files
    uploading      by digest, the pictures of views that are being uploaded
    reading        lets only a few pictures be read at once: each may hold 100 million pixels
    """

    spec: JobSpec
    endpoints: Endpoints
    vendor: Vendor
    ledger: Ledger
    read_picture: Callable[[str], Picture]
    digest: Callable[[str], str | None] = lambda _: None
    now: Callable[[], float] = time.time
    steady: Callable[[], float] = steady
    first_items: FirstItems = field(default_factory=FirstItems)
    reuse: Reuse | None = None
    follow: Callable[[], Awaitable[bool]] | None = None
    paid: Callable[[Task], None] | None = None
    details: HitDetails | None = None
    say: Callable[[str], None] = lambda _: None
    keep_drawing: Callable[[str, bytes], None] = lambda name, data: None
    keep_pictures: Callable[[Work, Hits | None], None] | None = None
    questions_per_s: float = 5.0
    most: int = 10_000
    uploading: dict[str, anyio.Lock] = field(default_factory=dict)
    reading: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(4))
