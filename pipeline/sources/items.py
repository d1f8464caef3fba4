"""The pictures a job lists as items: lazy, in order, with stable ids. A bad row becomes an item with a problem."""

from collections.abc import Callable, Iterable, Iterator
from itertools import compress
from pathlib import Path, PurePosixPath

from msgspec.structs import replace

from pipeline.errors import Code, SpecError
from pipeline.job.checks import check_id, is_loopback
from pipeline.job.images import ImageEntry
from pipeline.job.reach import check_picture_url
from pipeline.job.schema import JobSpec
from pipeline.models import BY_PATH, CONTENT, PIXELS, Item, Problem
from pipeline.picture_formats import SENT_ENDINGS
from pipeline.sources.columns import columns_written
from pipeline.sources.folders import list_path
from pipeline.sources.ids import Ids, make_id
from pipeline.sources.kept_items import kept_items
from pipeline.sources.looks import Looks, looking
from pipeline.sources.names import is_pattern, with_slashes
from pipeline.sources.pictures import MAX_BYTES, most_of
from pipeline.sources.row import ALL
from pipeline.sources.tables import Row, locate_manifest, read_rows
from pipeline.sources.urls import checked_identity, digest_of_views, identity_of_url, identity_of_views
from pipeline.system.fault import Fault
from pipeline.system.masking import without_password
from pipeline.views import MOST, fault_of_view, has_views, is_url, joined_views, local_views, views_of

PUBLIC_HINT = (
    "uploading makes a picture publicly reachable by its URL for 9 hours; write `upload: {public: true}` in the job "
    "file to allow that, or list URLs instead"
)

PUBLIC_FIX = "upload: {public: true}"


Note = Callable[[int, Row], None]  # takes the number of an entry in `images`, and a row of its manifest


def read_items(
    spec: JobSpec,
    *,
    contents: bool = True,
    hashed: bool = False,
    note: Note | None = None,
    wanted: Iterator[bool] = ALL,
) -> Iterator[Item]:
    """Yield the job's items in the order of the job file; only one row, or one folder's names, is in memory at a time.

    With `contents` local pictures are known by their bytes, so that copies of one are found; without by their paths. A
    job of many machines may ask for their paths, or for their pixels (`Firsts`), instead.
    `hashed` gives local pictures that are listed without an id one by a hash, as earlier versions did. `note` is
    called with each row of a manifest. `wanted` says of one after the other whether it is made and yielded. The items
    of a shard are read as they were kept, whatever is asked for here.
    Raises SpecError when a manifest cannot be read or a pattern names nothing.
    """
    if spec.shard is not None:
        yield from kept_items(spec.shard)
        return
    compared = "bytes" if spec.cluster is None else spec.cluster.same_picture
    contents = contents and compared != "source"
    with looking() as looks:
        for item in _listed(spec, Ids(spec, hashed=hashed), note, wanted):
            if item.picture:
                yield item
            elif contents and compared == "pixels":
                yield _by_pixels(spec, item, looks)
            else:
                yield _identified(spec, item, looks if contents else None)


def _listed(spec: JobSpec, ids: Ids, note: Note | None, wanted: Iterator[bool]) -> Iterator[Item]:
    for index, entry in enumerate(spec.images):
        origin = f"images[{index}]"
        if entry.manifest is None:
            yield from compress(_items_of(spec, entry, origin, ids), wanted)
            continue
        listing = entry.listing
        for row in read_rows(locate_manifest(spec, entry), entry, wanted):
            if note is not None:
                note(index, row)
            yield _row_item(spec, entry, row, f"{listing}:{row.place}", ids)


def _items_of(spec: JobSpec, entry: ImageEntry, origin: str, ids: Ids) -> Iterator[Item]:
    """Yield the items of an entry that is no manifest."""
    if entry.views is not None:
        source = joined_views(dict.fromkeys(view if is_url(view) else with_slashes(view) for view in entry.views))
        yield _viewed(spec, Item(entry.id or make_id(source), source, False, origin, entry.labels))
    elif entry.url is not None:
        yield Item(entry.id or ids.of_url(entry.url), entry.url, False, origin, entry.labels)
    else:
        yield from _local_items(spec, entry, origin, ids)


