"""The command `pipeline report`."""

import dataclasses
import re
import shutil
from pathlib import Path

from pipeline.cli.errors import say
from pipeline.cli.screen import show_lines
from pipeline.cluster.directories import Directories, directories
from pipeline.cluster.layout import refuse_shard
from pipeline.errors import SpecError
from pipeline.offline.packed import at_hand, is_packed
from pipeline.offline.report import count_matching, make_pdf, make_report
from pipeline.offline.shards.report import make_cluster_report
from pipeline.results.exports.formats import writer_of
from pipeline.results.fail_on import EXIT_CODE, Condition, about_matching
from pipeline.results.page.dictionary import LANGUAGES
from pipeline.results.page.marks import read_marks
from pipeline.results.page.view import Wishes
from pipeline.results.page.words import STATES
from pipeline.run.load import load_spec
from pipeline.system.fault import Fault


def report_command(path: Path, wishes: Wishes, *, pdf: bool = False, fail_on: Condition | None = None) -> int:
    """Make the page and the figures of a run anew; print of when they are and where. Return the exit code."""
    if wishes.lang not in LANGUAGES:
        what = f"{wishes.lang!r} is not allowed; allowed: {', '.join(LANGUAGES)}"
        raise SpecError(Fault(what, where="--lang", fix=f"--lang {LANGUAGES[0]}"))
    if pdf:
        writer_of("pdf", option="--pdf")
    if is_packed(path):
        wishes = dataclasses.replace(wishes, one_file=True)
    elif path.is_file():  # what the job says of its page now, and not what it said when it was run
        wishes = dataclasses.replace(wishes, report=load_spec(path).report)
    with at_hand(path) as folder:
        refuse_shard(folder, "report")
        to = _page_beside(path, wishes) if is_packed(path) else None
        named = path if is_packed(path) else None
        return _report(directories(folder), wishes, pdf=pdf, fail_on=fail_on, to=to, named=named)


def _page_beside(archive: Path, wishes: Wishes) -> Path:
    """Name the page of an archive, in the current folder. Raises SpecError where a file lies there that is no page."""
    client = f"-{re.sub(r'[^a-zA-Z0-9_-]+', '-', wishes.client).strip('-')}" if wishes.client else ""
    page = Path(f"{archive.stem}{client}.html")
    if page.exists() and read_marks(page) is None:
        raise SpecError(Fault("a file that is no page of a run is here already; move it away", where=str(page)))
    return page


def _report(
    found: Directories,
    wishes: Wishes,
    *,
    pdf: bool,
    fail_on: Condition | None,
    to: Path | None,
    named: Path | None,
) -> int:
    """Make the page; `to` is where it goes from a directory that is gone afterwards, of the archive `named`."""
    if found.cluster is None:
        made = make_report(found.folder, wishes, unpacked=to is not None)
    else:
        made = make_cluster_report(found, wishes, named=named)
    summary, items = made.summary, made.summary.items
    figures = f"{items['settled']:,} of {items['all']:,} settled, {items['open']:,} open"
    lines = [f"as of {summary.as_of}: {STATES[summary.state]}; {figures}"]
    if summary.similar is not None and summary.similar.since:
        lines.append(str(summary.similar))
    files = [*([make_pdf(found.folder, made, wishes)] if pdf else []), made.page]
    if to is not None:
        files = [Path(shutil.copyfile(file, to.with_suffix(file.suffix))) for file in files]
    met = 0 if fail_on is None else count_matching(found.folder, wishes, fail_on)
    if met and fail_on is not None:
        lines.append(about_matching(met, fail_on))
    size = f" ({files[-1].stat().st_size / 1e6:,.1f} MB)" if wishes.one_file else ""
    show_lines([*lines, *(f"look at: {file}" for file in files[:-1]), f"look at: {files[-1]}{size}"])
    for line in found.not_read.values():
        say(line)
    return EXIT_CODE if met else 0
