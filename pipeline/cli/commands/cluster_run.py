"""The command `pipeline cluster run`."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pipeline.calls.account import Busy
from pipeline.cli.asking import ask, on_a_terminal
from pipeline.cli.first_pass import look_over_pictures
from pipeline.cli.screen import Output, Remarks, show_lines
from pipeline.cluster.joining import join
from pipeline.cluster.launch import LocalProcesses, Supervision, worker_command
from pipeline.cluster.preparing import needs_first_pass
from pipeline.cluster.split import split_job
from pipeline.errors import SpecError
from pipeline.run.load import load
from pipeline.system.fault import Fault, typed
from pipeline.system.wording import count


class Where(NamedTuple):
    """The place for workers: `local` ones on this machine, or the nodes of the Ray cluster at `ray`.

    `busy` is what each does while another process there uses the account.
    """

    local: int | None = None
    ray: str | None = None
    machines: int | None = None
    busy: Busy = "exit"


def cluster_run_command(path: Path, overrides: list[str], where: Where, *, new: bool, yes: bool, quiet: bool) -> int:
    """Split the job, start workers and watch over them; return the exit code."""
    _refuse_both(where)
    with Remarks(Output(quiet=quiet)) as remarks:
        job = load(path, overrides=overrides)
        if not yes and not job.spec.sandbox and on_a_terminal(piped=False):
            what = f"{job.spec.vendor} will be sent the calls of all items that are not done"
            ask(f"{what}, which the account pays for; `pipeline plan` says what they cost.", piped=False)
        if needs_first_pass(job.spec, new=new):
            look_over_pictures(job.spec, where.ray)
        split_job(job.spec, new=new, words=job.words)
        joined = join(job, say=remarks.say)
        if not quiet:
            shards = count(sum(map(bool, joined.split.counts)), "shard")
            show_lines([f"{count(joined.split.items, 'item')} in {shards}: {joined.folder}"])
        command = worker_command(path, overrides, busy=where.busy)
        if where.ray is None:
            names = [f"local-{number}" for number in range(1, (where.local or 1) + 1)]
            code = Supervision(LocalProcesses(command), names, joined.folder, say=remarks.say).watch()
        else:
            code = _on_nodes(command, joined.folder, where, remarks.say)
        if code:
            remarks.release()
    if not quiet:
        show_lines([f"Next: {typed('status', joined.folder)}"])
    return code


def _refuse_both(where: Where) -> None:
    if where.ray is not None and where.local is not None:
        raise SpecError(Fault("workers are started here or on a Ray cluster, not both", where="--local, --ray"))
    if where.ray is None and where.machines is not None:
        what = "without Ray nobody knows of other machines: type `pipeline work JOB` on each"
        raise SpecError(Fault(what, where="--machines", fix="--ray auto"))


def _on_nodes(command: list[str], run: Path, where: Where, say: Callable[[str], None]) -> int:
    """Start a worker on each node of a Ray cluster, and watch over them."""
    from pipeline.cluster.ray import RayMachines
    from pipeline.cluster.ray_workers import RayLauncher

    assert where.ray is not None
    machines = RayMachines(where.ray)
    try:
        names = [f"machine {number}" for number in range(1, (where.machines or len(machines.places()) or 1) + 1)]
        launcher = RayLauncher(machines, run, command[1:], say=say)  # each node has a Python of its own
        return Supervision(launcher, names, run, say=say).watch()
    finally:
        machines.close()
