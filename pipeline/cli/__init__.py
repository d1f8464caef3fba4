"""The command line: parses, calls `app`, prints. Results go to stdout, everything else to stderr."""

import sys


def main() -> None:
    """Run the command line and exit with design.md's codes."""
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code. Every expected failure is one clear line, a bug a short one and a log."""
    from pipeline.cli.commands import app
    from pipeline.cli.failures import explain

    try:
        code = app(arguments, prog_name="pipeline", standalone_mode=False)
    except BaseException as exc:
        return explain(exc)
    return code if isinstance(code, int) else 0
