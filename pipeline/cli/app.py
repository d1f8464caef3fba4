"""The command line as a whole; the modules that `main.command_line` imports add the commands to it."""

from typing import Annotated

import typer

from pipeline.version import __version__

app = typer.Typer(
    name="pipeline",
    help="Screen product pictures against design patents: a YAML job in, one record per picture out.",
    epilog="Start with: pipeline demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pipeline {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...
