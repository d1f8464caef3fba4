"""The commands and their options; what they do is one call each, in the modules beside this one."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.version import __version__

app = typer.Typer(
    name="pipeline",
    help="Screen product pictures against design patents: a YAML job in, one record per picture out.",
    epilog="Start with: pipeline demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Spec = Annotated[Path, typer.Argument(metavar="SPEC", help="The job file (YAML).")]
Set = Annotated[list[str], typer.Option("--set", metavar="A.B=C", help="Change a key of the job file; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]
New = Annotated[bool, typer.Option("--new", help="Start another run directory instead of going on with the last.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pipeline {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


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
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run a job, or go on with it where it stopped."""
    from pipeline.cli.running import run_command

    return run_command(
        spec, set_, new=new, limit=limit, yes=yes, accept_changes=accept_changes, as_json=json, quiet=quiet
    )


@app.command(epilog="Example: pipeline plan configs/portfolio.yaml")
def plan(spec: Spec, set_: Set = [], new: New = False, json: Json = False) -> int:  # noqa: B006
    """Say what a run would do and cost; free, sends nothing."""
    from pipeline.cli.looking import plan_command

    return plan_command(spec, set_, new=new, as_json=json)


@app.command(epilog="Example: pipeline check configs/portfolio.yaml")
def check(spec: Spec, set_: Set = []) -> int:  # noqa: B006
    """Check a job file and its sources; names every fault at once."""
    from pipeline.cli.looking import check_command

    return check_command(spec, set_)


@app.command(epilog="Example: pipeline status runs/demo")
def status(
    run: Annotated[Path, typer.Argument(metavar="RUN|SPEC", help="A run directory or a job file.")], json: Json = False
) -> int:
    """Show where a run stands, also while it is running."""
    from pipeline.cli.looking import status_command

    return status_command(run, as_json=json)


@app.command(epilog="Example: pipeline demo")
def demo(new: New = False, quiet: Quiet = False) -> int:
    """Run 36 shipped pictures on the sandbox; needs no credentials."""
    from pipeline.cli.running import demo_command

    return demo_command(new=new, quiet=quiet)


@app.command(epilog="Example: pipeline sandbox --port 8080 --qps 5 --latency 0.5 --faults 'create:lost=0.01'")
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 8080,
    qps: Annotated[float | None, typer.Option(help="Calls a second per endpoint; refused beyond.")] = None,
    latency: Annotated[float, typer.Option(min=0, help="Seconds before each answer.")] = 0.0,
    faults: Annotated[str, typer.Option(help="For example 'search:http_502=0.01,create:lost=0.01'.")] = "",
    dir_: Annotated[Path, typer.Option("--dir", help="Where uploads and tasks are kept.")] = Path("sandbox"),
) -> int:
    """Serve the vendor's contract locally, over a real search."""
    from pipeline.cli.serving import sandbox_command

    return sandbox_command(port=port, qps=qps, latency_s=latency, faults=faults, folder=dir_)


@app.command(epilog="Example: pipeline schema > job.schema.json")
def schema() -> int:
    """Print the JSON Schema of a job file, for editors."""
    from pipeline.cli.looking import schema_command

    return schema_command()
