"""Settings of a sandbox, given when it starts."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.sandbox.fates import ReportPlan
from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.resources import resource

ENDPOINT_NAMES = frozenset(
    [
        "P009",
        "P009-V2",
        "P010",
        "P060",
        "P060-beta",
        "P061",
        "AI39-1",
        "AI39-2",
        "AI39-submit",
        "AI39-report",
        "D301",
        "P014",
    ],
)

STATEMENT = "statement"  # the vendor gives the statement of account no id; every account may ask for its own

_LEAST = {"daily_limit": 0, "balance": 0, "keep_alive_s": 0, "token_lifetime_s": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSettings:
    """Settings of one sandbox.

    folder: holds everything it remembers from one start to the next
    qps: accepted calls in any sliding second, for each endpoint; 0.5 is one call in two seconds; None is no limit
    latency_s: wait before every answer; of a pair, a random time between the two
    faults: calls that go wrong
    daily_limit, balance: paid calls in a UTC day, and in all, counted from the start; None is no limit
    denied: endpoints that the account has no permission for, by the vendor's names (`ENDPOINT_NAMES`)
    packages: endpoints whose calls the statement of account counts in a package, by the vendor's names
    prices: of one unit, by the vendor's names, as the statement charges it; 1 where none is named
    report_after_s: a task younger than that is still being worked on; of a pair, each task has a time between the two
    reports: what becomes of tasks, and how their reports look
    forgotten_searches: the answer to a search_id of P009 V2 that is too old: `refused`, or a shape of nothing found
    stand_ins: a URL of any other host stands for one of the products, chosen by a hash of the URL
    refused_patents: share of all patents, from 0 to 1, for whose ids a whole call for patent data is refused
    omit_headers: headers that no answer has; the vendor leaves out `x-openapi-amount` at times
    keep_alive_s: connections that idle longer are closed without a word; 0 closes each after its answer; None is long
    token_lifetime_s, token_shape: of the access tokens; both shapes occur at the vendor
    one_token: a new access token makes the one before invalid; whether the vendor does so is not known
    client_id, client_secret, api_key: the credentials that are accepted
    clock: the wall clock in seconds since the epoch, for expiries and days; `qps` is measured by a steady one
    gallery, products: folders of pictures, by default the shipped ones
    cache_dir: keeps the gallery's index between processes; None keeps none
    preparing: called with the drawings done and all of them while the index is made
    """

    folder: Path
    qps: float | None = None
    latency_s: float | tuple[float, float] = 0.0
    faults: FaultPlan = field(default_factory=FaultPlan)
    daily_limit: int | None = None
    balance: int | None = None
    denied: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    prices: Mapping[str, str] = field(default_factory=dict)
    report_after_s: float | tuple[float, float] = 1.0
    reports: ReportPlan = field(default_factory=ReportPlan)
    forgotten_searches: Literal["refused", "no_hits", "null_hits", "absent_hits", "empty_hits"] = "refused"
    stand_ins: bool = False
    refused_patents: float = 0.0
    omit_headers: tuple[str, ...] = ()
    keep_alive_s: float | None = None
    token_lifetime_s: int = 1799
    token_shape: Literal["flat", "nested"] = "flat"  # noqa: S105
    one_token: bool = False
    client_id: str = "sandbox"
    client_secret: str = field(default="sandbox-secret", repr=False)
    api_key: str = field(default="sandbox-key", repr=False)
    clock: Callable[[], float] = time.time
    gallery: Path = field(default_factory=lambda: resource("gallery"))
    products: Path = field(default_factory=lambda: resource("products"))
    cache_dir: Path | None = None
    preparing: Callable[[int, int], None] = lambda done, total: None

    def __post_init__(self) -> None:
        for name, (low, high) in (("latency_s", self.latency_range_s), ("report_after_s", self.report_range_s)):
            if not 0 <= low <= high:
                raise ValueError(f"{name}: not below 0, and a pair goes upwards")
        if self.qps is not None and not 0 < self.qps <= 1_000_000:
            raise ValueError("qps: above 0 and at most 1,000,000")
        if not 0 <= self.refused_patents <= 1:
            raise ValueError("refused_patents: a share of the patents, from 0 to 1")
        for name in sorted(self.denied - ENDPOINT_NAMES):
            raise ValueError(f"unknown endpoint {name!r}; known: {', '.join(sorted(ENDPOINT_NAMES))}")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name}: at least {least}")

    @property
    def latency_range_s(self) -> tuple[float, float]:
        """The shortest and the longest wait before an answer, in seconds."""
        return _range(self.latency_s)

    @property
    def report_range_s(self) -> tuple[float, float]:
        """The shortest and the longest time until a task is done, in seconds."""
        return _range(self.report_after_s)


def _range(value: float | tuple[float, float]) -> tuple[float, float]:
    return value if isinstance(value, tuple) else (value, value)
