"""The commands that keep and remove finished runs, with their options; see `options`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import options  # noqa: F401 - its commands come first
from pipeline.cli.app import app
from pipeline.cli.option_types import RunOrSpec


@app.command(epilog="Example: pipeline pack runs/autumn")
def pack(
    path: RunOrSpec,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="By default RUN.zip.")] = None,
) -> int:
    """Make one archive of a run, to keep or to give away."""
    from pipeline.cli.commands.pack import pack_command

    return pack_command(path, output)


@app.command(epilog="Example: pipeline clean runs --older 180d")
def clean(
    path: Annotated[
        Path, typer.Argument(metavar="[RUNS|SPEC]", help="A folder of run directories, or a job file.")
    ] = Path("runs"),
    older: Annotated[str, typer.Option(metavar="AGE", help="Last used at least so long ago: 180d, 26w.")] = "180d",
    client: Annotated[
        str | None, typer.Option(metavar="NAME", help="Runs of this client (label `client`) alone.")
    ] = None,
    pictures: Annotated[bool, typer.Option("--pictures", help="Remove pictures and pages alone.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove; without it this only shows.")] = False,
) -> int:
    """Remove old runs, never what is open or in doubt; shows first."""
    from pipeline.cli.commands.clean import clean_command

    return clean_command(path, older=older, client=client, pictures=pictures, yes=yes)
