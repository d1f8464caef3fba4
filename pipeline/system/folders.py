"""The user's own folders on this machine, for what outlives a run directory."""

from pathlib import Path

_NAME = "infringement-pipeline"


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


def _placed(folder: Path) -> Path | None:
    """Return the folder if it is one: of a `~` that nobody knows some versions make a name in the current folder."""
    return folder if folder.is_absolute() else None
