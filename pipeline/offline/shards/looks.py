"""Looks at the shards of a run that are kept, so that a further status reads only the shards that changed since.

A look counts as long as its shard's files bear the same signature, nobody works on it, and no time has passed at which
something in it expires. It is kept in the person's cache folder, or beside a worker's own words about itself for all
machines. Looks that cannot be read, or kept, are no error: the shards are read.
"""

import contextlib
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import msgspec

from pipeline.cluster.layout import WORKERS
from pipeline.journal.kept_files import digest_of
from pipeline.journal.signature import Signature, signature_of
from pipeline.offline.status import Look, Status, look_at
from pipeline.run.directory import is_free, is_locked
from pipeline.system.drafts import SHARED_S, sweep
from pipeline.system.files import write_whole
from pipeline.system.folders import cache_folder
from pipeline.system.mounts import network_file_system
from pipeline.version import __version__

LOOKS = "looks"  # beside what a worker tells of itself

_FORM = f"{__version__}/2"  # another number where the same files would be read as something else
_CHECK_BYTES = 16


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A look at the run directory of a shard, as it is kept."""

    run: str  # such as 0042/e7
    named: str  # the run that its words name; "" where they name none
    marks: bytes  # the signature of the files that it was read from
    since: float  # the time of the look, in seconds since the epoch
    until: float  # see Look
    status: Status


class _File(msgspec.Struct, frozen=True, array_like=True):
    form: str
    looks: list[Kept]


_DECODER = msgspec.msgpack.Decoder(_File)


class Looks:
    """The looks at the shards of one run; those that are new are kept once they are written."""

    def __init__(self, folder: Path, *, named: Path, now: float, cache: Path | None = None) -> None:
        """Take up what is kept of the run in `folder`, in the folder `cache` (by default the user's), or by workers.

        Words speak of the run as `named`: where that is an archive, nothing is kept of the folder it was taken out to.
        """
        cache = (cache or cache_folder()) if named == folder else None
        self._named = named
        self._now = now
        self._remote = network_file_system(folder) is not None
        self._file = None if cache is None else cache / LOOKS / digest_of(folder)
        own = [] if self._file is None else [self._file]
        self._known: dict[str, list[Kept]] = {}
        for kept in read_looks([*own, *sorted((folder / WORKERS).glob(f"*/{LOOKS}"))]):
            self._known.setdefault(kept.run, []).append(kept)
        self._now_there: dict[str, Kept] = {}
        self._is_new = False

    def status(self, run: Path, *, held: bool) -> Status:
        """Return the status of a shard's run directory; `held` where another machine works on it. Raises as a look."""
        name = _name_of(run)
        before = None if held else signature_of(run, remote=self._remote)
        for kept in self._known.get(name, ()):
            if before is not None and self._counts(kept, before) and (is_free(run) or not is_locked(run)):
                self._now_there[name] = kept
                return kept.status
        look = look_at(run, named=self._named, held=held, now=self._now)
        if (new := keep(run, look, before, named=self._named, now=self._now)) is not None:
            self._now_there[name], self._is_new = new, True
        return look.status

    def _counts(self, kept: Kept, found: Signature) -> bool:
        named = kept.named in ("", str(self._named))
        return named and kept.marks == found.marks and kept.since <= self._now < kept.until

    def write(self) -> None:
        """Keep what is new in the cache folder, and forget what is no more; never raises for want of a place."""
        if self._is_new and self._file is not None:
            with contextlib.suppress(OSError):
                self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                sweep(self._file.parent, [r"[0-9a-f]{16}"], older_s=SHARED_S)
                write_looks(self._file, self._now_there.values(), several_writers=True)


def keep(run: Path, look: Look, before: Signature | None, *, named: Path, now: float) -> Kept | None:
    """Return what may be kept of a look that began when the files bore the signature `before`; None for nothing.

    A file that changed meanwhile has another one for good, so that such a look never counts.
    """
    if before is None or look.until <= now or not before.is_proof(now=now):
        return None
    words = str(named) if look.status.open_items or look.status.page else ""
    return Kept(_name_of(run), words, before.marks, now, look.until, look.status)


def _name_of(run: Path) -> str:
    return f"{run.parent.name}/{run.name}"


def read_looks(files: Iterable[Path]) -> Iterator[Kept]:
    """Yield the looks in these files; one that is torn, or of another version, is passed over."""
    for file in files:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            data = file.read_bytes()
            if _check(data[_CHECK_BYTES:]) == data[:_CHECK_BYTES]:
                found = _DECODER.decode(data[_CHECK_BYTES:])
                yield from found.looks if found.form == _FORM else []


def write_looks(file: Path, looks: Iterable[Kept], *, several_writers: bool) -> None:
    """Replace a file of looks. Raises OSError."""
    body = msgspec.msgpack.encode(_File(_FORM, list(looks)))
    write_whole(file, [_check(body), body], durable=False, several_writers=several_writers)


def _check(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECK_BYTES).digest()
