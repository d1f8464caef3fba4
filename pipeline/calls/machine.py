"""The limits of this machine as connections meet them: they must not look like faults of the vendor's."""

import errno
import socket

from pipeline.errors import Code, SystemLimit

_FILES = (errno.EMFILE, errno.ENFILE)
_MEMORY = (errno.ENOMEM, errno.ENOBUFS)


def raise_if_of_this_machine(error: Exception) -> None:
    """Raise SystemLimit if a connection was not made because this machine has no files or memory left for it."""
    number = _number_of(getattr(error, "os_error", error))
    if number in _FILES:
        whose = "this process" if number == errno.EMFILE else "this machine"
        raise SystemLimit(
            f"too many open files: {whose} may open no more connections; raise the limit (`ulimit -n 65536`), or lower "
            "api.max_in_flight, and run again",
            code=Code.SYSTEM_LIMIT,
            sent=False,
        ) from None
    if number in _MEMORY:
        raise SystemLimit(
            "out of memory: the system has none left for another connection; lower api.max_in_flight, or close other "
            "programs, and run again",
            code=Code.SYSTEM_LIMIT,
            sent=False,
        ) from None


def _number_of(error: object) -> int | None:
    """Return the system's number of an error; a name that cannot be looked up for want of files does not tell it."""
    if isinstance(error, socket.gaierror):
        try:
            socket.socket().close()
        except OSError as exc:
            return exc.errno
        return None
    return error.errno if isinstance(error, OSError) else None
