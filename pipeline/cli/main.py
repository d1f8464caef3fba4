"""The entry point of the command line. Results go to stdout, everything else to stderr."""

import atexit
import gc
import sys
from functools import cache
from typing import Any

from pipeline.system import signals


def main() -> None:
    """Run the command line and exit with its code, one of those that README lists."""
    atexit.register(_collect_once)
    try:
        signals.hear()
        from pipeline.cli import streams, utf8

        utf8.start_anew_in_utf8()
        streams.mend()
        _say_language()
        code = run()
        streams.close()
    except KeyboardInterrupt as stop:  # before `run` could explain the signal, or while it did
        code = signals.last_word(stop)
    signals.leave_at_once(code)
    sys.exit(code)


def _collect_once() -> None:
    """Look for garbage a last time, once all threads have ended; Python itself would do it several times more.

    That is an eighth of the time of `status` (measured). Once it must be: a generator that is closed only when its
    modules are gone says so, in a traceback.
    """
    gc.collect()
    gc.freeze()


def _say_language() -> None:
    """Say, once, that the language which was asked for is not spoken."""
    from pipeline.system import language

    if remark := language.remark():
        from pipeline.cli.errors import say

        say(remark)


def run(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code. Every expected failure is one clear line, a bug a short one and a log."""
    from pipeline.cli.errors import explain, flushed
    from pipeline.cli.notes import noting

    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with noting():
            code = _command(arguments)
    except BaseException as exc:
        return explain(exc, arguments)
    return flushed(code)


def _command(arguments: list[str]) -> int:
    """Run one command. Not by typer's own `main`, which turns signals and closed pipes into codes of its own."""
    from pipeline.system import language

    command = command_line(chinese=language.in_chinese())
    with command.make_context("pipeline", list(arguments)) as context:
        code = command.invoke(context)
    return code if isinstance(code, int) else 0


@cache
def command_line(*, chinese: bool) -> Any:
    """Return the whole command line, with all commands, and with its help in this language."""
    from typer.main import get_command

    # Importing these adds their commands to `app`; the order of the imports is that of the help.
    from pipeline.cli import cluster_options, first_options, keeping, results_options  # noqa: F401
    from pipeline.cli.app import app

    command = get_command(app)
    if chinese:
        from pipeline.cli.help_in_chinese import speak

        speak(command)
    return command
