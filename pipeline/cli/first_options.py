"""The commands for the first steps, and their options; each calls one function of `commands`, imported only then."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import app
from pipeline.cli.option_types import Json, Set


@app.command(epilog="Example: pipeline init portfolio.xlsx --client Acme")
def init(
    path: Annotated[
        Path | None, typer.Argument(metavar="FILE|FOLDER", help="A list, a folder or a zip; by default what is here.")
    ] = None,
    client: Annotated[str, typer.Option(metavar="NAME", help="Label every product with this client.")] = "",
    id_column: Annotated[str, typer.Option(metavar="NAME", help="The column of the ids.")] = "",
    picture_column: Annotated[str, typer.Option(metavar="NAME", help="The column of the pictures.")] = "",
    encoding: Annotated[
        str, typer.Option(metavar="NAME", help="How the list's letters are stored: cp1252, gb18030.")
    ] = "",
    name: Annotated[str, typer.Option(metavar="NAME", help="The name of the job.")] = "",
    job: Annotated[Path, typer.Option(metavar="FILE", help="The job file to write.")] = Path("job.yaml"),
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing; take the first of columns that fit alike.")
    ] = False,
) -> int:
    """Begin a job from a list, a folder or a zip; overwrites nothing."""
    from pipeline.cli.commands.init import init_command
    from pipeline.offline.starting.draft import Options

    wishes = Options(client=client, id_column=id_column, picture_column=picture_column, encoding=encoding, name=name)
    return init_command(path, job, wishes, asking=not yes)


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
