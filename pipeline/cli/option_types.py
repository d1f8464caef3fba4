"""The arguments and options that several commands share."""

import enum
from pathlib import Path
from typing import Annotated

import typer

Spec = Annotated[Path, typer.Argument(metavar="SPEC", help="The job file (YAML).")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
RunOrSpec = Annotated[Path, typer.Argument(metavar="RUN|SPEC", help="A run directory or a job file.")]
Set = Annotated[list[str], typer.Option("--set", metavar="A.B=C", help="Change a key of the job file; repeatable.")]
SetApi = Annotated[
    list[str], typer.Option("--set", metavar="API.B=C", help="Change how the vendor is called; repeatable.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]
Rehearse = Annotated[bool, typer.Option("--rehearse", help="On the sandbox, with drawn pictures for the URLs; free.")]
Quick = Annotated[bool, typer.Option("--quick", help="Open no pictures.")]
New = Annotated[bool, typer.Option("--new", help="Start another run directory instead of going on with the last.")]


class Busy(enum.StrEnum):
    """The choice while another process uses the account's calls per second."""

    WAIT = "wait"
    EXIT = "exit"


def _share(value: float) -> float:
    if not 0 < value <= 1:
        raise typer.BadParameter("above 0 and at most 1, for example 0.5")
    return value


BusyOption = Annotated[Busy, typer.Option("--busy", help="While another process uses the account: wait, or exit (6).")]
Share = Annotated[
    float, typer.Option(metavar="F", callback=_share, help="Take part with this share of every QPS, for example 0.5.")
]
WaitQuota = Annotated[
    bool, typer.Option("--wait-quota", help="Wait for the daily limit to be lifted (api.quota_resets_at).")
]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on", metavar="new:S", help="Exit with 7 if a product has a hit (new:, hit:) that scores S or more."
    ),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="RUN", help="The run to compare with: last (by default, if any), none or a name."),
]
