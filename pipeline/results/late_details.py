"""details.jsonl: the details that came after their records were written, one line an item; the last one counts."""

import contextlib
from pathlib import Path

import msgspec

from pipeline.endpoints.details import Details, PatentDetail
from pipeline.system.clock import iso
from pipeline.system.files import append_line

DETAILS = "details.jsonl"


class LateLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of details.jsonl; `details` and `designs` are those of a record."""

    item: str
    at: str  # when it was written, ISO 8601 in UTC
    details: dict[str, PatentDetail] | str
    designs: int | None = None


_LINE = msgspec.json.Decoder(LateLine)


def append(path: Path, item: str, details: Details, *, at: float) -> None:
    """Append the details of an item, durably. A line that a kill cut short is ended first, and is passed over."""
    patents = details.patents if isinstance(details.patents, str) else dict(details.patents)
    line = msgspec.json.encode(LateLine(item=item, at=iso(at), details=patents, designs=details.designs)) + b"\n"
    append_line(path, line)


def read_late(folder: Path) -> dict[str, LateLine]:
    """Read the details that came late in a run directory, by item; lines that are not whole are passed over."""
    found: dict[str, LateLine] = {}
    with contextlib.suppress(FileNotFoundError), (folder / DETAILS).open("rb") as lines:
        for line in lines:
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                one = _LINE.decode(line)
                found[one.item] = one
    return found
