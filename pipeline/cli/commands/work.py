"""The command `pipeline work`."""

from pathlib import Path
from typing import NamedTuple

from pipeline.calls.account import Busy
from pipeline.cli.screen import Output, Remarks
from pipeline.cluster.joining import join
from pipeline.cluster.launch import LocalProcesses, Supervision, worker_command
from pipeline.cluster.work import WorkOptions, work
from pipeline.offline.shards.leaving import LeftLooks
from pipeline.run.load import load
from pipeline.run.options import RunOptions


class Wanted(NamedTuple):
    """The options of the command, but for those that every command has."""

    name: str | None = None
    processes: int = 1
    account: str | None = None
    busy: Busy = "exit"
    aside: bool = False

    @property
    def handed_on(self) -> list[str]:
        """The options that each of several workers gets."""
        account = [] if self.account is None else ["--account", self.account]
        return account + ["--set-aside"] * self.aside


def work_command(path: Path, overrides: list[str], wanted: Wanted, *, quiet: bool) -> int:
    """Work on shards until none is left; return the exit code."""
    with Remarks(Output(quiet=quiet)) as remarks:
        job = load(path, overrides=overrides, account=wanted.account)
        if wanted.processes == 1:
            with LeftLooks() as looks:
                of_runs = RunOptions(busy=wanted.busy, say=remarks.say)
                code = work(job, WorkOptions(wanted.name, wanted.aside, of_runs, looks.done))
        else:
            joined = join(job, say=remarks.say)
            names = [f"{wanted.name or 'worker'}-{number}" for number in range(1, wanted.processes + 1)]
            command = [*worker_command(path, overrides, busy=wanted.busy), *wanted.handed_on]
            code = Supervision(LocalProcesses(command), names, joined.folder, say=remarks.say).watch()
        if code:
            remarks.release()
    return code
