"""The command to type after a run that did not settle everything."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from pipeline.errors import Code
from pipeline.job.schema import JobSpec
from pipeline.models import Kind, budget_name
from pipeline.results.fail_on import EXIT_CODE as FOUND
from pipeline.results.summary import RunSummary
from pipeline.system.fault import settings, typed

QUESTIONS = 3  # for a report: two are usual, and the raised budget is to be enough
_FOR_A_PERSON = (2, 3)  # exit codes of runs that something stopped which no command mends: a key, a contract, doubts


def next_command(
    summary: RunSummary, spec: JobSpec, *words: object, overrides: Sequence[str] = (), items: int = 1
) -> str:
    """Write the line to type next; "" where only a person can know. The words and overrides are those of its command.

    A command that was told which `items` to work on says how many these are, since those left do not count as such.

    1. A budget is used up: the same command with a budget that is enough for the items left, when each goes well.
    2. Something must be put right first, or all is settled: none.
    3. The run came to its end with open items: `pipeline status`, which says what to do about each.
    4. The run ended early: the same command goes on.

    A run that came to its end and left its tasks to be read comes before 2 and 3: their time runs.
    """
    if summary.ended_by == Code.BUDGET or _out_of_questions(summary, spec):
        raised = dict(_raised(summary, spec, items=items))
        overrides = [one for one in overrides if one.partition("=")[0] not in raised]
        overrides += [f"{key}={most}" for key, most in raised.items()]
        return typed(*words, *settings(overrides))
    code = summary.exit_code
    if code == FOUND:  # as it would be if nobody had asked
        code = 1 if summary.items["open"] or summary.items["not_started"] else 0
    if summary.unread and code in (0, 1) and not summary.items["not_started"]:
        return typed("collect", summary.results.rpartition("/")[0])
    if code == 0 or code in _FOR_A_PERSON:
        return ""
    if code == 1 and summary.items["open"]:
        return typed("status", summary.results.rpartition("/")[0])
    return typed(*words, *settings(overrides))


def _out_of_questions(summary: RunSummary, spec: JobSpec) -> bool:
    """Return whether reports are awaited for which the budgets have no question left."""
    if not spec.awaits_reports or not summary.items.get("report_pending"):
        return False
    spent, money = summary.calls.get(Kind.QUERY), summary.money
    if spent is not None and spent.budget is not None and spent.sent + spent.unknown >= spent.budget:
        return True
    price = spec.price_of(Kind.QUERY) or Decimal(0)
    return money is not None and money.budget is not None and money.spent + money.unknown + price > money.budget


def _raised(summary: RunSummary, spec: JobSpec, *, items: int) -> Iterator[tuple[str, str]]:
    """Yield the budgets that have too little for what is left, `items` at least, each with what is enough."""
    doubts = summary.items.get("in_doubt", 0) if spec.api.duplicates else 0  # the next run creates them again
    items = max(items, summary.items["not_started"] + doubts)
    needed = _needed(spec, items=items, awaited=summary.items.get("report_pending", 0))
    for kind, spent in summary.calls.items():
        if spent.budget is not None and (enough := spent.sent + spent.unknown + needed[Kind(kind)]) > spent.budget:
            yield f"api.budget.{budget_name(Kind(kind))}", str(enough)
    if (money := summary.money) is not None and money.budget is not None:
        cost = sum(((spec.price_of(kind) or Decimal(0)) * calls for kind, calls in needed.items()), Decimal(0))
        if (most := money.spent + money.unknown + cost) > money.budget:
            yield "api.budget.money", f"{most.normalize():f}"


def _needed(spec: JobSpec, *, items: int, awaited: int) -> Mapping[Kind, int]:
    """Count the calls that so many items need at most, the patents of their details, and questions for reports."""
    calls = Counter(dict.fromkeys(spec.kinds(local=any(entry.url is None for entry in spec.images)), items))
    calls[Kind.SEARCH] *= spec.search.pages_left(None)
    calls[Kind.QUERY] = QUESTIONS * (items + awaited) if spec.awaits_reports else 0
    calls[Kind.DETAILS] = 0 if spec.details is None else items * spec.details.top * (1 + spec.details.family)
    return calls
