"""`plan`."""

import sys
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline.cli.screen import show_lines, show_rows, stdout_console
from pipeline.offline.plan import Plan, make_plan
from pipeline.run.directory import run_folder
from pipeline.run.load import load_spec
from pipeline.sources.check import check_sources
from pipeline.system.wording import duration


def plan_command(path: Path, overrides: list[str], *, new: bool, as_json: bool) -> int:
    """Print what a run would do."""
    job = load_spec(path, overrides=overrides)
    check_sources(job)
    plan = make_plan(job, run_folder(job, now=datetime.now().astimezone(), new=new))
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(plan), indent=2).decode() + "\n")
    else:
        _show_plan(plan)
    return 0


def _show_plan(plan: Plan) -> None:
    console = stdout_console()
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
    show_rows([*rows, ("run directory", plan.run)], console)
    show_lines([f"`run` would refuse this: {line}" if n == 0 else line for n, line in enumerate(plan.refused)], console)
    show_lines([*plan.warnings, *(f"Not looked at: {what}" for what in plan.not_looked_at)], console)
