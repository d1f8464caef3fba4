"""The parts an item needs while it is worked on."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from pipeline.endpoints.interface import Endpoints
from pipeline.job.schema import JobSpec
from pipeline.ports import Ledger, Vendor
from pipeline.sources.pictures import Picture
from pipeline.system.clock import steady


@dataclass(frozen=True, slots=True)
class Ports:
    """What an item needs on its way; `read_picture` reads and checks a local picture in a thread."""

    spec: JobSpec
    endpoints: Endpoints
    vendor: Vendor
    ledger: Ledger
    read_picture: Callable[[str], Picture]
    now: Callable[[], float] = time.time
    steady: Callable[[], float] = steady
    # A decoded picture may hold 100 million pixels: only a few at a time.
    reading: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(4))
