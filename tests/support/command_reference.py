"""The reference of the command line, made from it: `python -m tests.support.command_reference > docs/commands.md`."""

import re
import sys
from collections.abc import Iterator
from typing import Any

from pipeline.cli.main import command_line

HEAD = """# The commands

Made from the command line (`python -m tests.support.command_reference > docs/commands.md`); `pipeline COMMAND --help`
says the same. Results go to stdout, progress and problems to stderr. `SPEC` is a job file, `RUN` a run directory. Exit
codes: [README](../README.md#what-a-run-leaves), and [what to do](how-to/resuming.md#what-the-exit-code-asks-for).

"""
ENVIRONMENT = """
## The environment

| variable | what it does |
|---|---|
| `PIPELINE_LANG` | `zh` (or `zh_CN.UTF-8`): messages, questions and help in Chinese; JSON, files and logs stay |
| `PATSNAP_...` | credentials and a proxy: [which, and where else they may stand](how-to/credentials.md) |
| `XDG_STATE_HOME`, `XDG_CACHE_HOME` | the folders of what processes tell each other, and of what is known of pictures |
| `TZ` | the zone by which `{date}`, `{week}` and `{month}` of run directories turn |
| `NO_COLOR`, `COLUMNS` | no colours; how wide the terminal is |
"""
_WIDTH = 78  # as the program prints it on a terminal of 80 columns


def reference() -> str:
    """Write the document."""
    commands = command_line(chinese=False)
    context = commands.make_context("pipeline", ["-"], resilient_parsing=True, terminal_width=_WIDTH)
    told = commands.get_help(context).strip()
    sections = [
        section
        for name in commands.list_commands(context)
        for section in _sections(commands.get_command(context, name), context)
    ]
    return f"{HEAD}```text\n{told}\n```\n{''.join(sections)}{ENVIRONMENT}"


def _sections(command: Any, parent: Any) -> Iterator[str]:
    """Yield the section of a command, or of each command of a group."""
    if not hasattr(command, "list_commands"):
        yield _section(command, parent)
        return
    context = type(parent)(command, info_name=command.name, parent=parent)
    for name in command.list_commands(context):
        yield from _sections(command.get_command(context, name), context)


def _section(command: Any, parent: Any) -> str:
    context = type(parent)(command, info_name=command.name, parent=parent)
    usage = re.sub(r"[{}]", "", " ".join(command.get_usage(context).removeprefix("Usage: ").split()))
    lines = [
        f"\n## {context.command_path.removeprefix('pipeline ')}\n",
        f"{_cell(command.help)}\n",
        "```text",
        usage,
        "```\n",
    ]
    if example := (command.epilog or "").removeprefix("Example: "):
        lines += ["```sh", example, "```\n"]
    rows = [_row(*one.get_help_record(context)) for one in command.get_params(context) if "--help" not in one.opts]
    return "\n".join([*lines, *(["| | |", "|---|---|", *rows] if rows else ["It has no options."]), ""])


def _row(name: str, said: str) -> str:
    """Return an option as a row; its bounds and its default stand in brackets, as the program prints them."""
    name = re.sub(r" <(path|text|integer|float)>", "", name)
    return f"| `{_cell(name)}` | {_cell(re.sub(r'  +', ' ', said))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
