"""The command `pipeline plan`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pipeline.cli.looking import counting_pictures
from pipeline.cli.screen import show_changed, show_json, show_lines, show_rows
from pipeline.offline.foreseen_reuse import TakenFrom
from pipeline.offline.listing import Copies
from pipeline.offline.plan import Plan, plan_job
from pipeline.system.wording import count, duration

_SHOWN, _NAMES = 10, 3  # lines of a kind, and names in a line
_Value = TypeVar("_Value")


def plan_command(path: Path, overrides: list[str], *, new: bool, rehearse: bool, quick: bool, as_json: bool) -> int:
    """Print what a run would do."""
    with counting_pictures() as watch:
        plan = plan_job(path, overrides=overrides, new=new, rehearse=rehearse, quick=quick, watch=watch)
    if as_json:
        show_json(plan)
    else:
        _show_plan(plan)
    return 0


def _copies(one: Copies) -> str:
    """Name the items that show the picture of one item."""
    names = ", ".join(one.copies[:_NAMES])
    more = f" and {one.times - _NAMES:,} more" if one.times > _NAMES else ""
    return f"same picture as {one.item} ({one.source}): {names}{more}"


def _taken(one: TakenFrom) -> str:
    """Name what is taken of another run directory."""
    tasks = count(one.tasks, "task") + (f" ({one.reports:,} with their reports)" if one.reports else "")
    parts = [(one.uploads, count(one.uploads, "upload")), (one.searches, count(one.searches, "search", "searches"))]
    parts.append((one.tasks, tasks))
    return f"taken of the run {one.run}: {', '.join(text for number, text in parts if number)}"


def _first(values: Sequence[_Value], show: Callable[[_Value], str]) -> list[str]:
    more = len(values) - _SHOWN
    return [*map(show, values[:_SHOWN]), *([f"and {more:,} more; --json names them"] if more > 0 else [])]


def _show_plan(plan: Plan) -> None:
    counts = [
        ("items", plan.items),
        ("rows that repeat an item", plan.repeated),
        ("items with another item's picture (searched once)", plan.same_picture),
        ("rows that cannot be used (they become failed items)", plan.bad),
        *((f"already {word.replace('_', ' ')}", count) for word, count in plan.already.items()),
    ]
    if saved := ", ".join(f"{number:,} {kind}" for kind, number in plan.saved.items() if number):
        counts.append((f"calls that shared pictures save ({saved})", sum(plan.saved.values())))
    if again := ", ".join(f"{number:,} {kind}" for kind, number in plan.reused.items() if number):
        counts.append((f"calls that other runs save ({again})", sum(plan.reused.values())))
    rows = [(text, f"{count:,}") for text, count in counts if count]
    rows += [
        (f"{kind} calls, without retries{', at most' if kind in plan.at_most else ''}", f"{count:,}")
        for kind, count in plan.calls.items()
    ]
    if plan.questions:
        whose = ", asked by `pipeline collect`" if plan.collected else ""
        rows.append((f"questions for reports{whose}, about 2 a task, at most", f"{plan.questions:,}"))
    if plan.details:
        rows.append(("patents' details, at most", f"{plan.details:,}"))
    if plan.cost is not None:
        at_most = ", at most" if plan.at_most or plan.details or plan.questions else ""
        rows.append((f"money, without retries{at_most}", str(plan.cost)))
    if plan.seconds:
        rows.append(("time, about", f"{duration(plan.seconds)} (bound by {plan.binds})"))
    if plan.accounts:
        rows.append(("accounts at once", ", ".join(plan.accounts)))
    if plan.left_out:
        rows.append(("items that the budget leaves out", f"{plan.left_out:,} ({plan.budget})"))
    show_rows([*rows, ("run directory", plan.run)])
    show_lines(f"`run` would refuse this: {line}" if n == 0 else line for n, line in enumerate(plan.refused))
    show_lines(map(_taken, plan.reused_from))
    show_lines(_first(plan.copies, _copies))
    show_lines(_first(plan.bad_rows, lambda row: f"cannot be used: {row}"))
    show_changed(plan.changed)
    show_lines([*plan.warnings, *(f"Not looked at: {what}" for what in plan.not_looked_at)])
