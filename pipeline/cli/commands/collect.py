"""The command `pipeline collect`."""

from dataclasses import replace
from pathlib import Path

from pipeline.cli.next_command import next_command
from pipeline.cli.screen import Output, Remarks, observing, show_summary, shown
from pipeline.errors import SpecError
from pipeline.offline.opening import find_run
from pipeline.run.load import folder_of, load_again
from pipeline.run.local import LocalExecutor
from pipeline.run.options import Again, RunOptions
from pipeline.system.fault import Fault


def collect_command(path: Path, overrides: list[str], options: RunOptions, output: Output) -> int:
    """Read the reports that a run left behind, and begin no item; return the exit code."""
    folder = folder_of(path)
    spec = find_run(folder).spec
    if not spec.awaits_reports:
        what = "this run waits for no reports: write `task: {report: wait}` in the job file and run it"
        raise SpecError(Fault(what, where=f"{folder}: task.report: {spec.task.report}"))
    job = load_again(folder, overrides=overrides)
    with Remarks(output) as remarks:
        with observing(output) as display:
            again = Again(folder.resolve(), (), risked=False)
            summary = LocalExecutor().run(job, replace(shown(options, display, remarks), again=again))
        if summary.exit_code:
            remarks.release()
    return show_summary(
        summary, output, following=next_command(summary, job.spec, "collect", path, overrides=overrides)
    )
