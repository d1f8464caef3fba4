"""summary.json: the counts of a run directory, what was spent, and why the last run ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec

from pipeline.errors import PipelineError
from pipeline.job.outlook import not_looked_at, warnings
from pipeline.job.schema import JobSpec
from pipeline.journal.places import OPEN_FILE, results_file
from pipeline.models import KINDS, OF_REPORT, OPEN, PAID, SETTLED, UNFINISHED, Kind, Problem, State
from pipeline.results.earlier_runs import Similar
from pipeline.results.money import Money, money_spent
from pipeline.results.patent_counts import PatentCounts
from pipeline.results.record import RecordLines
from pipeline.system.wording import count
from pipeline.version import __version__

FINISHED, INTERRUPTED, RUNNING = "finished", "interrupted", "running"


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls of one kind over the life of a run directory."""

    sent: int
    unknown: int  # reserved before the process was killed, and perhaps sent
    budget: int | None  # the most that may ever be sent; None without a limit


class Said(msgspec.Struct, frozen=True):
    """The answers to searches and creates, counted by whether they say how many units were billed."""

    by: int = 0  # answers that say it
    of: int = 0  # all answers


class Patents(msgspec.Struct, frozen=True, kw_only=True):
    """Patents whose details or families were asked for, over the life of a run directory."""

    calls: int  # that were sent
    asked: int  # patents in them
    found: int  # of them, known to the vendor, which it bills each
    from_cache: int  # patents that were known here, and asked for in no call
    unknown: int  # reserved before the process was killed, and perhaps billed
    budget: int | None  # the most that may ever be billed; None without a limit

    def __str__(self) -> str:
        of = "" if self.budget is None else f" (the budget is {self.budget:,})"
        more = f", and up to {self.unknown:,} when the process was killed" if self.unknown else ""
        asked = f"{count(self.asked, 'patent')} asked for in {count(self.calls, 'call')}"
        return f"{self.found:,} found of {asked}{more}{of}, {self.from_cache:,} known already"


