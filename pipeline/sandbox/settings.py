"""What a sandbox is told when it starts."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.resources import resource


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """One sandbox; everything it must remember lies in `folder`.

    `qps` holds per endpoint in any sliding second; below 1 it means one call per 1/qps seconds. `latency_s` is waited
    before every answer, uniform between the two when it is a pair. `daily_limit` counts paid calls per UTC day,
    `balance` paid calls in all; both start anew with every sandbox. `clock` is the wall clock in seconds since the
    epoch; expiries follow it, pacing does not. `gallery` and `products` are folders of pictures, the shipped ones by
    default; `cache_dir` keeps the gallery's index between processes.
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
        """Shortest and longest wait before an answer, in seconds."""
        if isinstance(self.latency_s, tuple):
            return self.latency_s
        return self.latency_s, self.latency_s
