"""The entry point of the command line. Results go to stdout, everything else to stderr."""

import io
import sys


def main() -> None:
    """Run the command line and exit with its code, one of those that README lists."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for letters that the terminal does not know
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code. Every expected failure is one clear line, a bug a short one and a log."""
    from pipeline.cli.errors import explain
    from pipeline.cli.options import app

    try:
        code = app(arguments, prog_name="pipeline", standalone_mode=False)
    except BaseException as exc:
        return explain(exc)
    return code if isinstance(code, int) else 0