class Pictures(msgspec.Struct, frozen=True, kw_only=True):
    """Pictures of products and hits that the last run kept in the run directory, and those that it did not."""

    kept: int
    not_kept: dict[str, int]  # by reason

    def __str__(self) -> str:
        lost = sum(self.not_kept.values())
        why = ", ".join(f"{reason} {number:,}" for reason, number in sorted(self.not_kept.items()))
        return f"{self.kept:,} kept" + (f", {lost:,} not kept ({why})" if lost else "")


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a run, as summary.json holds it.

    >>> from pipeline import run_job
    >>> summary = run_job("portfolio.yaml")
    >>> summary.ok, summary.exit_reason, summary.items["in_doubt"], summary.calls["search"].sent
    (True, 'all items are settled', 0, 3)
    """

    schema: int = 1
    job: str
    run: str  # the name of the run directory
    vendor: str  # its host, or `sandbox`
    rehearsal: bool = False  # True when drawn pictures of the sandbox stood for the URLs
    tool: str  # the version of this program
    spec_sha256: str  # of spec.yaml
    started_at: str  # ISO 8601 in UTC
    finished_at: str
    duration_s: float  # of this run alone, also if the clock was set meanwhile
    exit_code: int  # as README lists them; 0 = every item is settled
    exit_reason: str  # one line
    ended_by: str = ""  # the code of what ended the run early: `budget`, the vendor's code, or another word of ours
    items: dict[str, int]  # by status; all = settled + open + not_started; `removed` ones were paid and are not listed
    calls: dict[str, Spent]  # by kind, over the life of the run directory
    calls_this_run: dict[str, int]  # by kind
    units_billed: float  # that the vendor says it billed, over the life of the run directory
    units_said: Said = Said()  # how many answers say so, over the same time; with none, `units_billed` is 0.0
    money: Money | None = None  # spent by the job's prices, over the same time; None where it names none
    details: Patents | None = None  # patents whose details were asked for, over the same time; None without any
    calls_per_settled: dict[str, float]  # by kind; 1.0 is the least that a search or a task costs
    refused_for_speed: int  # calls of this run that the vendor refused as too many in a second
    retried: int  # calls of this run that were sent again
    answers_of_others: int = 0  # answers in this run that were to another question; they were asked for again
    not_looked_at: list[str]  # what was left out of sight, as the records say it, one phrase each
    warnings: list[str]  # what the job says that is probably not meant, one sentence each
    results: str  # the path of results.jsonl
    unread: int = 0  # tasks that live, and whose reports nobody collected yet (task.report: later)
    collect_by: str = ""  # `pipeline collect` must start by then so that all are read in time; "" without any
    pictures: Pictures | None = None  # of the last run; None where it kept none
    similar: Similar | None = None  # products with a hit at or above report.at_least, and new ones; None before that
    state: str = FINISHED  # of the last run: finished, interrupted (killed, say) or running
    as_of: str = ""  # the time of these counts: a resolve or a report comes later than the end of the run

    @property
    def ok(self) -> bool:
        """Return True if the exit code is 0."""
        return self.exit_code == 0

    @property
    def billed(self) -> str:
        """The units billed in words; the vendor need not say them, and what is not said is not zero."""
        vendor = "the sandbox" if self.vendor == "sandbox" else self.vendor
        sent = any(spent.sent for spent in self.calls.values())
        return billed(self.units_billed, self.units_said, vendor=vendor, sent=sent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything in a summary that the job does not say.

    Only the process that ran knows `ended_by`, `duration_s`, `sent`, `refused_for_speed`, `retried`,
    `answers_of_others` and `pictures`: in a summary made of the journal alone they are as they begin here.
    """

    started_at: str  # ISO 8601 in UTC, as all times here
    finished_at: str
    exit_code: int
    exit_reason: str
    items: dict[str, int]  # see `item_counts`
    calls: Mapping[Kind, tuple[int, int]]  # reserved and sent, over the life of the run directory
    units: float
    patents: PatentCounts = field(default_factory=PatentCounts)
    ended_by: str = ""
    costs: Mapping[Kind, Decimal] = field(default_factory=dict)  # of the reserved calls, by the job's prices
    said: Said = field(default_factory=Said)
    duration_s: float = 0.0
    sent: Mapping[Kind, int] = field(default_factory=dict)  # in this run
    refused_for_speed: int = 0
    retried: int = 0
    answers_of_others: int = 0
    unread: int = 0
    collect_by: str = ""
    pictures: Pictures | None = None
    state: str = FINISHED


def build_summary(folder: Path, records: RecordLines, figures: Figures) -> RunSummary:
    """Put together the summary of a run directory from its job and its figures."""
    spec = records.spec
    settled = figures.items["settled"] or 1
    calls = {
        kind: figures.calls[kind]
        for kind in KINDS
        if kind in figures.calls and (kind in PAID or spec.awaits_reports or any(figures.calls[kind]))
    }
    return RunSummary(
        job=spec.name,
        run=folder.name,
        vendor=spec.vendor,
        rehearsal=spec.rehearsal,
        tool=__version__,
        spec_sha256=records.spec_sha256,
        started_at=figures.started_at,
        finished_at=figures.finished_at,
        duration_s=round(figures.duration_s, 3),
        exit_code=figures.exit_code,
        exit_reason=figures.exit_reason,
        ended_by=figures.ended_by,
        items=figures.items,
        calls={
            kind.value: Spent(sent, reserved - sent, spec.api.budget_of(kind))
            for kind, (reserved, sent) in calls.items()
        },
        calls_this_run={kind.value: figures.sent.get(kind, 0) for kind in dict.fromkeys((*PAID, *calls))},
        units_billed=figures.units,
        units_said=figures.said,
        money=money_spent(spec, figures.costs, figures.calls),
        calls_per_settled={kind.value: round(sent / settled, 4) for kind, (_, sent) in calls.items()},
        details=_patents(spec, figures),
        refused_for_speed=figures.refused_for_speed,
        retried=figures.retried,
        answers_of_others=figures.answers_of_others,
        pictures=figures.pictures,
        not_looked_at=not_looked_at(spec),
        warnings=warnings(spec),
        results=str(results_file(folder)),
        unread=figures.unread,
        collect_by=figures.collect_by,
        state=figures.state,
        as_of=figures.finished_at,
    )


