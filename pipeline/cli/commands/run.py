"""`run`."""

import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pipeline.cli import screen as show
from pipeline.cli.asking import ask, on_a_terminal
from pipeline.cli.errors import say
from pipeline.offline.plan import make_plan
from pipeline.results.summary import RunSummary, to_json
from pipeline.run.directory import run_folder
from pipeline.run.load import Job, load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from pipeline.run.progress import Observer


def run_command(
    spec: Path,
    overrides: list[str],
    options: RunOptions,
    *,
    yes: bool = False,
    as_json: bool = False,
    quiet: bool = False,
) -> int:
    """Run a job; return its exit code."""
    job = load(spec, overrides=overrides)
    for remark in job.remarks:
        say(f"note: {remark}")
    if not yes and not job.spec.sandbox and on_a_terminal():
        _ask(job, new=options.new)
    summary = carry_out(job, options, quiet=quiet)
    tell(summary, as_json=as_json, quiet=quiet)
    return summary.exit_code


def _ask(job: Job, *, new: bool) -> None:
    plan = make_plan(job.spec, run_folder(job.spec, now=datetime.now().astimezone(), new=new))
    if not plan.paid_calls:
        return
    calls = ", ".join(f"{count:,} {kind}" for kind, count in plan.calls.items())
    ask(f"{job.spec.vendor} will be sent {plan.paid_calls:,} calls ({calls}) and retries, which the account pays for.")


def carry_out(job: Job, options: RunOptions, *, quiet: bool) -> RunSummary:
    """Run a job and show it on stderr."""
    with ExitStack() as stack:
        observer: Observer | None = None
        if not quiet:
            console = show.stderr_console()
            observer = show.PlainLines(sys.stderr)
            if console.is_terminal and not console.is_dumb_terminal:
                observer = stack.enter_context(show.LiveTable(console))
        return LocalExecutor().run(job, replace(options, observer=observer, say=say))


def tell(summary: RunSummary, *, as_json: bool, quiet: bool) -> None:
    """Print what a run came to."""
    if as_json:
        sys.stdout.write(to_json(summary).decode())
    elif not quiet:
        show.show_summary(summary, show.stdout_console())
    elif summary.exit_code:
        say(summary.exit_reason)
