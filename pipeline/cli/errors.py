"""Failed commands: their lines on stderr, and the code they exit with."""

import sys
import tempfile
import traceback

from pipeline.errors import PipelineError, SpecError
from pipeline.system.masking import masked

USAGE = 2


def explain(exc: BaseException) -> int:
    """Say on stderr why a command failed, in as few lines as it needs; return the exit code."""
    if isinstance(exc, SystemExit):
        return exc.code if isinstance(exc.code, int) else 1
    if isinstance(exc, PipelineError):
        for line in exc.lines if isinstance(exc, SpecError) else [str(exc)]:
            say(line)
        return exc.exit_code
    if isinstance(exc, KeyboardInterrupt) or type(exc).__name__ == "Abort":
        say("stopped; run again to go on")
        return 130
    if hasattr(exc, "format_message"):  # typer's usage errors
        command = getattr(getattr(exc, "ctx", None), "command_path", "pipeline")
        say(f"{exc.format_message()} (see `{command} --help`)")
        return USAGE
    if isinstance(exc, BrokenPipeError):
        return 141
    if isinstance(exc, OSError):
        what = str(exc.filename) if exc.filename else "the output"
        say(f"{what}: {exc.strerror or exc}; what was paid is in the journal: mend it and run again")
        return 5
    if any(kind.__module__ == "sqlite3" for kind in type(exc).__mro__):  # known by its name: `--help` loads no SQLite
        say(f"the journal cannot be read or written: {exc}; `pipeline status RUN --verify` says whether it is damaged")
        return 5
    return _bug(exc)


def say(line: str) -> None:
    """Print a line on stderr, without secrets and control characters."""
    print("\n".join(map(printable, masked(line).split("\n"))), file=sys.stderr)


def printable(line: str) -> str:
    """Replace control characters, which a vendor's text or a file's name may hold: none may reach the terminal."""
    return "".join(char if char.isprintable() else "?" for char in line)


def _bug(exc: BaseException) -> int:
    """Write the traceback of a bug to a private file, without the values of variables, and say where it is."""
    text = masked("".join(traceback.format_exception(exc)))
    descriptor, path = tempfile.mkstemp(prefix="pipeline-bug-", suffix=".txt")
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    say(f"a bug: {type(exc).__name__}; nothing that was paid is lost, run again to go on. Details: {path}")
    return 70