def _patents(spec: JobSpec, figures: Figures) -> Patents | None:
    counts, (reserved, sent) = figures.patents, figures.calls.get(Kind.DETAILS, (0, 0))
    if spec.details is None and not counts.calls and not counts.from_cache:
        return None
    return Patents(
        calls=counts.calls,
        asked=counts.asked,
        found=counts.found,
        from_cache=counts.from_cache,
        unknown=reserved - sent,
        budget=spec.api.budget.details,
    )


def billed(units: float, said: Said, *, vendor: str, sent: bool) -> str:
    """Write how many units were billed, as far as the vendor said it."""
    if not units and not said.by and sent:
        return f"units billed: not said by {vendor}"
    words = f"{vendor} billed {units:g} {'unit' if units == 1 else 'units'}"
    return f"{words}, as {said.by:,} of {said.of:,} answers say" if 0 < said.by < said.of else words


def said_in(meta: str | None) -> Said:
    """Read the counts that the journal remembers; none where an earlier version wrote it."""
    by, _, of = (meta or "0 0").partition(" ")
    return Said(int(by), int(of))


def item_counts(counts: Mapping[State, int], *, removed: int = 0) -> dict[str, int]:
    """Turn counts per state into words, with the sums that people check."""
    of_reports = (State.REPORTED, *OF_REPORT)  # named only by runs that ask for reports
    words = {
        state.word: counts.get(state, 0)
        for state in (*SETTLED, *OPEN)
        if state not in of_reports or any(counts.get(one) for one in of_reports)
    }
    settled = sum(counts.get(state, 0) for state in SETTLED)
    open_ = sum(counts.get(state, 0) for state in OPEN)
    waiting = sum(counts.get(state, 0) for state in UNFINISHED)
    return {
        "all": settled + open_ + waiting,
        "settled": settled,
        "open": open_,
        "not_started": waiting,
        **words,
        "removed": removed,
    }


def exit_of(
    ended_by: PipelineError | None,
    items: Mapping[str, int],
    first_open: Problem | None,
    *,
    limited: bool,
    todo: str = "",
    listed: bool = True,
) -> tuple[int, str]:
    """Return the exit code of a run and the reason in one line.

    The first of these that holds decides: an error ended the run; items are open; items were not started, for want of
    room under --limit (`limited`) or otherwise; all items are settled. `todo` is what to do about the first open item,
    `listed` whether open.jsonl names them all already.
    """
    if ended_by is not None:
        return ended_by.exit_code, str(ended_by)
    if items["open"]:
        reason = _with_open(items["open"], listed=listed)
        if first_open is not None:
            first = "" if items["open"] == 1 else "the first: "
            reason += f"; {first}{first_open.message[:200]}"
            reason += f"; to do: {todo}" if todo else ""
            reason += "; `pipeline status` says what to do" + (" about each" if items["open"] > 1 else "")
        if items["in_doubt"]:
            reason += f"; decide about the {items['in_doubt']:,} in doubt with `pipeline resolve`"
        return 1, reason
    if items["not_started"]:
        left = f"{count(items['not_started'], 'item is', 'items are')} not started; run again to go on"
        return 1, f"stopped at --limit; {left}" if limited else left
    return 0, "all items are settled"


def _with_open(items: int, *, listed: bool) -> str:
    if listed:
        return f"finished; {count(items, 'item is', 'items are')} open, see {OPEN_FILE}"
    return f"finished; {count(items, 'item is', 'items are')} open; `pipeline report` lists them"


def to_json(summary: RunSummary) -> bytes:
    """Write a summary as JSON, indented for people."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"
