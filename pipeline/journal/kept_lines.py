"""The lines of an emergency file: records and tasks that are paid, and creates that provably were not executed.

    {"crc32":2768625435,"record":{...}}         a record's line, byte for byte but for its line break
    {"crc32":3184512091,"task":{...}}           a task whose report is awaited
    {"crc32":1184561822,"not_executed":{...}}   a create whose intent is on disk though the vendor did nothing

The CRC-32 is that of the record's line with its line break, or of the inner object. Earlier versions wrote records
alone and without a check; these are read as they stand.
"""

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from pipeline.models import Calls
from pipeline.reports import PaidTask
from pipeline.system.checksum import RecordLine, crc32

_CHECKED = re.compile(rb'\{"crc32":([0-9]{1,10}),"(record|task|not_executed)":(.*)\}', re.DOTALL)

_log = logging.getLogger(__name__)


class NotExecuted(msgspec.Struct, frozen=True):
    """A create that the vendor provably did not execute: its item, its request id, and the calls spent on the item."""

    item: str
    request_id: str
    calls: Calls


Kept = bytes | RecordLine | NotExecuted | PaidTask
Found = bytes | NotExecuted | PaidTask
_DECODERS: dict[bytes, msgspec.json.Decoder[NotExecuted] | msgspec.json.Decoder[PaidTask]] = {
    b"not_executed": msgspec.json.Decoder(NotExecuted),
    b"task": msgspec.json.Decoder(PaidTask),
}


def parts_of(kept: Kept) -> list[bytes]:
    """Write one line, in parts so that hits need not be copied: memory may be short."""
    if isinstance(kept, NotExecuted | PaidTask):
        body = msgspec.json.encode(kept)
        name = b"task" if isinstance(kept, PaidTask) else b"not_executed"
        return [b'{"crc32":%d,"%s":' % (crc32(body), name), body, b"}\n"]
    crc, pieces = (crc32(kept), (kept,)) if isinstance(kept, bytes) else (kept.crc, kept.parts)
    *first, last = pieces
    return [b'{"crc32":%d,"record":' % crc, *first, last.removesuffix(b"\n"), b"}\n"]


def kept_in(files: Iterable[Path]) -> Iterator[Found]:
    """Read the lines of emergency files, one at a time: they may hold all that a run has written.

    Those that are not what was written are logged and left out.
    """
    for path in files:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not (body := line.strip(b"\n")):
                    continue
                if not body.startswith(b'{"crc32":'):
                    yield body + b"\n"
                elif (kept := _read(body)) is not None:
                    yield kept
                else:
                    _log.warning("emergency.line_refused %s:%s is not what was written", path.name, number)


def kept_lines(files: Iterable[Path]) -> Iterator[bytes]:
    """Read the records of emergency files, or of a results.jsonl, one line at a time."""
    return (line for line in kept_in(files) if isinstance(line, bytes))


def _read(line: bytes) -> Found | None:
    found = _CHECKED.fullmatch(line)
    if found is None:
        return None
    crc, kind, body = int(found[1]), found[2], found[3]
    if kind == b"record":
        record = body + b"\n"
        return record if crc32(record) == crc else None
    if crc32(body) != crc:
        return None
    try:
        return _DECODERS[kind].decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
