"""The command `pipeline cluster run`."""

from pathlib import Path

from pipeline.cli.asking import ask, on_a_terminal
from pipeline.cli.screen import Output, Remarks, show_lines
from pipeline.cluster.joining import join
from pipeline.cluster.launch import LocalProcesses, Supervision, worker_command
from pipeline.cluster.split import split_job
from pipeline.run.load import load
from pipeline.system.fault import typed
from pipeline.system.wording import count


def cluster_run_command(path: Path, overrides: list[str], *, local: int, new: bool, yes: bool, quiet: bool) -> int:
    """Split the job, start workers on this machine and watch over them; return the exit code."""
    with Remarks(Output(quiet=quiet)) as remarks:
        job = load(path, overrides=overrides)
        if not yes and not job.spec.sandbox and on_a_terminal(piped=False):
            what = f"{job.spec.vendor} will be sent the calls of all items that are not done"
            ask(f"{what}, which the account pays for; `pipeline plan` says what they cost.", piped=False)
        split_job(job.spec, new=new)
        joined = join(job.spec, say=remarks.say)
        if not quiet:
            shards = count(sum(map(bool, joined.split.counts)), "shard")
            show_lines([f"{count(joined.split.items, 'item')} in {shards}: {joined.folder}"])
        names = [f"local-{number}" for number in range(1, local + 1)]
        code = Supervision(
            LocalProcesses(worker_command(path, overrides)), names, joined.folder, say=remarks.say
        ).watch()
        if code:
            remarks.release()
    if not quiet:
        show_lines([f"Next: {typed('status', path)}"])
    return code
