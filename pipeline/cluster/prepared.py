"""The files of a first pass: what was found of each local picture of a job, and the pictures made fit ahead.

All of it can be made again for nothing, and may be removed at any time (`pipeline clean` does).

    <shared>/.prepared/<job>-<fingerprint>/list-0007.jsonl   a part of the list: paths of pictures
    <shared>/.prepared/<job>-<fingerprint>/seen-0007.jsonl   what was found of each (seen-fit-..., with `upload.fit`)
    <shared>/.prepared/<job>-<fingerprint>/ahead/            pictures as they are uploaded (sources/made_ahead.py)
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.errors import SpecError
from pipeline.journal.places import PREPARED
from pipeline.sources.looks import Verdict
from pipeline.sources.pictures import most_of
from pipeline.system.fault import Fault
from pipeline.system.wording import count

_AHEAD = "ahead"


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """A picture as it was found; `sha256` is empty where it cannot be read.

    pixels   the digest of its pixels; "" where it cannot be decoded, None where nobody looked
    fitted   why it was made fit, and is kept so; "" where it is sent as it is or not at all, None where nobody looked
    verdict  whether it can be sent; None where nobody looked
    """

    source: str
    size: int = -1
    changed_ns: int = -1
    sha256: str = ""
    pixels: str | None = None
    fitted: str | None = None
    verdict: Verdict | None = None


class Part(NamedTuple):
    """A part of the list, as it is handed to a process or a machine: paths and no secret.

    fit     whether the job makes pictures fit
    pixels  whether their pixels are digested
    ahead   whether they are made fit now, for workers to find them so
    opened  whether each is opened to tell whether it can be sent
    """

    folder: str
    number: int
    root: str
    fit: bool = False
    pixels: bool = False
    ahead: bool = False
    opened: bool = False

    @property
    def most(self) -> int:
        """The bytes that a file may have."""
        return most_of(fit=self.fit)

    @property
    def list(self) -> Path:
        """The file with its pictures."""
        return Path(self.folder) / f"list-{self.number:04}.jsonl"

    @property
    def seen(self) -> Path:
        """The file with what was found of them."""
        return Path(self.folder) / f"seen-{'fit-' if self.fit else ''}{self.number:04}.jsonl"

    @property
    def made(self) -> Path:
        """The folder of pictures made fit ahead."""
        return Path(self.folder) / _AHEAD


_PATHS = msgspec.json.Decoder(str)
_SEEN = msgspec.json.Decoder(Seen)


def folder_of(shared: Path, job: str, fingerprint: str) -> Path:
    """Return the folder of a job's first pass; another list has another one."""
    return shared / PREPARED / f"{job}-{fingerprint[:16]}"


def ahead_of(shared: Path, job: str, fingerprint: str) -> Path:
    """Return the folder of pictures that a first pass made fit; it need not be there."""
    return folder_of(shared, job, fingerprint) / _AHEAD


def died_over(part: Part, why: str = "it was killed") -> SpecError:
    """Make the error for a part that ends, each time, the process that looks at it."""
    names = list(paths_in(part.list)) or ["?"]
    what = (
        f"a process that looks at {count(len(names), 'picture')} from {names[0]!r} to {names[-1]!r} dies each time "
        f"({why}); most likely one of them takes more memory than there is. What was found of the others is kept"
    )
    return SpecError(Fault(what, where=str(part.list)))


def paths_in(file: Path) -> Iterator[str]:
    """Yield the pictures of a part; none of a file that is not there, or is none of ours."""
    return _lines(file, _PATHS)


def seen_in(file: Path) -> Iterator[Seen]:
    """Yield what was found of pictures; nothing from a file that is not there, or is none of ours."""
    return _lines(file, _SEEN)


def _lines(file: Path, decoder: "msgspec.json.Decoder[Any]") -> Iterator[Any]:
    try:
        yield from decoder.decode_lines(file.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return
