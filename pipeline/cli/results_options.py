"""The commands `export` and `decisions`, with their options; see `options`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.app import app
from pipeline.cli.option_types import RunOrSpec


@app.command(epilog="Example: pipeline export runs/autumn --to xlsx --client acme --min 0.9")
def export(
    run: RunOrSpec,
    to: Annotated[
        str | None, typer.Option("--to", metavar="FORMAT", help="xlsx, csv, parquet, jsonl or pdf.", show_default=False)
    ] = None,
    per: Annotated[
        str | None, typer.Option(metavar="WHAT", help="A row per product or hit (xlsx: both, else product).")
    ] = None,
    client: Annotated[str | None, typer.Option(metavar="NAME", help="Only what is of this client.")] = None,
    min_: Annotated[
        float | None, typer.Option("--min", min=0, max=1, metavar="SCORE", help="Only hits of at least this score.")
    ] = None,
    status: Annotated[list[str], typer.Option(metavar="STATUS", help="Only these; repeatable.")] = [],  # noqa: B006
    top: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N hits of a product (xlsx: 5, else all).")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="RUN", help="Say what is new since this run; last = the newest.")
    ] = None,
    pictures: Annotated[
        str, typer.Option(metavar="HOW", help="In xlsx: cell, float (before Excel 365/2023) or none.")
    ] = "cell",
    decisions: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Decisions beside decisions.csv; repeatable.")
    ] = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Else named after the run; - is stdout.")
    ] = None,
    merge: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The records themselves in one file, those of all shards in order."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> int:
    """Write the results as a workbook, PDF, CSV, Parquet, JSON lines."""
    from pipeline.cli.commands.export import export_command, merge_command
    from pipeline.offline.export import Asked
    from pipeline.results.exports.selection import Wanted

    if merge is not None:
        return merge_command(run, merge, to=to, force=force)
    wanted = Wanted(client=client, statuses=frozenset(status), least=min_, top=top)
    asked = Asked(
        to or "", per, wanted, output=output, pictures=pictures, decisions=tuple(decisions), force=force, since=since
    )
    return export_command(run, asked)


@app.command(epilog="Example: pipeline decisions runs/autumn autumn.xlsx")
def decisions(
    run: RunOrSpec,
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Workbooks of `export`, or CSV files.")
    ] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who decided, where a file does not say it.")] = None,
) -> int:
    """Take over what people decided about hits, in a workbook say."""
    from pipeline.cli.commands.decisions import decisions_command

    return decisions_command(run, files or [], by=by)
