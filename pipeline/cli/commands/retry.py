"""The command `pipeline retry`."""

import time
from dataclasses import replace
from pathlib import Path

from pipeline.cli.asking import ask, asked_again, on_a_terminal
from pipeline.cli.errors import say
from pipeline.cli.next_command import next_command
from pipeline.cli.screen import Output, Remarks, observing, show_summary, shown
from pipeline.cluster.directories import Directories, directories
from pipeline.cluster.layout import refuse_shard
from pipeline.journal.places import run_of
from pipeline.models import OF_REPORT
from pipeline.offline.collect import bring_hits, collect_reports, collecting_job, directory_with
from pipeline.offline.opening import Place, find_run, opened
from pipeline.offline.retry import Wanted, select
from pipeline.offline.shards.retry import in_all, retry_in_shards, select_in_shards
from pipeline.run.load import Job, load_again
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions


def retry_command(
    run: Path, wanted: Wanted, overrides: list[str], options: RunOptions, output: Output, *, yes: bool
) -> int:
    """Pay once more for the open items that are wanted, and for no others; return the exit code."""
    refuse_shard(run, "retry")
    found = directories(run)
    if found.cluster is not None:
        return _in_shards(found, wanted, overrides, options, output, yes=yes)
    place, job, collects = _meant(run, wanted, overrides)
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
            options = shown(options, display, remarks)
            options = asked_again(options, display) if asks else options
            again = selection.again(place.folder)
            if collects is not None:
                summary = collect_reports(collects, job, options, ords=again.ords, risked=again.risked)
            else:
                summary = LocalExecutor().run(job, replace(options, again=again))
        if summary.exit_code:
            remarks.release()
    following = next_command(
        summary, job.spec, *_words(run, wanted), overrides=overrides, items=len(selection.candidates)
    )
    return show_summary(summary, output, following=following)


def _words(run: Path, wanted: Wanted) -> list[object]:
    code = ["--code", wanted.code] if wanted.code else []
    limit = ["--limit", wanted.limit] if wanted.limit else []
    return ["retry", run, "--only", wanted.state.word.replace("_", "-"), *code, *limit]


def _in_shards(
    found: Directories, wanted: Wanted, overrides: list[str], options: RunOptions, output: Output, *, yes: bool
) -> int:
    """Pay once more for the wanted items of a cluster run, one shard after the other, within the leased account."""
    chosen = select_in_shards(found, wanted)
    selection, job = in_all(chosen), load_again(chosen[0].run, overrides=overrides)
    text = selection.text(job.spec)
    with Remarks(output) as remarks:
        for line in found.not_read.values():
            say(line)
        if not selection.candidates:
            say(text)
            return 0
        asks = not yes and not job.spec.sandbox and on_a_terminal()
        ask(text) if asks else say(text)
        with observing(output) as display:
            options = shown(options, display, remarks)
            options = asked_again(options, display) if asks else options
            summary = retry_in_shards(found, chosen, options, overrides)
        if summary.exit_code:
            remarks.release()
    following = next_command(
        summary, job.spec, *_words(found.folder, wanted), overrides=overrides, items=len(selection.candidates)
    )
    return show_summary(summary, output, following=following)


def _meant(run: Path, wanted: Wanted, overrides: list[str]) -> tuple[Place, Job, Path | None]:
    """Find the directory that holds the wanted items, its job, and the run whose reports it collects, if any."""
    folder = directory_with(run, wanted.state) if wanted.state in OF_REPORT else run
    around = run_of(folder)
    if around is None:
        return find_run(folder), load_again(folder, overrides=overrides), None
    with opened(folder) as disk:
        bring_hits(disk, wanted.state, now=time.time())
    return find_run(folder), collecting_job(around, overrides), around
