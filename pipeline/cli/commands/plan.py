"""The command `pipeline plan`."""

from pathlib import Path

from pipeline.cli.looking import counting_pictures
from pipeline.cli.screen import show_changed, show_json, show_lines, show_rows
from pipeline.offline.plan import Plan, plan_job
from pipeline.system.wording import duration


def plan_command(path: Path, overrides: list[str], *, new: bool, rehearse: bool, quick: bool, as_json: bool) -> int:
    """Print what a run would do."""
    with counting_pictures() as watch:
        plan = plan_job(path, overrides=overrides, new=new, rehearse=rehearse, quick=quick, watch=watch)
    if as_json:
        show_json(plan)
    else:
        _show_plan(plan)
    return 0


def _show_plan(plan: Plan) -> None:
    counts = [
        ("items", plan.items),
        ("rows that repeat an item", plan.repeated),
        ("items with another item's picture (searched once)", plan.same_picture),
        ("rows that cannot be used (they become failed items)", plan.bad),
        *((f"already {word.replace('_', ' ')}", count) for word, count in plan.already.items()),
    ]
    rows = [(text, f"{count:,}") for text, count in counts if count]
    rows += [(f"{kind} calls, without retries", f"{count:,}") for kind, count in plan.calls.items()]
    if plan.seconds:
        rows.append(("time, about", f"{duration(plan.seconds)} (bound by {plan.binds})"))
    if plan.left_out:
        rows.append(("items that the budget leaves out", f"{plan.left_out:,} ({plan.budget})"))
    show_rows([*rows, ("run directory", plan.run)])
    show_lines(f"`run` would refuse this: {line}" if n == 0 else line for n, line in enumerate(plan.refused))
    show_changed(plan.changed)
    show_lines([*plan.warnings, *(f"Not looked at: {what}" for what in plan.not_looked_at)])
