"""The command `pipeline report`."""

import dataclasses
from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.screen import show_lines
from pipeline.cluster.directories import directories
from pipeline.errors import SpecError
from pipeline.offline.report import count_matching, make_pdf, make_report
from pipeline.offline.shards.report import make_cluster_report
from pipeline.results.exports.formats import writer_of
from pipeline.results.fail_on import EXIT_CODE, Condition, told
from pipeline.results.page.dictionary import LANGUAGES
from pipeline.results.page.view import Wishes
from pipeline.results.page.words import STATES
from pipeline.run.load import folder_of, load_spec
from pipeline.system.fault import Fault


def report_command(path: Path, wishes: Wishes, *, pdf: bool = False, fail_on: Condition | None = None) -> int:
    """Make the page and the figures of a run anew; print of when they are and where. Return the exit code."""
    if wishes.lang not in LANGUAGES:
        what = f"{wishes.lang!r} is not allowed; allowed: {', '.join(LANGUAGES)}"
        raise SpecError(Fault(what, where="--lang", fix=f"--lang {LANGUAGES[0]}"))
    if pdf:
        writer_of("pdf", option="--pdf")
    if path.is_file():  # what the job says of its page now, and not what it said when it was run
        wishes = dataclasses.replace(wishes, report=load_spec(path).report)
    found = directories(folder_of(path))
    made = make_report(found.folder, wishes) if found.cluster is None else make_cluster_report(found, wishes)
    summary, items = made.summary, made.summary.items
    figures = f"{items['settled']:,} of {items['all']:,} settled, {items['open']:,} open"
    lines = [f"as of {summary.as_of}: {STATES[summary.state]}; {figures}"]
    if summary.similar is not None and summary.similar.since:
        lines.append(str(summary.similar))
    beside = [f"look at: {make_pdf(found.folder, made, wishes)}"] if pdf else []
    met = 0 if fail_on is None else count_matching(found.folder, wishes, fail_on)
    if met and fail_on is not None:
        lines.append(told(met, fail_on))
    size = f" ({made.page.stat().st_size / 1e6:,.1f} MB)" if wishes.one_file else ""
    show_lines([*lines, *beside, f"look at: {made.page}{size}"])
    for line in found.not_read.values():
        say(line)
    return EXIT_CODE if met else 0
