"""The commands of many machines, with their options; see `options`."""

from typing import Annotated

import typer

from pipeline.cli import keeping  # noqa: F401 - its commands come first
from pipeline.cli.app import app
from pipeline.cli.option_types import Json, New, Set, Spec

Ray = Annotated[
    str | None,
    typer.Option("--ray", metavar="ADDRESS", help="On a Ray cluster: HOST:PORT of its head, or auto for the one here."),
]


@app.command(epilog="Example: pipeline split configs/cluster.yaml")
def split(
    spec: Spec,
    set_: Set = [],  # noqa: B006 - typer copies it
    new: New = False,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="First read local pictures on all cores; free, may be repeated.")
    ] = False,
    ray: Ray = None,
    json: Json = False,
) -> int:
    """Split a job into shards for many machines; sends nothing."""
    from pipeline.cli.commands.split import split_command

    return split_command(spec, set_, new=new, prepare=prepare or ray is not None, ray=ray, as_json=json)
