"""Epochs of a run directory that goes from one machine to another: the newest alone is gone on with.

Each is a folder `e<number>` with a note, begun with a copy of the one before (journal/copying.py). An earlier one may
still be written by whoever had it, and knows nothing of what is paid since; so nobody opens it any more.
"""

from pathlib import Path

from pipeline.errors import JournalError
from pipeline.system.fault import Fault

NOTE = "epoch.json"


def is_epoch(folder: Path) -> bool:
    """Return whether a run directory is an epoch: those beside it are of the same items, and no runs of their own."""
    return (folder / NOTE).is_file()


def superseded_by(folder: Path) -> Path | None:
    """Return the newest epoch after the one in this folder; None for the newest, and for any other run directory."""
    whole = folder.absolute()
    number = whole.name.removeprefix("e")
    if not is_epoch(whole) or not number.isdecimal():
        return None
    others = (note.parent.name.removeprefix("e") for note in whole.parent.glob(f"e*/{NOTE}"))
    newest = max((int(other) for other in others if other.isdecimal()), default=0)
    return whole.parent / f"e{newest}" if newest > int(number) else None


def refuse_superseded(folder: Path) -> None:
    """Raise JournalError for an epoch that another one has followed."""
    if (newer := superseded_by(folder)) is not None:
        what = f"another machine has taken this over and goes on in {newer.name}; nothing was sent"
        raise JournalError(Fault(what, where=str(folder), fix=str(newer)))
