"""A first pass over the local pictures of a job: their digests, by all cores here or of a Ray cluster, for the split.

It is free and may be repeated: each part of the list is looked over by whoever takes it, into a file of a fixed name
that is replaced as a whole. Two that do the same part write the same bytes. A part is done again where a picture of it
has changed.

    <shared>/.prepared/<job>-<fingerprint>/list-0007.jsonl   a part of the list: paths of pictures
    <shared>/.prepared/<job>-<fingerprint>/seen-0007.jsonl   what was found of each of them
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.job.schema import JobSpec
from pipeline.sources.check import fingerprint
from pipeline.sources.items import read_items
from pipeline.sources.looks import Looks
from pipeline.sources.pictures import digest_of, most_of, stamp_of
from pipeline.sources.stamps import Stamp
from pipeline.system.files import write_whole
from pipeline.views import local_views

PREPARED = ".prepared"
_OF_A_PART = 1_000  # pictures
_TRIES = 3  # for a picture that changes while it is read
_AHEAD = 2  # parts that wait for each process


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """A picture as it was found; `sha256` is empty where it cannot be read."""

    source: str
    size: int = -1
    changed_ns: int = -1
    sha256: str = ""


class Part(NamedTuple):
    """A part of the list, as it is handed to a process or a machine."""

    folder: str
    number: int
    root: str
    most: int  # bytes of a picture

    @property
    def list(self) -> Path:
        """The file with its pictures."""
        return Path(self.folder) / f"list-{self.number:04}.jsonl"

    @property
    def seen(self) -> Path:
        """The file with what was found of them."""
        return Path(self.folder) / f"seen-{self.number:04}.jsonl"


class Prepared(NamedTuple):
    """The outcome of a first pass."""

    pictures: int
    unreadable: int
    read: int  # that were read now, and not known before


Spread = Callable[[Callable[[Part], tuple[int, int, int]], Iterable[Part]], Iterator[tuple[int, int, int]]]
_PATHS = msgspec.json.Decoder(str)
_SEEN = msgspec.json.Decoder(Seen)


def prepare(
    spec: JobSpec, shared: Path, *, spread: Spread | None = None, watch: Callable[[int], None] | None = None
) -> Prepared:
    """Look over the local pictures of a job, on all cores of this machine or as `spread` does; note here what they are.

    `watch` is told how many pictures were looked at. Raises SpecError as `read_items` does, OSError where the folder
    that machines share cannot be written.
    """
    folder = shared / PREPARED / f"{spec.name}-{fingerprint(spec)[:16]}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    parts = _list_parts(spec, folder)
    pictures = unreadable = read = 0
    for looked, bad, anew in (spread or _on_all_cores)(look_over, parts):
        pictures, unreadable, read = pictures + looked, unreadable + bad, read + anew
        if watch is not None:
            watch(pictures)
    _learn(spec.root_path, parts)
    return Prepared(pictures, unreadable, read)


def look_over(part: Part) -> tuple[int, int, int]:
    """Look over a part; return its pictures, those that cannot be read, and those that were read now."""
    root = Path(part.root)
    known = {seen.source: seen for seen in _lines(part.seen, _SEEN)}
    found, anew = [], 0
    for source in _lines(part.list, _PATHS):
        before = known.get(source)
        if before is None or not before.sha256 or _stamp(root, source) != (before.size, before.changed_ns):
            before, anew = _look(root, source, part.most), anew + 1
        found.append(before)
    if anew:
        write_whole(part.seen, (msgspec.json.encode(seen) + b"\n" for seen in found), several_writers=True)
    return len(found), sum(not seen.sha256 for seen in found), anew


def _list_parts(spec: JobSpec, folder: Path) -> list[Part]:
    """Write the list of local pictures in parts, the same however often."""
    local = (item for item in read_items(spec, contents=False) if item.local and item.problem is None)
    sources = list(dict.fromkeys(source for item in local for source in local_views(item.source)))
    parts = []
    for number, start in enumerate(range(0, len(sources), _OF_A_PART)):
        some = sources[start : start + _OF_A_PART]
        part = Part(str(folder), number, str(spec.root_path), most_of(fit=spec.upload.fit))
        write_whole(part.list, (msgspec.json.encode(source) + b"\n" for source in some), several_writers=True)
        parts.append(part)
    return parts


def _look(root: Path, source: str, most: int) -> Seen:
    for _ in range(_TRIES):
        before = _stamp(root, source)
        sha256 = digest_of(root, source, most) if before else None
        if before and sha256 and before == _stamp(root, source):
            return Seen(source, *before, sha256)
    return Seen(source)


def _stamp(root: Path, source: str) -> tuple[int, int] | None:
    """Return size and time of change, which all machines see alike; devices and inodes they may not."""
    stamp = _whole_stamp(root, source)
    return None if stamp is None else (stamp.size, stamp.changed_ns)


def _learn(root: Path, parts: Iterable[Part]) -> None:
    """Note all that was found in this machine's own cache, where the split looks."""
    looks = Looks()
    try:
        for part in parts:
            for seen in _lines(part.seen, _SEEN):
                stamp = _whole_stamp(root, seen.source) if seen.sha256 else None
                if stamp is not None and (stamp.size, stamp.changed_ns) == (seen.size, seen.changed_ns):
                    looks.note_digest(stamp, seen.sha256)
    finally:
        looks.close()


def _whole_stamp(root: Path, source: str) -> Stamp | None:
    try:
        return stamp_of(root, source)
    except (OSError, RuntimeError, ValueError):
        return None


def _lines(file: Path, decoder: "msgspec.json.Decoder[Any]") -> Iterator[Any]:
    """Yield the lines of a file; none of one that is not there, or is none of ours."""
    try:
        yield from decoder.decode_lines(file.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return


def _on_all_cores(
    function: Callable[[Part], tuple[int, int, int]], parts: Iterable[Part]
) -> Iterator[tuple[int, int, int]]:
    workers = os.cpu_count() or 1
    ahead = iter(parts)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        going: set[Future[tuple[int, int, int]]] = {
            pool.submit(function, one) for one in islice(ahead, workers * _AHEAD)
        }
        while going:
            done, going = wait(going, return_when=FIRST_COMPLETED)
            for one in done:
                yield one.result()
            going |= {pool.submit(function, one) for one in islice(ahead, len(done))}
