"""The facts of a run that the page shows at its top."""

from dataclasses import dataclass

from pipeline.models import OPEN, SETTLED
from pipeline.results.summary import FINISHED

NOT_STARTED = "not_started"
SETTLED_WORDS = tuple(state.word for state in SETTLED)
OPEN_WORDS = tuple(state.word for state in OPEN)
COUNTED = (*SETTLED_WORDS, *OPEN_WORDS, NOT_STARTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run, as people want to know it."""

    job: str
    vendor: str
    tool: str
    started_at: str  # ISO 8601 in UTC
    finished_at: str
    counts: dict[str, int]  # items by tasked, no_hits, searched, failed, in_doubt, expired, not_started; absent = 0
    calls: dict[str, int]  # HTTP attempts by kind of call
    billed: str  # the units billed, in words
    money: str = ""  # spent by the prices of the job, in words; empty where it names none
    exit_reason: str
    not_looked_at: list[str]  # what the search leaves out of sight, one phrase each
    rehearsal: bool = False  # drawn pictures stood for the products' URLs
    state: str = FINISHED  # of the run: finished, interrupted or running
    as_of: str = ""  # the time that the page tells of, ISO 8601 in UTC; empty = the end of the run
    search: str  # the endpoint and its limit in words
    ended_by: str = ""  # the code of what ended the run early
    daily: bool = False  # whether that is the account's limit for the day
    results_file: str = "results.jsonl"  # as all files here, relative to the page
    open_file: str = "open.jsonl"
    summary_file: str = "summary.json"
    spec_file: str = "spec.yaml"

    def __post_init__(self) -> None:
        if unknown := set(self.counts) - {*SETTLED_WORDS, *OPEN_WORDS, NOT_STARTED}:
            raise ValueError(f"counts: {min(unknown)!r} is no status")

    @property
    def sandbox(self) -> bool:
        """Return True if the results come from the sandbox's drawn gallery."""
        return self.vendor == "sandbox"

    @property
    def settled(self) -> int:
        """Number of items that are settled."""
        return sum(self.counts.get(word, 0) for word in SETTLED_WORDS)

    @property
    def open(self) -> int:
        """Number of items that are open."""
        return sum(self.counts.get(word, 0) for word in OPEN_WORDS)

    @property
    def total(self) -> int:
        """Number of all items of the job."""
        return sum(self.counts.values())
