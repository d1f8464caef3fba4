"""The command `pipeline retry`."""

from dataclasses import replace
from pathlib import Path

from pipeline.cli.asking import ask, asked_again, on_a_terminal
from pipeline.cli.errors import say
from pipeline.cli.next_command import next_command
from pipeline.cli.screen import Output, Remarks, observing, show_summary, shown
from pipeline.offline.opening import find_run
from pipeline.offline.retry import Wanted, select
from pipeline.run.load import load_again
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions


def retry_command(
    run: Path, wanted: Wanted, overrides: list[str], options: RunOptions, output: Output, *, yes: bool
) -> int:
    """Pay once more for the open items that are wanted, and for no others; return the exit code."""
    place = find_run(run)
    job = load_again(run, overrides=overrides)
    selection = select(place, wanted)
    text = selection.text(job.spec)
    with Remarks(output) as remarks:
        if not selection.candidates:
            say(text)
            return 0
        asks = not yes and not job.spec.sandbox and on_a_terminal()
        if asks:
            ask(text)
        else:
            say(text)
        with observing(output) as display:
            options = replace(shown(options, display, remarks), again=selection.again(run))
            summary = LocalExecutor().run(job, asked_again(options, display) if asks else options)
        if summary.exit_code:
            remarks.release()
    words = [
        "retry",
        run,
        "--only",
        wanted.state.word.replace("_", "-"),
        *(["--code", wanted.code] if wanted.code else []),
    ]
    return show_summary(summary, output, following=next_command(summary, job.spec, *words, overrides=overrides))
