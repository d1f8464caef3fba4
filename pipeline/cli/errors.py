"""Failed commands: their lines on stderr, and the code they exit with."""

import errno
import sys
import tempfile
import traceback
from collections.abc import Sequence

from pipeline.errors import JournalError, PipelineError, SpecError
from pipeline.system.fault import Fault, typed
from pipeline.system.language import translated
from pipeline.system.masking import masked
from pipeline.system.signals import Stop

USAGE = 2


def explain(exc: BaseException, arguments: Sequence[str] | None = None) -> int:
    """Say on stderr why a command failed, in as few lines as it needs; return the exit code.

    With the `arguments` of the command, a line to type that is an option becomes the whole command with it.
    """
    if isinstance(exc, SystemExit):
        return exc.code if isinstance(exc.code, int) else 1
    if isinstance(exc, PipelineError):
        for told in _lines_of(exc):
            _tell(told, arguments)
        return exc.exit_code
    if isinstance(exc, KeyboardInterrupt) or type(exc).__name__ == "Abort":
        say(str(exc) or "stopped; run again to go on")
        return exc.exit_code if isinstance(exc, Stop) else 130
    if type(exc).__name__ == "Exit":  # typer's way to end after --help or --version
        return flushed(int(getattr(exc, "exit_code", 0)))
    if hasattr(exc, "format_message"):  # typer's usage errors
        command = getattr(getattr(exc, "ctx", None), "command_path", "pipeline")
        _tell(Fault(exc.format_message(), fix=f"{command} --help"))
        return USAGE
    if isinstance(exc, BrokenPipeError):
        return 141
    if isinstance(exc, OSError):
        _tell(_of_system(exc))
        return 5
    if isinstance(exc, UnicodeEncodeError) and exc.reason.startswith("surrogates"):
        what = "a name that is no UTF-8 text; rename it, or run with LC_ALL=C.UTF-8 if it is"
        _tell(Fault(what, where=f"{exc.object!a:.300}"))
        return USAGE
    if any(kind.__module__ == "sqlite3" for kind in type(exc).__mro__):  # known by its name: `--help` loads no SQLite
        more = "`pipeline status RUN --verify` says whether it is damaged"
        _tell(Fault(f"the journal cannot be read or written: {exc}; {more}"))
        return 5
    return _bug(exc)


def _lines_of(error: PipelineError) -> Sequence[str]:
    """Return the lines that an error says: all that a job or a journal has, else the first, which is its message."""
    if isinstance(error, SpecError):
        return error.lines
    return error.args if isinstance(error, JournalError) else error.args[:1]


def flushed(code: int) -> int:
    """Bring what was printed to its reader; return the command's exit code, or one that says that it did not arrive.

    A code that says more than "done" or "some items are open" stands.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as exc:
        return code if code > 1 else explain(exc)
    return code


def _tell(told: str, arguments: Sequence[str] | None = None) -> None:
    """Say a fault: what is wrong, where, and a line to type; any other line as it is."""
    # An override is typed in place of the wrong one, other options behind all others.
    if isinstance(told, Fault) and arguments and told.fix.startswith("--") and not told.fix.startswith("--set "):
        told = Fault(told.what, where=told.where, fix=f"{typed(*arguments)} {told.fix}", times=told.times)
    for line in told.shown() if isinstance(told, Fault) else [str(told)]:
        say(line)


def say(line: str) -> None:
    """Print a line on stderr in the language of the command, without secrets and control characters."""
    print("\n".join(map(printable, translated(masked(line)).split("\n"))), file=sys.stderr)


def printable(line: str) -> str:
    """Replace control characters, which a vendor's text or a file's name may hold: none may reach the terminal."""
    return "".join(char if char.isprintable() else "?" for char in line)


def _of_system(exc: OSError) -> Fault:
    """Say what the system refused, and what to do."""
    why = exc.strerror or str(exc)
    if exc.filename is not None:
        return Fault(f"{why}; mend it and run again", where=str(exc.filename))
    if isinstance(exc, FileNotFoundError):
        return Fault("the current folder is not there any more; change to another one (cd), then run again")
    if exc.errno == errno.EBADF:
        why = "stdout is closed"
    return Fault(f"the output cannot be written: {why}; send it somewhere else and run again")


def _bug(exc: BaseException) -> int:
    """Write the traceback of a bug to a private file, without the values of variables, and say where it is."""
    text = masked("".join(traceback.format_exception(exc)))
    try:
        descriptor, path = tempfile.mkstemp(prefix="pipeline-bug-", suffix=".txt")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        path = f"not kept, no temporary file can be written ({error.strerror})"
    say(f"a bug: {type(exc).__name__}; nothing that was paid is lost, run again to go on. Details: {path}")
    return 70
