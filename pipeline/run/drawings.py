"""The drawings that reports bring: files in a folder of the run directory, each named by its digest."""

from pathlib import Path

from pipeline.errors import JournalError
from pipeline.system.fault import Fault
from pipeline.system.files import sync_names, write_whole


def keep_drawing(folder: Path, name: str, data: bytes) -> None:
    """Write a drawing to the run directory. Raises JournalError where that fails: its report is asked for again."""
    file = folder / name
    if file.exists():
        return
    try:
        if not file.parent.exists():
            file.parent.mkdir(mode=0o700, exist_ok=True)
            sync_names(file.parent)
        write_whole(file, data, several_writers=True)  # items with one drawing may be read at the same time
    except OSError as exc:
        what = f"{exc.strerror or exc}; the report that brought this drawing is asked for again by the next run"
        raise JournalError(Fault(what, where=str(file))) from None
