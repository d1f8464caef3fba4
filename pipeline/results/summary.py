"""What a run came to: the counts that add up, what was spent, and why it ended."""

from dataclasses import dataclass

import msgspec

from pipeline.models import OPEN, SETTLED, WAITING, Kind, State


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls of one kind over the run directory's life: `sent`, and `unknown` that a kill left uncounted."""

    sent: int
    unknown: int
    budget: int | None


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """summary.json. `items["all"]` = settled + open + not_started; `removed` are known but no longer listed."""

    schema: int = 1
    job: str
    run: str
    vendor: str
    tool: str
    spec_sha256: str
    started_at: str
    finished_at: str
    duration_s: float
    exit_code: int
    exit_reason: str
    items: dict[str, int]
    calls: dict[str, Spent]
    calls_this_run: dict[str, int]
    units_billed: float
    calls_per_settled: dict[str, float]
    refused_for_speed: int
    retried: int
    not_looked_at: list[str]
    warnings: list[str]
    results: str

    @property
    def ok(self) -> bool:
        """Whether every item is settled."""
        return self.exit_code == 0


def item_counts(counts: dict[State, int], *, removed: int = 0) -> dict[str, int]:
    """Counts per state in words, with the sums that people check."""
    words = {state.word: counts.get(state, 0) for state in (*SETTLED, *OPEN)}
    settled = sum(counts.get(state, 0) for state in SETTLED)
    open_ = sum(counts.get(state, 0) for state in OPEN)
    waiting = sum(counts.get(state, 0) for state in (*WAITING, State.CREATING))
    return {
        "all": settled + open_ + waiting,
        "settled": settled,
        "open": open_,
        "not_started": waiting,
        **words,
        "removed": removed,
    }


def calls_per_settled(items: dict[str, int], calls: dict[Kind, int]) -> dict[str, float]:
    """Calls spent per settled record: 1.0 is the least a search or a task can cost."""
    settled = items["settled"] or 1
    return {kind.value: round(count / settled, 4) for kind, count in calls.items()}


def to_json(summary: RunSummary) -> bytes:
    """summary.json, indented for people."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