def _identified(spec: JobSpec, item: Item, looks: Looks | None) -> Item:
    if item.problem is not None:
        return item
    if has_views(item.source):
        return _distinct(spec, item, looks)
    if item.local:
        picture = identity_of_file(spec.root_path, item.source, looks, most_of(fit=spec.upload.fit))
    else:
        picture = identity_of_url(item.source)
    return Item(item.id, item.source, item.local, item.origin, item.labels, picture=picture)


def _distinct(spec: JobSpec, item: Item, looks: Looks | None) -> Item:
    """Leave out the views of an item that show a picture of it once more; with one left it has no views."""
    known: dict[str, str] = {}
    for view in views_of(item.source):
        known.setdefault(_identity_of_view(spec, view, looks), view)
    return _with_views(item, known.values(), identity_of_views(known))


def _with_views(item: Item, views: Iterable[str], picture: str, own: str = "") -> Item:
    source = joined_views(views)
    local = bool(local_views(source))
    return Item(item.id, source, local, item.origin, item.labels, picture=picture, own=own)


def _identity_of_view(spec: JobSpec, view: str, looks: Looks | None) -> str:
    if is_url(view):
        return identity_of_url(view)
    return identity_of_file(spec.root_path, view, looks, most_of(fit=spec.upload.fit))


def _by_pixels(spec: JobSpec, item: Item, looks: Looks) -> Item:
    """Identify an item by the pixels of its picture, and of each of its views; by bytes what cannot be decoded."""
    if item.problem is not None or not item.local:
        return _identified(spec, item, looks)
    known: dict[str, tuple[str, str]] = {}
    for view in views_of(item.source):
        own = _identity_of_view(spec, view, looks)
        pixels = looks.pixels(spec.root_path, view, fit=spec.upload.fit) if own.startswith(CONTENT) else None
        known.setdefault(f"{PIXELS}{pixels}" if pixels else own, (view, own))
    views, owns = zip(*known.values(), strict=True)
    if not any(key.startswith(PIXELS) for key in known):
        return _with_views(item, views, identity_of_views(known))
    picture = next(iter(known)) if len(known) == 1 else f"{PIXELS}{joined_views(known)}"
    return _with_views(item, views, picture, digest_of_views(owns))


def _viewed(spec: JobSpec, item: Item) -> Item:
    """Complete an item with views: whether any is a file, and what forbids to send it."""
    files = local_views(item.source)
    for view in files:
        require_inside(view, f"{item.origin}.views")
    return replace(item, local=bool(files), problem=_upload_problem(spec) if files else None)


def may_upload(spec: JobSpec) -> bool:
    """Return whether local pictures may be uploaded to the job's vendor."""
    return spec.upload.public or spec.sandbox or is_loopback(spec.api.base_url)


def require_inside(path: str, field: str) -> None:
    """Raise SpecError, naming `field`, when a path is absolute or climbs out of the job's root."""
    pure = PurePosixPath(with_slashes(path))
    has_drive = len(path) > 1 and path[1] == ":"  # C:\..., which is absolute on Windows alone
    if has_views(path):
        raise SpecError(Fault(f"{path!r} begins as the text of several views does; rename the file", where=field))
    if pure.is_absolute() or ".." in pure.parts or "\0" in path or has_drive:
        what = f"{path!r} leaves the job's root; use a relative path without `..`, or set `root:`"
        raise SpecError(Fault(what, where=field))


def nothing_in(spec: JobSpec, entry: ImageEntry, field: str) -> Fault:
    """Say that a pattern, a folder or a zip names no picture."""
    assert entry.path is not None
    is_one = not is_pattern(entry.path, spec.root_path)
    what = f"no picture in {entry.path}" if is_one else f"no file matches {entry.path} in {spec.root_path}"
    return Fault(what, where=field)


def _local_items(spec: JobSpec, entry: ImageEntry, origin: str, ids: Ids) -> Iterator[Item]:
    assert entry.path is not None
    require_inside(entry.path, f"{origin}.path")
    listed = list_path(spec, entry.path)
    if listed is None:
        source = PurePosixPath(with_slashes(entry.path)).as_posix()
        yield Item(entry.id or ids.of_file(source), source, True, origin, entry.labels, _upload_problem(spec))
        return
    for name in listed.pictures:
        yield _matched_item(spec, entry, name, origin, ids)
    if not listed.pictures:
        raise SpecError(nothing_in(spec, entry, f"{origin}.path"))


