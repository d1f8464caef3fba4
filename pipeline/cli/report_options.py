"""The command `report` and its options."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.option_types import FailOn, RunOrSpec, Since


def report(
    run: RunOrSpec,
    lang: Annotated[str, typer.Option(metavar="LANG", help="The language in which it opens: en or zh.")] = "en",
    client: Annotated[str, typer.Option(metavar="NAME", help="Also a page of what is of this client alone.")] = "",
    at_least: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="SCORE", help="Count hits from this score on.")
    ] = None,
    since: Since = None,
    fail_on: FailOn = None,
    one_file: Annotated[bool, typer.Option("--one-file", help="Everything in one file, however large.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also the results as a PDF beside the page.")] = False,
    decisions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Decisions beside decisions.csv, as the page saves them.")
    ] = None,
) -> int:
    """Make the page and the figures anew, also while it is running."""
    from pipeline.cli.commands.report import report_command
    from pipeline.results.fail_on import condition_of
    from pipeline.results.page.view import Wishes

    wishes = Wishes(lang=lang, client=client, at_least=at_least, one_file=one_file, decisions=decisions, since=since)
    return report_command(run, wishes, pdf=pdf, fail_on=condition_of(fail_on, since=since) if fail_on else None)
