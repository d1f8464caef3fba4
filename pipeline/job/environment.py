"""The environment, completed by an `.env` beside the job file."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

NAME = ".env"


def read_environment(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What is set for the job file at `path`; the environment wins over the `.env` beside it."""
    from dotenv import dotenv_values

    file = path.parent / NAME
    beside = dotenv_values(file, interpolate=False) if file.is_file() else {}
    return {key: value for key, value in beside.items() if value is not None} | dict(environment)


def exposed(path: Path) -> str | None:
    """A remark when others on this machine can read or change the `.env` beside the job file."""
    file = path.parent / NAME
    if os.name != "posix" or not file.is_file():
        return None
    mode = stat.S_IMODE(file.stat().st_mode)
    if not mode & 0o077:
        return None
    return f"{file} is open to others on this machine (mode {mode:04o}); close it with: chmod 600 {file}"
