"""The command line as a person meets it: on a pseudo-terminal."""

import os
import pty
import sys
from pathlib import Path

from tests.support.jobs import ACCOUNT
from tests.support.processes import PATIENCE_S, running


def on_a_terminal(arguments: list[str], *, answer: str, cwd: Path) -> tuple[int, str]:
    """Run a command, type an answer, and return the exit code and all that was shown."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipeline", *arguments]
    environment = {**os.environ, **ACCOUNT, "TERM": "xterm", "COLUMNS": "200"}
    with running(command, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, answer.encode())
        said = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux says EIO when the other side is gone
                break
            if not part:
                break
            said += part
        os.close(ours)
        return process.wait(timeout=PATIENCE_S), said.decode(errors="replace")
