"""The commands of many machines, with their options; see `options`."""

from pipeline.cli import keeping  # noqa: F401 - its commands come first
from pipeline.cli.app import app
from pipeline.cli.option_types import Json, New, Set, Spec


@app.command(epilog="Example: pipeline split configs/cluster.yaml")
def split(spec: Spec, set_: Set = [], new: New = False, json: Json = False) -> int:  # noqa: B006 - typer copies it
    """Split a job into shards for many machines; sends nothing."""
    from pipeline.cli.commands.split import split_command

    return split_command(spec, set_, new=new, as_json=json)
