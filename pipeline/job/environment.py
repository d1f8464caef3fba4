"""Settings from outside a job file: the process's environment, completed by an `.env` beside the file."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

NAME = ".env"
CREDENTIALS = ("PATSNAP_CLIENT_ID", "PATSNAP_CLIENT_SECRET", "PATSNAP_API_KEY")
PROXY = "PATSNAP_PROXY"


@dataclass(frozen=True, slots=True)
class Environment:
    """Settings for one job file.

    values: each variable's text; not in the repr, since some are secrets
    remark: a sentence for the person when others on this machine can read or change the `.env`, else None
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    remark: str | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The credentials that are set; no job file may contain one."""
        return tuple(self.values[key] for key in CREDENTIALS if self.values.get(key))

    @property
    def proxy(self) -> str | None:
        """The proxy for jobs that name none; None when it is not set."""
        return self.values.get(PROXY)


def read_environment(path: Path, process: Mapping[str, str]) -> Environment:
    """Read the settings for the job file at `path`; those of the process win over the `.env` beside the file."""
    from dotenv import dotenv_values

    file = path.parent / NAME
    if not file.is_file():
        return Environment(dict(process))
    beside = dotenv_values(file, interpolate=False)
    values = {key: value for key, value in beside.items() if value is not None} | dict(process)
    return Environment(values, _exposed(file))


def _exposed(file: Path) -> str | None:
    mode = stat.S_IMODE(file.stat().st_mode)
    if os.name != "posix" or not mode & 0o077:
        return None
    return f"{file} is open to others on this machine (mode {mode:04o}); close it with: chmod 600 {file}"
