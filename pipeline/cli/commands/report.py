"""The command `pipeline report`."""

from pathlib import Path

from pipeline.cli.screen import show_lines
from pipeline.offline.report import make_report
from pipeline.results.page.words import STATES
from pipeline.run.directory import REPORT
from pipeline.run.load import folder_of


def report_command(path: Path) -> int:
    """Make the page and the figures of a run anew; print of when they are and where."""
    folder = folder_of(path)
    summary = make_report(folder)
    items = summary.items
    figures = f"{items['settled']:,} of {items['all']:,} settled, {items['open']:,} open"
    show_lines([f"as of {summary.as_of}: {STATES[summary.state]}; {figures}", f"look at: {folder / REPORT}"])
    return 0
