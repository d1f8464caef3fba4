"""The store of leases by its place: a folder, or a bucket."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import SpecError
from pipeline.leases.folder_store import FolderStore
from pipeline.leases.store import OF_VERSION, VERSION, Store, StoreUnknown, body_of, put_mine
from pipeline.system.fault import Fault

_BUCKET = re.compile(r"(s3|s3a|gs|az|azure|abfs|abfss|memory)://.*")


def open_store(place: str, folder: Path | None = None, *, say: Callable[[str], None] = lambda _: None) -> Store:
    """Open the store at a place: a folder that exists, from `folder` on, or s3://, gs:// or az:// with a bucket.

    Where it is the first to open it, `say` is told so: on a machine without the right mount it would be the wrong one.
    Raises SpecError where it cannot be used: no such folder, not writable, another version, a missing extra.
    """
    where = shown(place)
    store = _bucket(place) if is_bucket(place) else FolderStore.open((folder or Path()) / Path(place).expanduser())
    try:
        if store.read(OF_VERSION, 1) is None and put_mine(store, OF_VERSION, 1, {"format": VERSION}):
            say(f"{where}: leases begin here; every machine that shares the account must see this same place")
        there = store.read(OF_VERSION, 1)
    except StoreUnknown as error:
        raise SpecError(Fault(f"the store of leases cannot be used: {error}", where=where)) from error
    version = body_of(there or b"").get("format")
    if version != VERSION:
        what = f"the store of leases is of version {version}, this program knows version {VERSION}"
        if isinstance(version, int) and version < VERSION:  # what lives there would not see us, nor we what lives there
            what = f"{what}; let all runs there end with the program that began them, then name a new place for all"
            raise SpecError(Fault(what, where=where))
        raise SpecError(Fault(f"{what}; use one version of the program on all machines", where=where))
    return store


def is_bucket(place: str) -> bool:
    """Return whether a place is a bucket's address, and no folder."""
    return _BUCKET.fullmatch(place) is not None


def shown(place: str) -> str:
    """Return a place without what may be a password or a signature in a bucket's address."""
    if not is_bucket(place):
        return place
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _bucket(place: str) -> Store:
    try:
        from pipeline.leases.object_store import ObjectStore
    except ModuleNotFoundError as error:
        what = "a store of leases in a bucket needs the library obstore, which is not installed"
        fix = "pip install 'infringement-pipeline[cluster]'"
        raise SpecError(Fault(what, where=shown(place), fix=fix)) from error
    return ObjectStore.open(place, shown(place))
