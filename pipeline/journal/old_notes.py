"""Notes of run directories that are gone for good (journal/identity.py), and drafts of such notes.

A note is all that tells that an older journal was put back, or a copy is used, where `.identity` is gone too. So one is
forgotten only when its run directory is gone and nobody has run there for half a year; for two years where the folder
around it is gone as well, which may be a disk that is not connected today. Notes of other hosts are theirs.
"""

import contextlib
import socket
from pathlib import Path

from pipeline.journal.identity import of_note
from pipeline.system.drafts import SHARED_S, sweep

_DAY_S = 86_400.0
GONE_S, FAR_S = 180 * _DAY_S, 730 * _DAY_S
_NOTE = "[0-9a-f]{32}\\.json"


def forget_gone(places: Path, *, now: float) -> None:
    """Delete the notes of run directories that are gone for good; never raises. `now` is in epoch seconds."""
    sweep(places, [_NOTE], older_s=SHARED_S)
    with contextlib.suppress(OSError):
        for path in places.glob("*.json"):
            with contextlib.suppress(OSError):
                if _is_gone(path, unused_s=now - path.stat().st_mtime):
                    path.unlink()


def _is_gone(path: Path, *, unused_s: float) -> bool:
    """Return whether the run directory of a note is gone for good. A run writes its note twice a second."""
    if unused_s < GONE_S:
        return False
    note = of_note(path)
    if note is None or note.host != socket.gethostname() or not note.path:
        return False
    folder = Path(note.path)
    return not folder.exists() and (folder.parent.is_dir() or unused_s >= FAR_S)
