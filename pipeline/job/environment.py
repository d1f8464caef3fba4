"""Settings from outside a job file: the process's environment, completed by an `.env` beside the file."""

import codecs
import io
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import SpecError
from pipeline.system.fault import Fault

NAME = ".env"
CREDENTIALS = ("PATSNAP_CLIENT_ID", "PATSNAP_CLIENT_SECRET", "PATSNAP_API_KEY")
PROXY = "PATSNAP_PROXY"
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


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
        """The credentials that are set, of whatever account; no job file may contain one."""
        names = sorted(filter(is_credential, self.values), key=lambda key: CREDENTIALS.index(key.partition("__")[0]))
        return tuple(self.values[name] for name in names if self.values[name])

    @property
    def proxy(self) -> str | None:
        """The proxy for jobs that name none; None when it is not set."""
        return self.values.get(PROXY)


def is_credential(name: str) -> bool:
    """Return whether a variable holds credentials: PATSNAP_API_KEY, or PATSNAP_API_KEY__MAIN of a named account."""
    return name.partition("__")[0] in CREDENTIALS


def read_environment(path: Path, process: Mapping[str, str]) -> Environment:
    """Read the settings for the job file at `path`; those of the process win over the `.env` beside the file.

    Raises SpecError when that cannot be read.
    """
    from dotenv import dotenv_values

    file = path.parent / NAME
    try:
        if not file.is_file():
            return Environment(dict(process))
    except OSError:  # nor can the job file beside it be read, which says so better
        return Environment(dict(process))
    beside = dotenv_values(stream=io.StringIO(_text(file)), interpolate=False)
    values = {key: value for key, value in beside.items() if value is not None} | dict(process)
    return Environment(values, _exposed(file))


def _text(file: Path) -> str:
    """Read an `.env` in the encodings that editors choose. Raises SpecError, which repeats nothing of it."""
    try:
        data = file.read_bytes()
    except OSError as exc:
        what = (
            f"cannot be read: {exc.strerror or exc}; it may hold your credentials: let its owner make it readable for "
            "you, or move it away and set them in the environment"
        )
        raise SpecError(Fault(what, where=str(file))) from None
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    try:
        text = data.decode(_MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise SpecError(Fault("not UTF-8 text; save the file as UTF-8", where=f"{file}:{line}")) from None
    if "\0" in text:
        raise SpecError(Fault("not UTF-8 text (it has NUL characters); save the file as UTF-8", where=str(file)))
    return text


def _exposed(file: Path) -> str | None:
    mode = stat.S_IMODE(file.stat().st_mode)
    if os.name != "posix" or not mode & 0o077:
        return None
    return f"{file} is open to others on this machine (mode {mode:04o}); close it with: chmod 600 {file}"
