"""The thing that a job is begun from: a list, a folder of pictures, a zip of them, or nothing yet."""

import glob
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.errors import SpecError
from pipeline.job.checks import MANIFEST_ENDINGS, ZIP
from pipeline.offline.starting.facts import files_below
from pipeline.picture_formats import ENDINGS
from pipeline.results.decisions import DECISIONS
from pipeline.sources.names import EVERY_DEPTH, as_listed, match_files
from pipeline.system.fault import Fault, typed
from pipeline.system.wording import listed

_TEXTS = (".tsv", ".tab", ".txt", ".json", ".ndjson")
_FOLDERS = 200  # below a list in which its pictures are looked for
_ASKED = 50  # paths by which a folder is judged


class Source(NamedTuple):
    """A place to begin from: `kind` says what lies at `path`."""

    kind: Literal["list", "folder", "zip", "nothing"]
    path: Path


def find_source(path: Path | None, here: Path) -> Source:
    """Find what to begin from: what a person names, else what lies in the current folder. Raises SpecError."""
    if path is None:
        return _in_folder(here) or Source("nothing", here)
    if path.is_dir():
        found = _in_folder(path)
        if found is None:
            kinds = listed(sorted(MANIFEST_ENDINGS))
            what = f"nothing to begin from: no list ({kinds}), no picture and no zip"
            raise SpecError(Fault(what, where=str(path), fix=typed("demo")))
        return found
    if not path.exists():
        raise SpecError(_nothing_there(path, here))
    name = path.name.lower()
    if name.endswith(MANIFEST_ENDINGS):
        return Source("list", path)
    if name.endswith(ZIP):
        return Source("zip", path)
    if name.endswith(ENDINGS):
        raise SpecError(
            Fault(
                "this is one picture; begin from the folder it lies in",
                where=str(path),
                fix=typed("init", path.parent),
            )
        )
    raise SpecError(_other_ending(path))


def _in_folder(folder: Path) -> Source | None:
    """Find what lies in a folder: one list, else pictures at any depth, else one zip."""
    lists = [path for path in _files(folder) if path.name.lower().endswith(MANIFEST_ENDINGS)]
    if len(lists) > 1:
        names = listed([path.name for path in lists])
        raise SpecError(
            Fault(f"several lists are here: {names}; name one", where=str(folder), fix=typed("init", lists[0]))
        )
    if lists:
        return Source("list", lists[0])
    if pictures_below(folder):
        return Source("folder", folder)
    zips = [path for path in _files(folder) if path.name.lower().endswith(ZIP)]
    return Source("zip", zips[0]) if len(zips) == 1 else None


def _files(folder: Path) -> list[Path]:
    names = (
        entry
        for entry in sorted(folder.iterdir())
        if entry.name != DECISIONS and not entry.name.startswith((".", "~$"))
    )
    return [path for path in names if path.is_file()]


def pictures_below(folder: Path) -> list[str]:
    """List the pictures in a folder at every depth, but for what runs left in `runs`."""
    names = match_files(folder, EVERY_DEPTH)
    return [name for name in names if name.lower().endswith(ENDINGS) and not name.startswith(("runs/", "sandbox/"))]


def _nothing_there(path: Path, here: Path) -> Fault:
    beside = [one for one in _files(here) if one.name.lower().endswith((*MANIFEST_ENDINGS, ZIP))]
    alike = [one for one in beside if one.stem.casefold() == path.stem.casefold()] or beside
    fix = typed("init", alike[0].name) if len(alike) == 1 else ""
    return Fault("there is no file and no folder of this name", where=str(path), fix=fix)


def _other_ending(path: Path) -> Fault:
    kinds = listed(sorted(MANIFEST_ENDINGS))
    what = f"a list is a {kinds} file, pictures lie in a folder or a .zip; this is none of them"
    if path.suffix.lower() not in _TEXTS:
        return Fault(what, where=str(path))
    ending = ".jsonl" if "json" in path.suffix.lower() else ".csv"
    name = path.with_suffix(ending)
    fix = f"{shlex.join(['cp', str(path), str(name)])} && {typed('init', name)}"
    return Fault(f"{what} by its name; copy it to {name.name}", where=str(path), fix=fix)


def written_path(path: Path, here: Path) -> str:
    """Write a path as a job in `here` does: relative where it lies below, else whole."""
    whole = Path(os.path.abspath(path))
    if whole.is_relative_to(os.path.abspath(here)):
        return as_listed(whole.relative_to(os.path.abspath(here)).as_posix())
    return as_listed(whole.as_posix())


def root_of(paths: list[str], beside: Path) -> Path:
    """Find the folder at which the paths in a list begin: that of the list, or one below it that has more of them."""
    asked = paths[:_ASKED]

    def there(root: Path) -> int:
        is_file = files_below(root)
        return sum(1 for path in asked if is_file(path))

    best, most = beside, there(beside)
    for folder in _folders(beside):
        if most == len(asked):
            break
        if (number := there(folder)) > most:
            best, most = folder, number
    return best


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folders below one, two levels deep."""
    seen = 0
    for pattern in ("*/", "*/*/"):
        for name in sorted(glob.glob(pattern, root_dir=root)):
            seen += 1
            if seen > _FOLDERS:
                return
            yield root / name
