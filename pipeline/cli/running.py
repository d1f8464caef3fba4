"""`run` and `demo`."""

import sys
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pipeline import app
from pipeline.cli import show
from pipeline.cli.failures import say
from pipeline.errors import SpecError
from pipeline.plan import make_plan
from pipeline.progress import Observer
from pipeline.resources import resource
from pipeline.rundir import run_folder
from pipeline.summary import RunSummary, to_json
from pipeline.truth import score_against_truth


def run_command(
    spec: Path,
    overrides: list[str],
    options: app.RunOptions,
    *,
    yes: bool = False,
    as_json: bool = False,
    quiet: bool = False,
) -> int:
    """Run a job; return its exit code."""
    job = app.load(spec, overrides=overrides)
    for remark in job.remarks:
        say(f"note: {remark}")
    if not yes and not job.spec.sandbox and on_a_terminal():
        _ask(job, new=options.new)
    summary = carry_out(job, options, quiet=quiet)
    tell(summary, as_json=as_json, quiet=quiet)
    return summary.exit_code


def demo_command(*, new: bool, quiet: bool) -> int:
    """Run the shipped job on the shipped pictures, into ./runs."""
    spec, pictures = resource("demo.yaml"), resource("products").parent
    job = app.load(spec, overrides=[f"root={pictures}", "output.dir=runs"])
    summary = carry_out(job, app.RunOptions(new=new), quiet=quiet)
    tell(summary, as_json=False, quiet=quiet)
    if summary.items["settled"]:
        print(score_against_truth(Path(summary.results), resource("truth.json")))
    return summary.exit_code


def _ask(job: app.Job, *, new: bool) -> None:
    plan = make_plan(job.spec, run_folder(job.spec, now=datetime.now().astimezone(), new=new))
    if not plan.paid_calls:
        return
    calls = ", ".join(f"{count:,} {kind}" for kind, count in plan.calls.items())
    ask(f"{job.spec.vendor} will be sent {plan.paid_calls:,} calls ({calls}) and retries, which the account pays for.")


def on_a_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(said: str) -> None:
    """Say what will be paid and ask. Raises SpecError unless the answer is yes."""
    say(said)
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise SpecError("nothing was sent")


def carry_out(job: app.Job, options: app.RunOptions, *, quiet: bool) -> RunSummary:
    """Run a job and show it on stderr."""
    with ExitStack() as stack:
        observer: Observer | None = None
        if not quiet:
            console = show.stderr_console()
            observer = show.PlainLines(sys.stderr)
            if console.is_terminal and not console.is_dumb_terminal:
                observer = stack.enter_context(show.LiveTable(console))
        return app.run_loaded(job, replace(options, observer=observer, say=say))


def tell(summary: RunSummary, *, as_json: bool, quiet: bool) -> None:
    """Print what a run came to."""
    if as_json:
        sys.stdout.write(to_json(summary).decode())
    elif not quiet:
        show.show_summary(summary, show.stdout_console())
    elif summary.exit_code:
        say(summary.exit_reason)
