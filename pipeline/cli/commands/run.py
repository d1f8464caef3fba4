"""The command `pipeline run`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline.calls.account import account_of
from pipeline.cli.asking import ask, asked_again, on_a_terminal
from pipeline.cli.looking import counting_pictures
from pipeline.cli.next_command import next_command
from pipeline.cli.screen import Output, Remarks, observing, show_summary, shown
from pipeline.errors import SpecError
from pipeline.offline.plan import PlannedRun, make_plan
from pipeline.run.cluster_runs import refuse_alone
from pipeline.run.listed import list_at_hand
from pipeline.run.load import Job, load
from pipeline.run.local import LocalExecutor
from pipeline.run.notify import telling_refusal
from pipeline.run.options import RunOptions
from pipeline.sources.check import check_sources
from pipeline.sources.remarks import left_out
from pipeline.system.fault import Fault
from pipeline.system.wording import count

_UNASKED = Fault(
    "the list comes in on stdin, and there is no terminal to ask on before it is paid for; nothing was sent",
    where='manifest: "-"',
    fix="--yes",
)


def run_command(path: Path, overrides: list[str], options: RunOptions, output: Output, *, yes: bool) -> int:
    """Run a job; return its exit code."""
    with Remarks(output) as remarks, ExitStack() as in_use:
        with telling_refusal(path, options.environment):
            job = in_use.enter_context(_loaded(path, overrides, options))
            refuse_alone(job.spec, path)
            piped = job.spec.listed is not None
            asks = not yes and not job.spec.sandbox and on_a_terminal(piped=piped)
            if piped and not (asks or yes or job.spec.sandbox):
                raise SpecError(_UNASKED)
        for remark in (*job.remarks, *left_out(job.spec)):
            remarks.say(f"note: {remark}")
        if asks:
            _ask(job, options, piped=piped)
        with observing(output) as display:
            options = shown(options, display, remarks)
            summary = LocalExecutor().run(job, asked_again(options, display, piped=piped) if asks else options)
        if summary.exit_code:
            remarks.release()
    words = ["run", path, *(["--rehearse"] if options.rehearse else [])]
    return show_summary(summary, output, following=next_command(summary, job.spec, *words, overrides=overrides))


@contextmanager
def _loaded(path: Path, overrides: list[str], options: RunOptions) -> Iterator[Job]:
    job = load(path, overrides=overrides, rehearse=options.rehearse)
    with list_at_hand(job.spec, new=options.new) as spec:
        yield replace(job, spec=spec)


def _ask(job: Job, options: RunOptions, *, piped: bool) -> None:
    check_sources(job.spec)
    with counting_pictures() as watch:
        account = account_of(job.spec.api.base_url, job.credentials)
        planned = PlannedRun(options.new, options.limit, options.accept_changes, account)
        plan = make_plan(job.spec, planned, watch=watch)
    if not (plan.paid_calls or plan.details) or plan.refused:  # the run itself says why it is refused, and pays nothing
        return
    by_kind = ", ".join(f"{calls:,} {kind}" for kind, calls in plan.calls.items())
    calls = count(plan.paid_calls, "call")
    details = f", and asked for details of {count(plan.details, 'patent')} at most" if plan.details else ""
    cost = "" if plan.cost is None else f", {plan.cost} without retries"
    ask(
        f"{job.spec.vendor} will be sent {calls} ({by_kind}) and retries{details}, which the account pays for{cost}.",
        piped=piped,
    )
