"""The user's own folders on this machine, for what outlives a run directory, and a folder for what does not."""

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_NAME = "infringement-pipeline"
_FULL = 1 << 20  # bytes left on a disk that is taken for full


def cache_folder() -> Path | None:
    """Return the folder for what can be made again; None where no home is known, as for a user without an entry."""
    from platformdirs import user_cache_path

    try:
        return _placed(user_cache_path(_NAME))
    except RuntimeError:
        return None


def state_folder() -> Path | None:
    """Return the folder for what must last; None where no home is known."""
    from platformdirs import user_state_path

    try:
        return _placed(user_state_path(_NAME))
    except RuntimeError:
        return None


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new folder of our own for temporary files, and remove it in the end.

    Errors of the system name no file where there is no such place at all, or a write finds no room. They get a name
    here: the variable that says where the place is, or the place, if it is its disk that is full.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix="pipeline-", ignore_cleanup_errors=True)
    except FileNotFoundError as exc:
        exc.filename = exc.filename or "TMPDIR"
        raise
    with made as name:
        try:
            yield Path(name)
        except OSError as exc:
            if exc.errno == errno.ENOSPC and exc.filename is None and shutil.disk_usage(name).free < _FULL:
                exc.filename = tempfile.gettempdir()
            raise


def _placed(folder: Path) -> Path | None:
    """Return the folder if it is one: of a `~` that nobody knows some versions make a name in the current folder."""
    return folder if folder.is_absolute() else None
