"""`plan`, `check`, `status` and `schema`: they look and never send."""

import json
import sys
from datetime import datetime
from pathlib import Path

import msgspec

from pipeline import app
from pipeline.cli.show import duration, show_lines, show_rows, stdout_console
from pipeline.errors import SpecError
from pipeline.items import check_sources, faulty_items
from pipeline.plan import Plan, make_plan
from pipeline.rundir import OPEN, run_folder
from pipeline.spec.load import json_schema
from pipeline.status import Status, read_status, verified

SHOWN_FAULTS = 20


def plan_command(path: Path, overrides: list[str], *, new: bool, as_json: bool) -> int:
    """Print what a run would do."""
    job = app.load_spec(path, overrides=overrides)
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


def check_command(path: Path, overrides: list[str]) -> int:
    """Check a job file and that its sources are there."""
    spec = app.load_spec(path, overrides=overrides)
    check_sources(spec)
    if faults := faulty_items(spec, most=SHOWN_FAULTS):
        raise SpecError(*(f"{path}: {fault}" for fault in faults))
    show_lines([*(f"note: {text}" for text in spec.warnings()), f"{path}: no faults found"], stdout_console())
    return 0


def status_command(path: Path, *, verifying: bool, as_json: bool) -> int:
    """Show where a run stands; also check every line when `verifying`. Raises JournalError on damage."""
    folder = path
    if path.is_file():
        folder = run_folder(app.load_spec(path), now=datetime.now().astimezone())
    elif not path.is_dir():
        raise SpecError(f"{path}: no run directory and no job file")
    status = read_status(folder)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(status), indent=2).decode() + "\n")
    else:
        _show_status(status)
    if verifying:
        said = verified(folder)
        if not as_json:
            show_lines([said], stdout_console())
    return 0


def _show_status(status: Status) -> None:
    console = stdout_console()
    always = ("all", "settled", "open", "not_started")
    rows = [(word.replace("_", " "), f"{n:,}") for word, n in status.items.items() if n or word in always]
    rows += [(f"{kind} calls", f"{count:,}") for kind, count in status.calls.items()]
    for what, when in status.expires.items():
        rows.append((f"{what} expire from", f"{when}, {status.expiring_within_hour[what]:,} within an hour"))
    show_rows([*rows, ("now", status.now)], console)
    show_lines(status.open_items, console)
    if status.open_not_shown:
        show_lines([f"and {status.open_not_shown:,} more; a run that ends lists all of them in {OPEN}"], console)


def schema_command() -> int:
    """Print the JSON Schema of a job file."""
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
    return 0
