"""The commands of many machines, with their options; see `options`."""

from typing import Annotated

import typer

from pipeline.cli import keeping  # noqa: F401 - its commands come first
from pipeline.cli.app import app
from pipeline.cli.option_types import Busy, BusyOption, Json, New, Quick, Quiet, Set, Spec

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
        bool, typer.Option("--prepare", help="First read local pictures, and make them fit, on all cores; free.")
    ] = False,
    ray: Ray = None,
    json: Json = False,
) -> int:
    """Split a job into shards for many machines; sends nothing."""
    from pipeline.cli.commands.split import split_command

    return split_command(spec, set_, new=new, prepare=prepare or ray is not None, ray=ray, as_json=json)


_Aside = Annotated[
    bool, typer.Option("--set-aside", help="Also take up shards that were set aside after they ended their workers.")
]


@app.command(epilog="Example: pipeline work configs/cluster.yaml")
def work(
    spec: Spec,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="By default the machine's name.")] = None,
    processes: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="So many workers on this machine.")] = 1,
    account: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Use this one of cluster.accounts alone; else whichever needs a worker."),
    ] = None,
    set_: Set = [],  # noqa: B006
    busy: BusyOption = Busy.EXIT,
    set_aside: _Aside = False,
    quiet: Quiet = False,
) -> int:
    """Work on the shards of a job that was split, beside other machines; pays."""
    from pipeline.cli.commands.work import Wanted, work_command

    wanted = Wanted(name, processes, account, busy.value, set_aside)
    return work_command(spec, set_, wanted, quiet=quiet)


cluster = typer.Typer(help="Many machines: run a job on them, ask one to end.", no_args_is_help=True)
app.add_typer(cluster, name="cluster")


@cluster.command("run", epilog="Example: pipeline cluster run configs/cluster.yaml --local 2")
def cluster_run(
    spec: Spec,
    local: Annotated[
        int | None, typer.Option("--local", min=1, max=64, metavar="N", help="Workers on this machine; by default 1.")
    ] = None,
    ray: Ray = None,
    machines: Annotated[
        int | None,
        typer.Option(
            "--machines", min=1, metavar="N", help="With --ray: workers, one a node; by default on each node."
        ),
    ] = None,
    set_: Set = [],  # noqa: B006
    new: New = False,
    busy: BusyOption = Busy.EXIT,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before paid calls.")] = False,
    quiet: Quiet = False,
) -> int:
    """Split a job if need be, and run workers until it is done."""
    from pipeline.cli.commands.cluster_run import Where, cluster_run_command

    where = Where(local, ray, machines, busy.value)
    return cluster_run_command(spec, set_, where, new=new, yes=yes, quiet=quiet)


@cluster.command("down", epilog="Example: pipeline cluster down configs/cluster.yaml machine-7")
def cluster_down(
    spec: Spec,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the worker, as `status` tells it.")],
    set_: Set = [],  # noqa: B006
) -> int:
    """Ask a worker to end in good order, on whatever machine."""
    from pipeline.cli.commands.cluster_down import cluster_down_command

    return cluster_down_command(spec, set_, name=name)


@cluster.command("check", epilog="Example: pipeline cluster check configs/cluster.yaml")
def cluster_check(spec: Spec, set_: Set = [], quick: Quick = False, ray: Ray = None) -> int:  # noqa: B006
    """Check a job, and what machines see of the folder they share; sends nothing."""
    from pipeline.cli.commands.cluster_check import cluster_check_command

    return cluster_check_command(spec, set_, quick=quick, ray=ray)
