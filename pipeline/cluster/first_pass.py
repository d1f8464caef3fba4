"""A first pass over the local pictures of a job, by all cores here or of a Ray cluster: what needs processors is done.

It digests their bytes, and their pixels where a job compares these, for the split; it makes them fit ahead of their
upload, for the workers; it opens them, for a check. It is free and may be repeated: each part of the list is looked
over by whoever takes it, into a file of a fixed name that is replaced as a whole. Two that do the same part write the
same bytes. A part is done again where a picture of it has changed.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from pipeline.cluster.all_cores import on_all_cores
from pipeline.cluster.prepared import Part, Seen, folder_of, paths_in, seen_in
from pipeline.job.schema import JobSpec
from pipeline.sources import fitting
from pipeline.sources.check import fingerprint
from pipeline.sources.decoding import PictureRefused
from pipeline.sources.items import read_items
from pipeline.sources.looks import Looks, verdict_on
from pipeline.sources.made_ahead import MadeAhead
from pipeline.sources.pictures import read_inside, stamp_of
from pipeline.sources.pixels import pixels_of
from pipeline.sources.stamps import Stamp
from pipeline.system.files import write_whole
from pipeline.views import local_views

_OF_A_PART = 1_000  # pictures
_TRIES = 3  # for a picture that changes while it is read


class Prepared(NamedTuple):
    """The outcome of a first pass, or of a part of it, in pictures.

    read     that were read now, and not known before
    ahead    that lie ready for their upload, made fit
    no_room  that would, had the shared folder room for them
    """

    pictures: int = 0
    unreadable: int = 0
    read: int = 0
    ahead: int = 0
    no_room: int = 0

    def plus(self, other: "Prepared") -> "Prepared":
        """Return both together."""
        return Prepared(*(one + another for one, another in zip(self, other, strict=True)))


Spread = Callable[[Callable[[Part], Prepared], Iterable[Part]], Iterator[Prepared]]


def prepare(
    spec: JobSpec,
    shared: Path,
    *,
    ahead: bool = False,
    opened: bool = False,
    spread: Spread | None = None,
    watch: Callable[[int], None] | None = None,
) -> Prepared:
    """Look over the local pictures of a job, on all cores of this machine or as `spread` does; note here what they are.

    With `ahead` they are made fit for the workers, where the job says so, with `opened` judged as `check` does. `watch`
    is told how many were looked at. Raises SpecError as `read_items` does, and for a part that ends each process which
    looks at it, OSError where the folder that machines share cannot be written.
    """
    compared = "bytes" if spec.cluster is None else spec.cluster.same_picture
    ahead = ahead and spec.upload.fit
    if compared == "source" and not ahead and not opened:
        return Prepared()  # nobody asks what they show
    folder = folder_of(shared, spec.name, fingerprint(spec))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    as_asked = Part(str(folder), 0, str(spec.root_path), spec.upload.fit, compared == "pixels", ahead, opened)
    parts = _list_parts(spec, as_asked)
    done = Prepared()
    for one in (spread or on_all_cores)(look_over, parts):
        done = done.plus(one)
        if watch is not None:
            watch(done.pictures)
    _learn(spec.root_path, parts)
    return done


def look_over(part: Part) -> Prepared:
    """Look over a part."""
    made = MadeAhead(part.made)
    known = {seen.source: seen for seen in seen_in(part.seen)}
    found, anew = [], 0
    for source in paths_in(part.list):
        before = known.get(source)
        if before is None or not _is_known(before, part, made):
            before, anew = _look(source, before, part, made), anew + 1
        found.append(before)
    if anew:
        write_whole(part.seen, (msgspec.json.encode(seen) + b"\n" for seen in found), several_writers=True)
    return Prepared(
        pictures=len(found),
        unreadable=sum(not seen.sha256 for seen in found),
        read=anew,
        ahead=sum(bool(seen.fitted) for seen in found) if part.ahead else 0,
        no_room=sum(bool(seen.sha256) and seen.fitted is None for seen in found) if part.ahead else 0,
    )


def _list_parts(spec: JobSpec, as_asked: Part) -> list[Part]:
    """Write the list of local pictures in parts, the same however often."""
    local = (item for item in read_items(spec, contents=False) if item.local and item.problem is None)
    sources = list(dict.fromkeys(source for item in local for source in local_views(item.source)))
    parts = []
    for number, start in enumerate(range(0, len(sources), _OF_A_PART)):
        some = sources[start : start + _OF_A_PART]
        part = as_asked._replace(number=number)
        write_whole(part.list, (msgspec.json.encode(source) + b"\n" for source in some), several_writers=True)
        parts.append(part)
    return parts


def _is_known(seen: Seen, part: Part, made: MadeAhead) -> bool:
    """Return whether all that is asked of a picture was found, and it is as it was."""
    if not seen.sha256 or _stamp(Path(part.root), seen.source) != (seen.size, seen.changed_ns):
        return False
    if (part.pixels and seen.pixels is None) or (part.opened and seen.verdict is None):
        return False
    return not part.ahead or (seen.fitted is not None and (not seen.fitted or made.has(seen.sha256)))


def _look(source: str, before: Seen | None, part: Part, made: MadeAhead) -> Seen:
    root = Path(part.root)
    for _ in range(_TRIES):
        stamp = _stamp(root, source)
        try:
            data = read_inside(root, source, part.most)
        except PictureRefused:
            break
        if stamp is not None and stamp == _stamp(root, source):
            sha256 = hashlib.sha256(data).hexdigest()
            same = before is not None and before.sha256 == sha256
            seen = (
                replace(before, size=stamp[0], changed_ns=stamp[1]) if before and same else Seen(source, *stamp, sha256)
            )
            return _found(data, seen, part, made)
    return Seen(source)


def _found(data: bytes, seen: Seen, part: Part, made: MadeAhead) -> Seen:
    """Find out what is asked of a picture and was not known."""
    if part.pixels and seen.pixels is None:
        seen = replace(seen, pixels=_pixels(data, fit=part.fit))
    if part.opened and seen.verdict is None:
        seen = replace(seen, verdict=verdict_on(data, fit=part.fit))
    if part.ahead:
        seen = replace(seen, fitted=_make_fit(data, seen.sha256, made))
    return seen


def _pixels(data: bytes, *, fit: bool) -> str:
    try:
        return pixels_of(data, fit=fit)
    except PictureRefused:
        return ""


def _make_fit(data: bytes, sha256: str, made: MadeAhead) -> str | None:
    try:
        fitted = made.find(sha256) or fitting.fit(data)
    except PictureRefused:
        return ""
    return fitted.why if not fitted.why or made.keep(sha256, fitted) else None


def _stamp(root: Path, source: str) -> tuple[int, int] | None:
    """Return size and time of change, which all machines see alike; devices and inodes they may not."""
    stamp = _whole_stamp(root, source)
    return None if stamp is None else (stamp.size, stamp.changed_ns)


def _learn(root: Path, parts: Iterable[Part]) -> None:
    """Note all that was found in this machine's own cache, where split and check look."""
    looks = Looks()
    try:
        for part in parts:
            for seen in seen_in(part.seen):
                stamp = _whole_stamp(root, seen.source) if seen.sha256 else None
                if stamp is not None and (stamp.size, stamp.changed_ns) == (seen.size, seen.changed_ns):
                    _note(looks, stamp, seen, fit=part.fit)
    finally:
        looks.close()


def _note(looks: Looks, stamp: Stamp, seen: Seen, *, fit: bool) -> None:
    looks.note_digest(stamp, seen.sha256)
    if seen.pixels:
        looks.note_pixels(stamp, seen.pixels, fit=fit)
    if seen.verdict is not None and looks.verdict(stamp, fit=fit) is None:
        looks.note_verdict(stamp, seen.verdict, fit=fit)


def _whole_stamp(root: Path, source: str) -> Stamp | None:
    try:
        return stamp_of(root, source)
    except (OSError, RuntimeError, ValueError):
        return None
