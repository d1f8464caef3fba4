"""Drafts of single files: one rule for their names, and the sweep of those that a death left.

Folders have drafts of their own (`cluster/epochs.py`, `cluster/split.py`), and so have leases
(`leases/folder_store.py`).

| where | draft | of |
|---|---|---|
| run directory | `.NAME.new` | each file that is replaced as a whole, and the journal that a repair makes |
| | `.probe-PID` | the proof that the directory can be written |
| | `.report.html.RANDOM.part` | the page, of earlier versions |
| notes of run directories, slots of accounts | `.NAME.json.new` | a note |
| the sandbox's folders | `.NAME.HEX.new` | an upload, the index of a gallery, its key |

In the system's temporary folder lie `pipeline-*`, what one command copies or makes while it works, and
`pipeline-bug-*.txt`, which is for a person. `.ballast`, `.results.check` and SQLite's own files are no drafts: the next
run knows them.
"""

import contextlib
import os
import re
import secrets
import sys
import time
from collections.abc import Iterable
from pathlib import Path

SHARED_S = 60.0  # for folders in which several processes write: nobody takes so long for a draft

_HEX = r"[0-9a-f]{8}"


def draft_of(path: Path, *, several_writers: bool = False) -> Path:
    """Name the draft of a file, one of its own for each writer where there are several."""
    return path.with_name(f".{path.name}.{f'{secrets.token_hex(4)}.' if several_writers else ''}new")


def probe_in(folder: Path) -> Path:
    """Name the file that proves that a folder can be written."""
    return folder / f".probe-{os.getpid()}"


def hold(descriptor: int) -> None:
    """Show other processes that a draft is being written, until it is closed."""
    _lock(descriptor)


def sweep(folder: Path, names: Iterable[str], *, older_s: float = 0.0) -> None:
    """Delete the drafts of files with these names (regular expressions), and probes, that no process writes.

    Where others may begin one at this moment, because nobody has locked the folder, only those are deleted that were
    written more than `older_s` ago. Never raises: what cannot be deleted does no harm.
    """
    last = time.time() - older_s
    drafts = rf"\.(?:{'|'.join(names)})(?:(?:\.{_HEX})?\.new(?:-journal)?|\.[a-z0-9_]{{8}}\.part)"
    ours = re.compile(rf"{drafts}|\.{{1,2}}probe-[0-9]+(?:\.new)?")
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if ours.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    if (not older_s or entry.stat().st_mtime < last) and _is_abandoned(entry.path):
                        os.unlink(entry.path)


def _is_abandoned(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return False
    try:
        return _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Lock an open file; return False where another process has it, or the system has no such locks."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
