"""The commands and their options; each calls one function of `commands`, imported only then: `--help` must be quick."""

import json as to_json
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from pipeline.cli.app import app
from pipeline.cli.option_types import (
    Busy,
    BusyOption,
    FailOn,
    Json,
    New,
    Quick,
    Quiet,
    Rehearse,
    Run,
    RunOrSpec,
    Set,
    SetApi,
    Share,
    Since,
    Spec,
    WaitQuota,
)
from pipeline.cli.report_options import report


@app.command(epilog="Example: pipeline run configs/portfolio.yaml --set api.qps=10")
def run(
    spec: Spec,
    new: New = False,
    set_: Set = [],  # noqa: B006 - typer copies it
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Begin at most N items.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before paid calls.")] = False,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Accept another search or picture for items not yet paid.")
    ] = False,
    busy: BusyOption = Busy.EXIT,
    share: Share = 1.0,
    wait_quota: WaitQuota = False,
    rehearse: Rehearse = False,
    fail_on: FailOn = None,
    since: Since = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run a job, or go on with it where it stopped."""
    from pipeline.cli.commands.run import run_command
    from pipeline.cli.screen import Output
    from pipeline.results.fail_on import condition_of
    from pipeline.run.options import RunOptions

    options = RunOptions(
        new=new,
        limit=limit,
        accept_changes=accept_changes,
        busy=busy.value,
        share=share,
        wait_quota=wait_quota,
        rehearse=rehearse,
        since=since,
        fail_on=condition_of(fail_on, since=since) if fail_on else None,
    )
    return run_command(spec, set_, options, Output(json, quiet), yes=yes)


@app.command(epilog="Example: pipeline plan configs/portfolio.yaml")
def plan(
    spec: Spec,
    set_: Set = [],  # noqa: B006
    new: New = False,
    rehearse: Rehearse = False,
    quick: Quick = False,
    json: Json = False,
) -> int:
    """Say what a run would do and cost; free, sends nothing."""
    from pipeline.cli.commands.plan import plan_command

    return plan_command(spec, set_, new=new, rehearse=rehearse, quick=quick, as_json=json)


@app.command(epilog="Example: pipeline check configs/portfolio.yaml")
def check(spec: Spec, set_: Set = [], quick: Quick = False) -> int:  # noqa: B006
    """Check a job, its sources and pictures; names every fault."""
    from pipeline.cli.commands.check import check_command

    return check_command(spec, set_, quick=quick)


@app.command(epilog="Example: pipeline status runs/demo")
def status(
    run: RunOrSpec,
    verify: Annotated[bool, typer.Option("--verify", help="Check the journal and every line of the results.")] = False,
    json: Json = False,
) -> int:
    """Show where a run stands, also while it is running."""
    from pipeline.cli.commands.status import status_command

    return status_command(run, verifying=verify, as_json=json)


app.command(epilog="Example: pipeline report runs/demo --client acme --lang zh")(report)


@app.command(epilog="Example: pipeline bill runs/autumn")
def bill(run: RunOrSpec, json: Json = False) -> int:
    """Set the vendor's statement of account beside our own counts."""
    from pipeline.cli.commands.bill import bill_command

    return bill_command(run, as_json=json)


class _Pairs(TyperCommand):
    """A command that takes `--created ID TASK` again and again: typer has no list of pairs, so each travels as JSON."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        joined: list[str] = []
        rest = list(args)
        while rest:
            joined.append(rest.pop(0))
            if joined[-1] == "--created" and len(rest) > 1:
                joined.append(to_json.dumps([rest.pop(0), rest.pop(0)]))
        return super().parse_args(ctx, joined)


@app.command(cls=_Pairs, epilog="Example: pipeline resolve runs/autumn --created SKU-1 80d4a0c7 --not-created SKU-2")
def resolve(
    run: Run,
    created: Annotated[
        list[str], typer.Option("--created", metavar="ID TASK", help="The vendor has this task; repeatable.")
    ] = [],  # noqa: B006
    not_created: Annotated[
        list[str], typer.Option("--not-created", metavar="ID", help="The vendor has no task; repeatable.")
    ] = [],  # noqa: B006
    retry: Annotated[
        list[str], typer.Option("--retry", metavar="ID", help="Nobody knows: risk paying twice; repeatable.")
    ] = [],  # noqa: B006
    all_: Annotated[
        str | None, typer.Option("--all", metavar="DECISION", help="not-created or retry, for every item in doubt.")
    ] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", metavar="CSV", help="A file with the columns id, decision, task_id.")
    ] = None,
) -> int:
    """Decide about items in doubt; sends nothing."""
    from pipeline.cli.commands.resolve import resolve_command

    return resolve_command(run, created=created, not_created=not_created, retry=retry, everything=all_, file=from_)


@app.command(epilog="Example: pipeline retry runs/autumn --only failed --code 68300010")
def retry(
    run: Run,
    only: Annotated[
        str, typer.Option("--only", metavar="STATE", help="failed, in-doubt, expired, report-failed, report-lost.")
    ],
    code: Annotated[str | None, typer.Option(metavar="CODE", help="Only those with this error code.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most N items.")] = None,
    set_: SetApi = [],  # noqa: B006
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before paid calls.")] = False,
    busy: BusyOption = Busy.EXIT,
    share: Share = 1.0,
    wait_quota: WaitQuota = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Pay for open items once more; names and counts them first."""
    from pipeline.cli.commands.retry import retry_command
    from pipeline.cli.screen import Output
    from pipeline.offline.retry import Wanted, state_of
    from pipeline.run.options import RunOptions

    options = RunOptions(busy=busy.value, share=share, wait_quota=wait_quota)
    wanted = Wanted(state_of(only), code, limit)
    return retry_command(run, wanted, set_, options, Output(json, quiet), yes=yes)


