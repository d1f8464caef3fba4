"""Settings of a sandbox, given when it starts."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.resources import resource


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """Settings of one sandbox.

    folder: holds everything it remembers from one start to the next
    qps: accepted calls in any sliding second, for each endpoint; 0.5 is one call in two seconds; None is no limit
    latency_s: wait before every answer; of a pair, a random time between the two
    faults: calls that go wrong
    daily_limit, balance: paid calls in a UTC day, and in all, counted from the start; None is no limit
    token_lifetime_s, token_shape: of the access tokens; both shapes occur at the vendor
    client_id, client_secret, api_key: the credentials that are accepted
    clock: the wall clock in seconds since the epoch, for expiries and days; `qps` is measured by a steady one
    gallery, products: folders of pictures, by default the shipped ones
    cache_dir: keeps the gallery's index between processes; None keeps none
    """

    folder: Path
    qps: float | None = None
    latency_s: float | tuple[float, float] = 0.0
    faults: FaultPlan = field(default_factory=FaultPlan)
    daily_limit: int | None = None
    balance: int | None = None
    token_lifetime_s: int = 1799
    token_shape: Literal["flat", "nested"] = "flat"  # noqa: S105
    client_id: str = "sandbox"
    client_secret: str = field(default="sandbox-secret", repr=False)
    api_key: str = field(default="sandbox-key", repr=False)
    clock: Callable[[], float] = time.time
    gallery: Path = field(default_factory=lambda: resource("gallery"))
    products: Path = field(default_factory=lambda: resource("products"))
    cache_dir: Path | None = None

    def __post_init__(self) -> None:
        low, high = self.latency_range_s
        if not 0 <= low <= high:
            raise ValueError("latency_s: not below 0, and a pair goes upwards")
        if self.qps is not None and not 0 < self.qps <= 1_000_000:
            raise ValueError("qps: above 0 and at most 1,000,000")

    @property
    def latency_range_s(self) -> tuple[float, float]:
        """The shortest and the longest wait before an answer, in seconds."""
        if isinstance(self.latency_s, tuple):
            return self.latency_s
        return self.latency_s, self.latency_s
