"""`plan`, `check`, `status` and `schema`: they look and never send."""

import json
import sys
from datetime import datetime
from pathlib import Path

import msgspec
from rich.table import Table
from rich.text import Text

from pipeline import app
from pipeline.cli.show import duration, stdout_console
from pipeline.errors import SpecError
from pipeline.items import check_sources
from pipeline.plan import Plan, make_plan
from pipeline.rundir import run_folder
from pipeline.spec.load import json_schema
from pipeline.status import Status, read_status


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
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("items", f"{plan.items:,}")
    for text, count in (
        ("rows that repeat an item", plan.repeated),
        ("items with another item's picture (searched once)", plan.same_picture),
        ("rows that cannot be used (they become failed items)", plan.bad),
    ):
        if count:
            table.add_row(text, f"{count:,}")
    for word, count in plan.already.items():
        table.add_row(f"already {word.replace('_', ' ')}", f"{count:,}")
    for kind, count in plan.calls.items():
        table.add_row(f"{kind} calls, at most", f"{count:,}")
    if plan.seconds:
        table.add_row("time, about", f"{duration(plan.seconds)} (bound by {plan.binds})")
    table.add_row("run directory", plan.run)
    console.print(table)
    for text in (*plan.warnings, *(f"Not looked at: {what}" for what in plan.not_looked_at)):
        console.print(Text(text))


def check_command(path: Path, overrides: list[str]) -> int:
    """Check a job file and that its sources are there."""
    spec = app.load_spec(path, overrides=overrides)
    check_sources(spec)
    console = stdout_console()
    for text in spec.warnings():
        console.print(Text(f"note: {text}"))
    console.print(Text(f"{path}: no faults found"))
    return 0


def status_command(path: Path, *, as_json: bool) -> int:
    """Show where a run stands."""
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
    return 0


def _show_status(status: Status) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for word, count in status.items.items():
        if count or word in ("all", "settled", "open", "not_started"):
            table.add_row(word.replace("_", " "), f"{count:,}")
    for kind, count in status.calls.items():
        table.add_row(f"{kind} calls", f"{count:,}")
    for what, when in status.expires.items():
        table.add_row(f"{what} expire from", when)
    table.add_row("now", status.now)
    console = stdout_console()
    console.print(table)
    for line in status.open_items:
        console.print(Text(line))


def schema_command() -> int:
    """Print the JSON Schema of a job file."""
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
    return 0
