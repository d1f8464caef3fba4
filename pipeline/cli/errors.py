"""What a failed command says, and the code it exits with."""

import sys
import tempfile
import traceback

from pipeline.errors import PipelineError, SpecError
from pipeline.system.masking import masked

USAGE = 2


def explain(exc: BaseException) -> int:
    """Say on stderr what went wrong, in as few lines as it needs; return the exit code."""
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
    """Print a line on stderr; control characters in it (vendor's text, file names) cannot reach the terminal."""
    print("".join(char if char.isprintable() or char == "\n" else "?" for char in masked(line)), file=sys.stderr)


def _bug(exc: BaseException) -> int:
    """A bug: the traceback goes to a private file, without the values of variables."""
    text = masked("".join(traceback.format_exception(exc)))
    descriptor, path = tempfile.mkstemp(prefix="pipeline-bug-", suffix=".txt")
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    say(f"a bug: {type(exc).__name__}; nothing that was paid is lost, run again to go on. Details: {path}")
    return 70
