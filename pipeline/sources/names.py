"""Names of local files: as jobs write them, as the system has them, and the ones that a pattern matches."""

import fnmatch
import glob
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

EVERY_DEPTH = "**"


def with_slashes(path: str) -> str:
    """Write a path with forward slashes: on every system both kinds are understood."""
    return path.replace("\\", "/")


def on_disk(text: str) -> str:
    """Return the name under which the system finds a file that a job calls `text`.

    Names of files are bytes; those in jobs and journals are UTF-8, whatever the system's locale is.
    """
    return os.fsdecode(text.encode("utf-8", "surrogateescape"))


def as_listed(name: str) -> str:
    """Return the name of a file that the system found as jobs and journals write it: the opposite of `on_disk`."""
    return os.fsencode(name).decode("utf-8", "surrogateescape")


def is_pattern(path: str, root: Path) -> bool:
    """Return whether a path has wildcards and so may name many files; `br[1].jpg` is the file of that name, if any."""
    return glob.has_magic(path) and not os.path.isfile(root / on_disk(with_slashes(path)))


def match_files(root: Path, pattern: str) -> list[str]:
    """List the files that a pattern names, sorted, relative to `root`, with forward slashes.

    A wildcard follows no link to a folder, so that no file comes twice; a link to a file is one of the files. Whether
    it leaves the root is checked when it is opened.
    """
    parts = list(PurePosixPath(on_disk(with_slashes(pattern))).parts)
    parts = [part for index, part in enumerate(parts) if part != EVERY_DEPTH or parts[index - 1 : index] != [part]]
    return sorted({as_listed(name) for name in _walk(root, "", parts) if _is_file(root / name)})


def _walk(root: Path, folder: str, parts: list[str]) -> Iterator[str]:
    """Yield the names in `folder`, a path relative to `root`, that the parts of a pattern match."""
    head, *rest = parts
    if not glob.has_magic(head):
        name = f"{folder}{head}"
        if rest:
            yield from _walk(root, f"{name}/", rest)
        elif os.path.lexists(root / name):
            yield name
        return
    deeper = head == EVERY_DEPTH
    if deeper and rest:
        yield from _walk(root, folder, rest)
    for entry in _entries(root / folder):
        if entry.name.startswith(".") and not (head.startswith(".") and not deeper):
            continue
        if not deeper and not fnmatch.fnmatchcase(entry.name, head):
            continue
        into = parts if deeper else rest
        if into and entry.is_dir(follow_symlinks=False):
            yield from _walk(root, f"{folder}{entry.name}/", into)
        if not rest:
            yield f"{folder}{entry.name}"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:  # no folder, or one that nobody may list: it names nothing, as for every shell
        return []


def _is_file(path: Path) -> bool:
    """Return whether a name is a regular file, or a link to something that is no folder."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or (stat.S_ISLNK(mode) and not path.is_dir())
