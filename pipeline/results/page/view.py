"""What the page says about a run as a whole; whoever composes the run fills it in."""

from dataclasses import dataclass

from pipeline.models import OPEN, SETTLED

NOT_STARTED = "not_started"
SETTLED_WORDS = tuple(state.word for state in SETTLED)
OPEN_WORDS = tuple(state.word for state in OPEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run, as people want to know it.

    `counts` holds items by tasked, no_hits, searched, failed, in_doubt, expired and not_started, which add up to all
    items; an absent one is 0. `calls` holds HTTP attempts by kind of call. `started_at` and `finished_at` are ISO
    times in UTC. `search` is the endpoint and limit in words, `not_looked_at` what stayed out of sight, one phrase
    each. The files are relative to the page.
    """

    job: str
    vendor: str
    tool: str
    started_at: str
    finished_at: str
    counts: dict[str, int]
    calls: dict[str, int]
    units: float
    exit_reason: str
    not_looked_at: list[str]
    search: str
    results_file: str = "results.jsonl"
    open_file: str = "open.jsonl"
    summary_file: str = "summary.json"
    spec_file: str = "spec.yaml"

    def __post_init__(self) -> None:
        if unknown := set(self.counts) - {*SETTLED_WORDS, *OPEN_WORDS, NOT_STARTED}:
            raise ValueError(f"counts: {min(unknown)!r} is no status")

    @property
    def sandbox(self) -> bool:
        """Whether the results come from the sandbox's drawn gallery."""
        return self.vendor == "sandbox"

    @property
    def settled(self) -> int:
        """Items that are settled."""
        return sum(self.counts.get(word, 0) for word in SETTLED_WORDS)

    @property
    def open(self) -> int:
        """Items that are open."""
        return sum(self.counts.get(word, 0) for word in OPEN_WORDS)

    @property
    def total(self) -> int:
        """All items of the job."""
        return sum(self.counts.values())
