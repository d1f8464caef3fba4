"""The facts of a run that the page shows, and what a person wishes of a page."""

from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.job.report import ReportSpec
from pipeline.models import OPEN, SETTLED
from pipeline.results.before import NOTHING_BEFORE, Before
from pipeline.results.decisions import Decision
from pipeline.results.standing import ALL_HOLD, Standing
from pipeline.results.summary import FINISHED

NOT_STARTED = "not_started"
SETTLED_WORDS = tuple(state.word for state in SETTLED)
OPEN_WORDS = tuple(state.word for state in OPEN)
COUNTED = (*SETTLED_WORDS, *OPEN_WORDS, NOT_STARTED)
IN_ONE_FILE = 1_000  # products; the page of more lies in a file for each hundred of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The wishes of a person about a page, beside what the job says."""

    lang: str = "en"  # en or zh; the page has both, this is the one it opens in
    client: str = ""  # the page of this client alone
    at_least: float | None = None  # instead of the job's `report.at_least`
    one_file: bool = False  # however many products there are
    decisions: Path | None = None  # a file of decisions beside the one that lies beside the job
    report: ReportSpec | None = None  # instead of the section with which the job was run
    since: str | None = None  # the run to compare with: none, last, or a run directory; None = last, if there is one

    def of_all(self) -> "Wishes":
        """Return the same wishes for the page of all clients."""
        return replace(self, client="")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run, as people want to know it."""

    job: str
    run: str = ""  # the name of the run directory
    title: str = ""  # instead of the job's name
    client: str = ""  # whose page this is; empty = everybody's
    vendor: str
    tool: str
    started_at: str  # ISO 8601 in UTC
    finished_at: str
    counts: dict[str, int]  # items by the words of COUNTED; absent = 0
    calls: dict[str, int]  # HTTP attempts by kind of call
    billed: str  # the units billed, in words
    money: str = ""  # spent by the prices of the job, in words; empty where it names none
    exit_reason: str
    not_looked_at: list[str]  # what the search leaves out of sight, one phrase each
    rehearsal: bool = False  # drawn pictures stood for the products' URLs
    state: str = FINISHED  # of the run: finished, interrupted or running
    as_of: str = ""  # the time that the page tells of, ISO 8601 in UTC; empty = the end of the run
    search: str  # the endpoint
    limit: int = 0  # hits that it was asked for; 0 = the endpoint decides
    min_score: float = 0.0  # hits below it are in no task
    ended_by: str = ""  # the code of what ended the run early
    daily: bool = False  # whether that is the account's limit for the day
    unread: int = 0  # tasks whose reports `pipeline collect` still has to read
    collect_by: str = ""  # when it must start at the latest, ISO 8601 in UTC
    folder: str = "RUN"  # the run directory, as commands name it
    job_file: str = "JOB"  # the job file, as commands name it
    at_least: float = 0.9  # the score from which on a hit is counted
    lang: str = "en"
    links: bool = False  # whether the page has links that lead out of it
    group_by: tuple[str, ...] = ("client", "market")  # the labels of the table, rows and columns
    decisions: tuple[Decision, ...] = ()
    before: Before = NOTHING_BEFORE  # the run that it is compared with
    standing: Standing = ALL_HOLD  # the decisions against the runs in which they were made
    one_file: bool = False  # however many products there are
    files: tuple[str, ...] = ("results.jsonl", "open.jsonl", "summary.json", "spec.yaml")  # beside the page

    def __post_init__(self) -> None:
        if unknown := set(self.counts) - {*COUNTED}:
            raise ValueError(f"counts: {min(unknown)!r} is no status")

    @property
    def sandbox(self) -> bool:
        """Return True if the results come from the sandbox's drawn gallery."""
        return self.vendor == "sandbox"
