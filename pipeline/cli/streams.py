"""The standard streams of a command, made fit for work that is paid.

stdout holds results: where it cannot be written, the command says so (see `cli/errors.py`). stderr holds progress and
remarks, and these are never worth a run: a line that cannot be written is lost, and nothing else happens.
"""

import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator
from typing import Any

_MODES = (os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)  # of what stands for a closed one; a closed stdout still takes nothing
_ERRORS = "backslashreplace"  # for letters that the terminal does not know


def mend() -> None:
    """Make the three streams usable whatever the command was started with."""
    if os.environ.get("COLUMNS") == "0":  # `tput cols` where there is no terminal: on no columns nothing is shown
        del os.environ["COLUMNS"]
    _open_closed_ones()
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", errors=_ERRORS, closefd=False)  # noqa: SIM115
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ERRORS)
    encoding = "utf-8" if sys.stderr is None else sys.stderr.encoding
    raw = _Unfailing(2, "w", closefd=False)
    sys.stderr = io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=_ERRORS, line_buffering=True)


def close() -> None:
    """Let nothing be left to write when the interpreter ends: it would complain, and exit with a code of its own."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):  # it cannot be written, or was closed by a writer that failed
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """Let nobody wait for stderr until the block ends: what it does not take at once is lost."""
    raw = getattr(getattr(sys.stderr, "buffer", None), "raw", None)
    if not isinstance(raw, _Unfailing):
        yield
        return
    raw.hurried = True
    try:
        yield
    finally:
        raw.hurried = False


class _Unfailing(io.FileIO):
    """A file that takes everything; what the system does not take is lost.

    While it is `hurried` it does not wait, either: a halted terminal (Ctrl-S) or a full pipe would stop the event loop,
    and with it the answers of calls that are paid.
    """

    hurried = False

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        try:
            if self.hurried and not _takes_more(self.fileno()):
                return size
            written = super().write(data)
        except OSError:
            return size
        return size if written is None else written


def _takes_more(descriptor: int) -> bool:
    """Return whether a write would not have to wait; True where the system cannot say."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))


def _open_closed_ones() -> None:
    """Give closed streams a device: else the next file that is opened, perhaps the journal, would become stdout."""
    for descriptor, mode in enumerate(_MODES):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, mode)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
