"""Location, owner and texts out of a picture before it is uploaded, without touching a pixel.

A camera's JPG says where and with whose camera it was taken, and an upload is public for 9 hours. What a picture looks
like stays: colour profiles, transparency, and the direction it is to be turned. Whatever follows the end of the picture
(a phone's video, a second picture) goes, too.
"""

import re
import struct
import zlib
from collections.abc import Iterator

from pipeline.picture_formats import PNG_BEGIN

_JPG = b"\xff\xd8"
_EXIF, _ICC = b"Exif\0\0", b"ICC_PROFILE\0"
_ORIENTATION = 0x0112
_SHORT, _LONG = 3, 4  # kinds of numbers in an EXIF
_APP0, _APP1, _APP2, _APP14, _APP15, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
_SCAN, _END = 0xDA, 0xD9
_LAST = bytes([0xFF, _END])
_ALONE = {0x01, *range(0xD0, 0xDA)}  # markers without a length
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_NAMED = {_APP0: b"JFIF\0", _APP2: _ICC, _APP14: b"Adobe"}  # segments for programs that say how a picture looks
# The chunks of a PNG that say how it looks, and those of an animation; of the others only what every reader must know.
_SHOWN = {
    b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"sBIT", b"bKGD", b"pHYs", b"hIST", b"sPLT",
    b"acTL", b"fcTL", b"fdAT",
}  # fmt: skip


def without_metadata(data: bytes) -> bytes:
    """Return a JPG or PNG without its metadata; the same bytes where it has none, or where no program can show it.

    A file that is cut off or damaged behind its pixels is shown by most programs, so its metadata go as well.
    """
    try:
        if data.startswith(_JPG):
            return _same_or(data, _jpg_parts(data))
        if data.startswith(PNG_BEGIN):
            return _same_or(data, _png_parts(data))
    except (struct.error, IndexError, ValueError):
        pass
    return data


def _same_or(data: bytes, parts: Iterator[bytes]) -> bytes:
    stripped = b"".join(parts)
    return data if stripped == data else stripped


def _jpg_parts(data: bytes) -> Iterator[bytes]:
    """Yield what stays of a JPG, with an EXIF that has the orientation alone. Raises where it ends before its pixels.

    As programs that show pictures do, this passes over what stands between two segments and is none.
    """
    head, orientation, scan = [data[:2]], 1, b""
    rest: list[bytes] = []
    for marker, segment in _segments(data):
        if marker == _APP1 and segment[4:].startswith(_EXIF) and orientation == 1:
            orientation = _orientation(segment[4 + len(_EXIF) :])
        if marker == _SCAN and not scan:
            scan = segment
        if marker == _APP0 and _stays(marker, segment) and not rest:
            head.append(segment)
        elif _stays(marker, segment):
            rest.append(segment)
    if not scan:
        raise ValueError("no pixels")
    # What looks like a segment behind the pixels may have had the end in it. A file without an end stays without one.
    if rest[-1] != _LAST and _LAST in data[data.index(scan) :]:
        rest.append(_LAST)
    turned = _EXIF + _exif(orientation)
    exif = [struct.pack(">BBH", 0xFF, _APP1, len(turned) + 2) + turned] if orientation != 1 else []
    yield from (*head, *exif, *rest)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the segments of a JPG with their markers, as far as it goes; a scan has its pixels with it."""
    at = 2
    while (found := _MARKER.search(data, at)) is not None:
        at, marker = found.start(), data[found.start() + 1]
        end = at + 2
        if marker not in _ALONE:
            if at + 4 > len(data):
                return
            end += struct.unpack_from(">H", data, at + 2)[0]
        if marker == _SCAN:
            after = _NEXT_MARKER.search(data, end)
            end = len(data) if after is None else after.start()
        yield marker, data[at:end]
        if marker == _END:
            return
        at = end


def _stays(marker: int, segment: bytes) -> bool:
    if marker in _NAMED:
        return segment[4:].startswith(_NAMED[marker])
    return not (_APP0 <= marker <= _APP15 or marker == _COMMENT)


def _png_parts(data: bytes) -> Iterator[bytes]:
    """Yield what stays of a PNG. Raises where it ends before its pixels."""
    yield PNG_BEGIN
    at, has_pixels = len(PNG_BEGIN), False
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        has_pixels = has_pixels or kind == b"IDAT"
        if kind == b"eXIf":
            orientation = _orientation(data[at + 8 : end - 4])
            if orientation != 1:
                body = kind + _exif(orientation)
                yield struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        elif kind in _SHOWN or not kind[0] & 0x20:
            yield data[at:end]
        if kind == b"IEND":
            return
        at = end
    if not has_pixels:
        raise ValueError("no pixels")


def _orientation(exif: bytes) -> int:
    """Return the direction in which an EXIF says that a picture is turned, from 2 to 8; 1 where it is upright."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
            if tag == _ORIENTATION:
                if kind == _LONG:  # some programs take four bytes where two are usual
                    (value,) = struct.unpack_from(f"{order}I", exif, entry + 8)
                return int(value) if kind in (_SHORT, _LONG) and 2 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def orientation_of(data: bytes) -> int:
    """Return the direction in which a JPG or PNG without metadata is turned: 2 to 8, or 1 where it is upright."""
    at = data.find(_EXIF[:4] if data.startswith(_JPG) else b"eXIf", 0, 1 << 16)
    return 1 if at < 0 else _orientation(data[at + (len(_EXIF) if data.startswith(_JPG) else 4) :])


def _exif(orientation: int) -> bytes:
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)