@app.command(epilog="Example: pipeline collect runs/autumn")
def collect(
    path: RunOrSpec,
    set_: SetApi = [],  # noqa: B006
    busy: BusyOption = Busy.EXIT,
    share: Share = 1.0,
    wait_quota: WaitQuota = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Read the reports of paid tasks; begins no item."""
    from pipeline.cli.commands.collect import collect_command
    from pipeline.cli.screen import Output
    from pipeline.run.options import RunOptions

    options = RunOptions(busy=busy.value, share=share, wait_quota=wait_quota)
    return collect_command(path, set_, options, Output(json, quiet))


@app.command(epilog="Example: pipeline repair runs/autumn")
def repair(
    run: RunOrSpec,
    shard: Annotated[
        list[int] | None, typer.Option(metavar="N", help="Of a run of many machines this shard alone; again for more.")
    ] = None,
    only_copy: Annotated[
        bool, typer.Option("--this-is-the-only-copy", help="Go on here: the other copy is not used any more.")
    ] = False,
) -> int:
    """Rebuild a damaged run directory; sends nothing."""
    from pipeline.cli.commands.repair import repair_command

    return repair_command(run, shards=shard, only_copy=only_copy)


@app.command(epilog="Example: pipeline demo")
def demo(new: New = False, quiet: Quiet = False) -> int:
    """Run 36 shipped pictures on the sandbox; needs no credentials."""
    from pipeline.cli.commands.demo import demo_command
    from pipeline.cli.screen import Output

    return demo_command(Output(quiet=quiet), new=new)


@app.command(epilog="Example: pipeline sandbox --port 8080 --qps 5 --latency 0.5 --faults 'create:lost=0.01'")
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 8080,
    qps: Annotated[float | None, typer.Option(help="Calls a second per endpoint; refused beyond.")] = None,
    latency: Annotated[float, typer.Option(min=0, help="Seconds before each answer.")] = 0.0,
    faults: Annotated[str, typer.Option(help="For example 'search:http_502=0.01,create:lost=0.01'.")] = "",
    dir_: Annotated[Path, typer.Option("--dir", help="Where uploads and tasks are kept.")] = Path("sandbox"),
    daily_limit: Annotated[int | None, typer.Option(metavar="N", help="Paid calls a UTC day; refused beyond.")] = None,
    balance: Annotated[int | None, typer.Option(metavar="N", help="Paid calls in all; refused beyond.")] = None,
    deny: Annotated[str, typer.Option(metavar="NAMES", help="Endpoints not allowed, for example P009,P060.")] = "",
    token_life: Annotated[int, typer.Option(metavar="S", help="Seconds that an access token lives.")] = 1799,
    one_token: Annotated[bool, typer.Option("--one-token", help="A new access token ends the one before.")] = False,
    report_after: Annotated[
        str, typer.Option(metavar="S", help="Seconds until a task has its report, or from-to: 5-60.")
    ] = "1",
    reports: Annotated[str, typer.Option(help="What reports end as: 'failed=0.02,never=0.01,scores=fraction'.")] = "",
    keep_alive: Annotated[
        float | None, typer.Option(metavar="S", help="Close idle connections after that, without a word.")
    ] = None,
    refuse_patents: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of patents whose ids spoil a whole call for details.")
    ] = 0.0,
    omit: Annotated[str, typer.Option(metavar="NAMES", help="Headers left out, such as x-openapi-amount.")] = "",
) -> int:
    """Serve the vendor's contract locally, over a real search."""
    from pipeline.cli.commands.sandbox import sandbox_command

    return sandbox_command(
        port=port,
        faults=faults,
        denied=deny,
        omitted=omit,
        qps=qps,
        latency_s=latency,
        folder=dir_,
        daily_limit=daily_limit,
        balance=balance,
        token_lifetime_s=token_life,
        one_token=one_token,
        report_after=report_after,
        reports=reports,
        keep_alive_s=keep_alive,
        refused_patents=refuse_patents,
    )


@app.command(epilog="Example: pipeline schema > job.schema.json")
def schema() -> int:
    """Print the JSON Schema of a job file, for editors."""
    from pipeline.cli.commands.schema import schema_command

    return schema_command()
