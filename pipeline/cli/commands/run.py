"""The command `pipeline run`."""

from pathlib import Path

from pipeline.cli.asking import ask, asked_again, on_a_terminal
from pipeline.cli.looking import counting_pictures
from pipeline.cli.next_command import next_command
from pipeline.cli.screen import Output, Remarks, observing, show_summary, shown
from pipeline.offline.plan import make_plan
from pipeline.run.load import Job, load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from pipeline.sources.check import check_sources
from pipeline.sources.remarks import left_out
from pipeline.system.wording import count


def run_command(path: Path, overrides: list[str], options: RunOptions, output: Output, *, yes: bool) -> int:
    """Run a job; return its exit code."""
    with Remarks(output) as remarks:
        job = load(path, overrides=overrides, rehearse=options.rehearse)
        for remark in (*job.remarks, *left_out(job.spec)):
            remarks.say(f"note: {remark}")
        asks = not yes and not job.spec.sandbox and on_a_terminal()
        if asks:
            _ask(job, options)
        with observing(output) as display:
            options = shown(options, display, remarks)
            summary = LocalExecutor().run(job, asked_again(options, display) if asks else options)
        if summary.exit_code:
            remarks.release()
    words = ["run", path, *(["--rehearse"] if options.rehearse else [])]
    return show_summary(summary, output, following=next_command(summary, *words, overrides=overrides))


def _ask(job: Job, options: RunOptions) -> None:
    check_sources(job.spec)
    with counting_pictures() as watch:
        plan = make_plan(
            job.spec, new=options.new, watch=watch, limit=options.limit, accept_changes=options.accept_changes
        )
    if not plan.paid_calls or plan.refused:  # the run itself says why it is refused, and pays nothing
        return
    by_kind = ", ".join(f"{calls:,} {kind}" for kind, calls in plan.calls.items())
    calls = count(plan.paid_calls, "call")
    cost = "" if plan.cost is None else f", {plan.cost} without retries"
    ask(f"{job.spec.vendor} will be sent {calls} ({by_kind}) and retries, which the account pays for{cost}.")
