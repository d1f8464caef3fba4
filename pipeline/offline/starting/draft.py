"""A job in the making: what was understood of its pictures, and what is written of it into the job file."""

import glob
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.errors import SpecError
from pipeline.offline.starting.columns import Choose, Roles, roles_of, take_first
from pipeline.offline.starting.facts import FILE, URL, files_below
from pipeline.offline.starting.names import slug
from pipeline.offline.starting.source import Source, pictures_below, root_of, written_path
from pipeline.offline.starting.table import Table, find_table
from pipeline.picture_formats import ENDINGS, SENT_ENDINGS
from pipeline.sources.archives import BadArchive, members_of
from pipeline.system.fault import Fault, typed

_EXAMPLE = "portfolio.csv"
_NAME = "portfolio"
_OWN_LABELS = "labels"  # a key of the objects in a .jsonl


@dataclass(frozen=True, slots=True)
class Options:
    """The wishes of the person who begins a job; "" where nothing is said."""

    client: str = ""
    id_column: str = ""
    picture_column: str = ""
    encoding: str = ""
    name: str = ""
    choose: Choose = take_first


@dataclass(frozen=True, slots=True)
class Draft:
    """A job as it will be written.

    entries   of `images`, each as the mapping that a job file has
    root      the folder at which paths of pictures begin, as it is written
    local     True if it has pictures that are files
    fit       True if some of these are no JPG or PNG by their endings
    table     of a list, with the parts of its columns; None for folders and zips
    example   the name of a list to be made, where there is nothing to begin from
    """

    name: str
    entries: list[dict[str, Any]]
    root: str = "."
    local: bool = False
    fit: bool = False
    table: Table | None = None
    roles: Roles | None = None
    example: str = ""
    source: Path | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def has_views(self) -> bool:
        """True if a product has several pictures."""
        return self.roles is not None and self.roles.have_views

    @property
    def labels(self) -> list[str]:
        """The labels that products will have, that of the client who was named first."""
        labels = dict.fromkeys(name for entry in self.entries for name in entry.get("labels", ()))
        of_lists = [name for entry in self.entries for name in entry.get("columns", {}).get("labels", ())]
        return list(dict.fromkeys([*labels, *of_lists]))


def draft_job(source: Source, here: Path, options: Options) -> Draft:
    """Draft the job of a list, a folder, a zip, or of nothing yet. Raises SpecError."""
    make = {"list": _of_list, "folder": _of_folder, "zip": _of_zip, "nothing": _of_nothing}[source.kind]
    draft = make(source.path, here, options)
    if options.client:
        entries = [{**entry, "labels": {"client": options.client}} for entry in draft.entries]
        draft = replace(draft, entries=entries)
    return replace(draft, name=slug(options.name) or draft.name or slug(here.resolve().name) or _NAME)


def _of_list(path: Path, here: Path, options: Options) -> Draft:
    beside = path.parent
    wanted = tuple(name for name in (options.id_column, options.picture_column) if name)
    table = find_table(path, files_below(beside), wanted=wanted, encoding=options.encoding or None)
    roles = roles_of(table, id_column=options.id_column, picture_column=options.picture_column, choose=options.choose)
    if table.sketch.has_keys and table.column(_OWN_LABELS) is not None:  # objects bring labels of their own
        roles = replace(roles, labels=[], left_out=[])
    files = [value for facts in roles.pictures if facts.kind == FILE for _, value in facts.values]
    root = root_of(files, beside) if files else here
    entry: dict[str, Any] = {"manifest": written_path(path, here)}
    sketch = table.sketch
    if sketch.sheet:
        entry["sheet"] = sketch.sheet
    elif (encoding := options.encoding or sketch.guess.encoding) != "utf-8":
        entry["encoding"] = encoding
    entry["columns"] = _columns(table, roles)
    return Draft(
        slug(path.stem),
        [entry],
        root=written_path(root, here),
        local=bool(files),
        fit=_needs_fit(files),
        table=table,
        roles=roles,
        source=path,
        notes=list(roles.notes),
    )


def _columns(table: Table, roles: Roles) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if roles.id is not None:
        columns["id"] = roles.id.name
    if roles.have_views:
        columns["views"] = [facts.name for facts in roles.pictures]
    else:
        columns[roles.pictures[0].kind or URL] = roles.pictures[0].name
    if roles.labels or not table.sketch.has_keys:
        columns["labels"] = [facts.name for facts in roles.labels]
    return columns


def _of_folder(path: Path, here: Path, options: Options) -> Draft:
    pictures = pictures_below(path)
    if not pictures:
        raise SpecError(Fault("no picture is in it", where=str(path), fix=typed("demo")))
    folder = written_path(path, here)
    if folder.startswith("/") or glob.has_magic(folder):  # a path of a job lies below its root, and may be a pattern
        root, entries = folder, [{"path": "."}]
    elif folder == ".":
        root, entries = ".", [{"path": one} for one in _parts_of(pictures)]
    else:
        root, entries = ".", [{"path": folder}]
    return Draft(slug(path.resolve().name), entries, root=root, local=True, fit=_needs_fit(pictures), source=path)


def _parts_of(pictures: list[str]) -> list[str]:
    """Name the folders with pictures in the current one, and patterns for those in it itself.

    The folder as a whole would be taken too, and with it every list and job that lies there counted as no picture.
    """
    if any(glob.has_magic(name.partition("/")[0]) for name in pictures if "/" in name):
        return ["."]
    endings = dict.fromkeys(f"*.{name.rpartition('.')[2]}" for name in pictures if "/" not in name)
    folders = dict.fromkeys(name.partition("/")[0] for name in pictures if "/" in name)
    return [*endings, *folders]


def _of_zip(path: Path, here: Path, options: Options) -> Draft:
    try:
        names = [name for name in members_of(path) if name.lower().endswith(ENDINGS)]
    except (BadArchive, OSError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise SpecError(Fault(f"the zip cannot be read: {why}", where=str(path))) from None
    if not names:
        what = "no picture is in it; unpack it, if a list is in it, and begin from the list"
        raise SpecError(Fault(what, where=str(path)))
    name = written_path(path, here)
    root, name = (written_path(path.parent, here), path.name) if name.startswith("/") else (".", name)
    return Draft(slug(path.stem), [{"path": name}], root=root, local=True, fit=_needs_fit(names), source=path)


def _of_nothing(path: Path, here: Path, options: Options) -> Draft:
    entry = {"manifest": _EXAMPLE, "columns": {"id": "id", "url": "url", "labels": ["client", "market"]}}
    return Draft("", [entry], example=_EXAMPLE)


def _needs_fit(names: list[str]) -> bool:
    return any(name.lower().endswith(ENDINGS) and not name.lower().endswith(SENT_ENDINGS) for name in names)
