"""The limit of files that this process may open: a connection is one of them, and many systems allow 1,024."""

import contextlib
import os

OTHERS = 64  # files beside those of items: the journal, the log, the event loop's, and what libraries open for a moment
PER_ITEM = 2  # its connection, and its picture or the sandbox's end of the connection


def make_room(items: int) -> int:
    """Raise our soft limit of open files, as far as the system allows, to what so many items at once need.

    Return how many items there is room for, at least one; `items` where the system knows no such limit.
    """
    try:
        import resource
    except ImportError:  # Windows
        return items
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return items
    besides = OTHERS + _open_now()
    needed = besides + PER_ITEM * items
    if soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return max(1, min(items, (soft - besides) // PER_ITEM))


def limit_of_files() -> int | None:
    """Return how many files this process may open once it asks for it; None where there is no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def _open_now() -> int:
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return 0
