"""The command to type after a run that did not settle everything."""

from collections.abc import Iterator, Sequence

from pipeline.errors import Code
from pipeline.results.summary import RunSummary
from pipeline.system.fault import typed

_FOR_A_PERSON = (2, 3)  # exit codes of runs that something stopped which no command mends: a key, a contract, doubts


def next_command(summary: RunSummary, *words: object, overrides: Sequence[str] = ()) -> str:
    """Write the line to type next; "" where only a person can know. The words and overrides are those of its command.

    1. A budget is used up: the same command with a budget that the items left need at least.
    2. Something must be put right first, or all is settled: none.
    3. The run came to its end with open items: `pipeline status`, which says what to do about each.
    4. The run ended early: the same command goes on.
    """
    if summary.ended_by == Code.BUDGET:
        raised = dict(_raised(summary))
        overrides = [one for one in overrides if one.partition("=")[0] not in raised]
        overrides += [f"{key}={calls}" for key, calls in raised.items()]
        return typed(*words, *_as_options(overrides))
    if summary.exit_code == 0 or summary.exit_code in _FOR_A_PERSON:
        return ""
    if summary.exit_code == 1 and summary.items["open"]:
        return typed("status", summary.results.rpartition("/")[0])
    return typed(*words, *_as_options(overrides))


def _as_options(overrides: Sequence[str]) -> list[str]:
    return [word for override in overrides for word in ("--set", override)]


def _raised(summary: RunSummary) -> Iterator[tuple[str, int]]:
    """Yield the budgets that are used up, each with the number of calls that is enough for one try of what is left."""
    left = max(1, summary.items["not_started"])
    for kind, spent in summary.calls.items():
        if spent.budget is not None and spent.sent + spent.unknown >= spent.budget:
            yield f"api.budget.{kind}_calls", spent.budget + left
