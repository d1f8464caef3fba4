"""The commands for the first steps, and their options; each calls one function of `commands`, imported only then."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import app
from pipeline.cli.option_types import Json, Set


@app.command(epilog="Example: pipeline doctor job.yaml")
def doctor(
    spec: Annotated[Path | None, typer.Argument(metavar="SPEC", help="The job file (YAML).")] = None,
    set_: Set = [],  # noqa: B006 - typer copies it
    grace: Annotated[
        float | None, typer.Option(min=0, metavar="S", help="Seconds that a container has to stop before it is killed.")
    ] = None,
    json: Json = False,
) -> int:
    """Look whether machine, account and job are ready; pays nothing."""
    from pipeline.cli.commands.doctor import doctor_command

    return doctor_command(spec, set_, grace_s=grace, as_json=json)