def _matched_item(spec: JobSpec, entry: ImageEntry, name: str, origin: str, ids: Ids) -> Item:
    readable = name.encode("utf-8", "backslashreplace").decode()
    if name == readable:
        return Item(ids.of_file(name), name, True, origin, entry.labels, _upload_problem(spec))
    message = f"{readable}: the name of this file is not UTF-8 text; rename it"
    problem = Problem("read", Code.BAD_NAME, message, "fail", False)
    return Item(ids.of_file(name), readable, True, origin, entry.labels, problem)


def _row_item(spec: JobSpec, entry: ImageEntry, row: Row, origin: str, ids: Ids) -> Item:
    source = row.url or with_slashes(row.path)
    labels = row.labels or {}
    if entry.labels:
        labels = entry.labels | labels
    views: tuple[str, ...] = ()
    if row.view_labels and spec.search.TAKES_VIEWS:
        labels = {name: text for name, text in labels.items() if name not in row.view_labels}
        views = tuple(view if is_url(view) else with_slashes(view) for view in row.views)
        source = joined_views(dict.fromkeys(views)) if views else source
    # A row without a usable id is named by its origin, so that two of them never share an id.
    item_id, fault, picture = origin, row.fault, ""
    if not fault:
        try:
            if row.id:
                item_id = check_id(row.id)
            picture = _checked_source(row, entry, views)
            item_id = row.id or _made_id(source, ids)
        except (ValueError, SpecError) as exc:
            fault = str(exc)
    if fault:
        problem = Problem("read", Code.BAD_ROW, without_password(f"{origin}: {fault}"), "fail", False)
        return Item(item_id, without_password(source), False, origin, labels, problem)
    if picture:  # most rows, so that they are made once
        return Item(item_id, source, False, origin, labels, None, picture)
    local = bool(local_views(source)) if views else not row.url
    return Item(item_id, source, local, origin, labels, _upload_problem(spec) if local else None)


def _made_id(source: str, ids: Ids) -> str:
    if has_views(source):
        return make_id(source)
    return ids.of_url(source) if is_url(source) else ids.of_file(source)


def _checked_source(row: Row, entry: ImageEntry, views: tuple[str, ...]) -> str:
    """Check what a row names; return the identity of a picture at a URL, and "" for files and views.

    Raises ValueError or SpecError that says what is wrong.
    """
    if views:
        _check_views(row, views)
        return ""
    if (url := row.url) and not row.path:
        if "://" not in url and with_slashes(url).lower().endswith(SENT_ENDINGS):
            raise ValueError(f"{url[:60]!r} is a path in the column of URLs; say `{_as(path=entry.columns.url)}`")
        return checked_identity(url)
    if url or not row.path:
        raise ValueError("a row names one of url and path" + ("; this one names both" if url else ""))
    if row.path.lower().startswith(("http://", "https://")):
        raise ValueError(f"{row.path[:60]!r} is a URL in the column of paths; say `{_as(url=entry.columns.path)}`")
    require_inside(row.path, "path")
    return ""


def _check_views(row: Row, views: tuple[str, ...]) -> None:
    if row.url or row.path:
        raise ValueError("a row names one of url, path and views; this one names more")
    if len(views) > MOST:
        raise ValueError(f"{len(views)} views; the vendor takes at most {MOST} of one product")
    for view in views:
        if fault := fault_of_view(view):
            raise ValueError(fault)
        if is_url(view):
            check_picture_url(view)
        else:
            require_inside(view, "views")


def _as(**columns: object) -> str:
    """Write what says which column is which."""
    return columns_written(columns)


def _upload_problem(spec: JobSpec) -> Problem | None:
    """Return why a local picture cannot be sent; None when it can."""
    if may_upload(spec):
        return None
    return Problem("read", Code.NOT_PUBLIC, f"this local picture was not sent: {PUBLIC_HINT}", "fail", False)


def identity_of_file(root: Path, source: str, looks: Looks | None, most: int = MAX_BYTES) -> str:
    """Return the identity of a local picture: its bytes, or without `looks`, or where it cannot be read, its path."""
    digest = looks.digest(root, source, most) if looks is not None else None
    return f"{CONTENT}{digest}" if digest else f"{BY_PATH}{PurePosixPath(source).as_posix()}"
