"""The command `pipeline work`."""

from pathlib import Path

from pipeline.cli.screen import Output, Remarks
from pipeline.cluster.joining import join
from pipeline.cluster.launch import LocalProcesses, Supervision, worker_command
from pipeline.cluster.work import WorkOptions, work
from pipeline.offline.shards.leaving import LeftLooks
from pipeline.run.load import load
from pipeline.run.options import RunOptions


def work_command(
    path: Path, overrides: list[str], *, name: str | None, processes: int, aside: bool, quiet: bool
) -> int:
    """Work on shards until none is left; return the exit code."""
    with Remarks(Output(quiet=quiet)) as remarks:
        job = load(path, overrides=overrides)
        if processes == 1:
            with LeftLooks() as looks:
                code = work(job, WorkOptions(name, aside, RunOptions(say=remarks.say), looks.done))
        else:
            joined = join(job, say=remarks.say)
            names = [f"{name or 'worker'}-{number}" for number in range(1, processes + 1)]
            command = [*worker_command(path, overrides), *(["--set-aside"] if aside else [])]
            code = Supervision(LocalProcesses(command), names, joined.folder, say=remarks.say).watch()
        if code:
            remarks.release()
    return code
