"""Processes of this machine: which is which, for a number is given out again and a start is not, and their cores."""

import os
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STARTED = 19  # the place of the start among the fields behind a process's name, which may hold spaces


def start_of(pid: int) -> str:
    """Name the start of a process, by the boot and its ticks; "" where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
        return f"{_BOOT.read_text('ascii').strip()}:{int(fields[_STARTED])}"
    except (OSError, ValueError, IndexError):
        return ""


def is_gone(pid: int, started: str) -> bool:
    """Return whether the process of this number that `started` so has certainly ended."""
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it is another user's
    now = start_of(pid)
    return bool(started and now) and started != now


def cores() -> int:
    """Return on how many cores this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
