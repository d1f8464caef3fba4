"""The machine: versions, extras, letters, the zone, folders, open files, and the time that a container has to stop."""

import importlib.metadata
import os
import platform
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from pipeline.job.api import ApiSpec
from pipeline.models import KINDS
from pipeline.offline.doctor.finding import Finding, failed, passed, warned
from pipeline.system.folders import cache_folder, state_folder
from pipeline.system.mounts import network_file_system
from pipeline.system.open_files import limit_of_files
from pipeline.system.wording import enumerated
from pipeline.version import __version__

_PACKAGE = "infringement-pipeline"
_PYTHONS = ((3, 11), (3, 14))  # the first and the last that this version was tried with
_FOR_DEVELOPERS = ("test", "docs", "dev")
_NEEDED_FILES = 1024
_LAST_MOMENTS_S = 10  # of a run behind its last answer: files for people, and whatever the machine is slow at
_CONTAINERS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_IN_CGROUP = re.compile(r"docker|kubepods|containerd|libpod|lxc")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+).*extra == ['\"]([\w-]+)['\"]")


def machine(api: ApiSpec, *, contained: bool, grace_s: float | None = None) -> list[Finding]:
    """Look at the machine, for a job with this `api` section; `grace_s` is what a container is given to stop."""
    return [
        _versions(),
        _extras(),
        _letters(),
        _zone(datetime.now().astimezone()),
        *_folders(),
        _files(),
        _patience(api, grace_s, contained=contained),
    ]


def _versions() -> Finding:
    names = {"aiohttp": "aiohttp", "pydantic": "pydantic", "pillow": "Pillow"}
    libraries = ", ".join(f"{shown} {importlib.metadata.version(name)}" for name, shown in names.items())
    text = (
        f"pipeline {__version__}, Python {platform.python_version()}, {libraries}, SQLite {sqlite3.sqlite_version}, "
        f"{platform.system()} {platform.release()}"
    )
    first, last = _PYTHONS
    if not first <= sys.version_info[:2] <= last:
        tried = f"tried with Python {first[0]}.{first[1]} to {last[0]}.{last[1]}"
        return warned("versions", f"{text}; this version of the program was {tried}")
    if platform.system() != "Linux":
        return warned("versions", f"{text}; nobody has tried it but on Linux")
    return passed("versions", text)


def _extras() -> Finding:
    there, missing = installed_extras()
    said = f"installed: {', '.join(there) or 'none'}"
    if missing:
        said += f"; not installed: {', '.join(missing)} (pip install '{_PACKAGE}[{','.join(missing)}]')"
    return passed("extras", said)


def installed_extras() -> tuple[list[str], list[str]]:
    """Name the extras whose libraries are all installed, and the others; those for developers are left out."""
    wanted: dict[str, list[str]] = {}
    for requirement in _requirements():
        if (found := _REQUIREMENT.match(requirement)) and found[2] not in _FOR_DEVELOPERS:
            wanted.setdefault(found[2], []).append(found[1])
    there = [extra for extra, names in wanted.items() if all(map(_is_installed, names))]
    return there, [extra for extra in wanted if extra not in there]


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:  # the program runs from a folder that nobody installed
        return []


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _letters() -> Finding:
    encoding = sys.getfilesystemencoding()
    if encoding.lower() not in ("utf-8", "utf8"):
        return warned("letters", f"names of files are read as {encoding}, not UTF-8", fix="export LC_ALL=C.UTF-8")
    return passed("letters", "UTF-8")


def _zone(now: datetime) -> Finding:
    offset = f"{now:%z}"
    said = f"{now.tzname()} (UTC{offset[:3]}:{offset[3:]}), now {now:%Y-%m-%d %H:%M}"
    return passed("zone", f"{said}; days, weeks and months of run directories turn by it (TZ changes it)")


def _folders() -> Iterator[Finding]:
    """Look at the folders beside run directories: what is kept there keeps an account's calls within its limit."""
    for name, folder, use in (
        ("state", state_folder(), "what processes that share an account tell each other"),
        ("cache", cache_folder(), "what was found of pictures, and the sandbox's gallery"),
    ):
        if folder is None:
            text = f"no home folder is known for {use}: set HOME or XDG_STATE_HOME"
            yield (failed if name == "state" else warned)(f"{name} folder", text)
        elif why := _not_writable(folder):
            text = f"{folder} cannot be written ({why}); it holds {use}"
            yield (failed if name == "state" else warned)(f"{name} folder", text)
        elif name == "state" and (kind := network_file_system(_there(folder))) is not None:
            yield warned(
                "state folder", f"{folder} lies on a network ({kind}): its locks may not hold between machines"
            )
        else:
            yield passed(f"{name} folder", str(folder))


def _not_writable(folder: Path) -> str:
    there = _there(folder)
    if not there.is_dir():
        return "it is no folder"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"{there} is not ours to write in"


def _there(folder: Path) -> Path:
    """Return the folder itself, or the nearest above it that is there."""
    return next((place for place in (folder, *folder.parents) if place.exists()), folder)


def _files() -> Finding:
    hard = limit_of_files()
    if hard is None or hard >= _NEEDED_FILES:
        return passed("open files", "no limit" if hard is None else f"up to {hard:,}")
    return warned(
        "open files", f"up to {hard:,} alone: fewer items are worked on at once; raise the limit (`ulimit -Hn`)"
    )


def is_contained(environment: Mapping[str, str], *, marks: tuple[Path, ...] = _CONTAINERS) -> bool:
    """Return whether this process runs in a container."""
    if "KUBERNETES_SERVICE_HOST" in environment or environment.get("container") or any(map(Path.exists, marks)):
        return True
    return _IN_CGROUP.search(_read(Path("/proc/1/cgroup"))) is not None


def _read(path: Path, read: Callable[[Path], str] = Path.read_text) -> str:
    try:
        return read(path)
    except (OSError, UnicodeError):
        return ""


def needed_grace_s(api: ApiSpec) -> int:
    """Return how long a run may take to stop: its drain, answers that are still out, and its last files."""
    waits = api.timeouts()
    return round(api.drain_s + max(waits[kind] for kind in KINDS) + _LAST_MOMENTS_S)


def _patience(api: ApiSpec, grace_s: float | None, *, contained: bool) -> Finding:
    """Compare the time that a container is given to stop with what a stopped run needs; the inside cannot see it."""
    needed = needed_grace_s(api)
    parts = enumerated(
        [f"api.drain_s ({api.drain_s:g})", "the longest answer (api.timeout_s)", f"{_LAST_MOMENTS_S} s for its files"]
    )
    if grace_s is not None:
        said = f"{grace_s:g} s to stop, and a run needs up to {needed}: {parts}"
        return passed("grace", said) if grace_s >= needed else failed("grace", f"{said}; what is paid may end in doubt")
    if not contained:
        return passed("grace", f"not in a container; whatever stops a run should wait {needed} s: {parts}")
    return warned(
        "grace",
        f"in a container: a stopped run needs up to {needed} s ({parts}), and docker stop waits 10, Kubernetes 30, "
        f"unless told: `docker stop -t {needed}`, `terminationGracePeriodSeconds: {needed}`; once it is so, say so",
        fix=f"--grace {needed}",
    )
