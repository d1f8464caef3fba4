"""Location, owner and texts out of a picture before it is uploaded, without touching a pixel.

A camera's JPG says where and with whose camera it was taken, and an upload is public for 9 hours. What a picture looks
like stays: colour profiles, transparency, and the direction it is to be turned. Whatever follows the end of the picture
(a phone's video, a second picture) goes, too. A file that is not understood to its end stays as it is.
"""

import re
import struct
import zlib
from collections.abc import Iterator

_JPG, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_EXIF, _ICC = b"Exif\0\0", b"ICC_PROFILE\0"
_ORIENTATION = 0x0112
_APP0, _APP1, _APP2, _APP14, _APP15, _COMMENT = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF, 0xFE
_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
# The chunks of a PNG that say how it looks, and those of an animation; of the others only what every reader must know.
_SHOWN = {
    b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI", b"sBIT", b"bKGD", b"pHYs", b"hIST", b"sPLT",
    b"acTL", b"fcTL", b"fdAT",
}  # fmt: skip


def without_metadata(data: bytes) -> bytes:
    """Return a JPG or PNG without its metadata; the same bytes where it has none, or is not whole."""
    try:
        if data.startswith(_JPG):
            return _same_or(data, _jpg_parts(data))
        if data.startswith(_PNG):
            return _same_or(data, _png_parts(data))
    except (struct.error, IndexError, ValueError):
        pass
    return data


def _same_or(data: bytes, parts: Iterator[bytes]) -> bytes:
    stripped = b"".join(parts)
    return data if stripped == data else stripped


def _jpg_parts(data: bytes) -> Iterator[bytes]:
    """Yield what stays of a JPG, with an EXIF that has the orientation alone. Raises where it is not whole."""
    head, rest, orientation = [data[:2]], [], 1
    at = 2
    while True:
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        if data[at] != 0xFF:
            raise ValueError("no marker")
        marker = data[at + 1]
        if marker == _END:
            break
        end = at + 2 if marker in _ALONE else at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        segment = data[at:end]
        if marker == _APP1 and segment[4:].startswith(_EXIF) and orientation == 1:
            orientation = _orientation(segment[4 + len(_EXIF) :])
        if marker == _SCAN:
            found = _NEXT_MARKER.search(data, end)
            if found is None:
                raise ValueError("no end")
            end = found.start()
            rest.append(data[at:end])
        elif marker == _APP0 and not rest:
            head.append(segment)
        elif _stays(marker, segment):
            rest.append(segment)
        at = end
    turned = _EXIF + _exif(orientation)
    exif = [struct.pack(">BBH", 0xFF, _APP1, len(turned) + 2) + turned] if orientation != 1 else []
    yield from (*head, *exif, *rest, data[at : at + 2])


def _stays(marker: int, segment: bytes) -> bool:
    if marker == _APP2:
        return segment[4:].startswith(_ICC)
    return marker in (_APP0, _APP14) or not (_APP0 <= marker <= _APP15 or marker == _COMMENT)


def _png_parts(data: bytes) -> Iterator[bytes]:
    """Yield what stays of a PNG. Raises where it is not whole."""
    yield _PNG
    at = len(_PNG)
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ValueError("cut off")
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
                return int(value) if kind == 3 and 2 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def orientation_of(data: bytes) -> int:
    """Return the direction in which a JPG or PNG without metadata is turned: 2 to 8, or 1 where it is upright."""
    at = data.find(_EXIF[:4] if data.startswith(_JPG) else b"eXIf", 0, 1 << 16)
    return 1 if at < 0 else _orientation(data[at + (len(_EXIF) if data.startswith(_JPG) else 4) :])


def _exif(orientation: int) -> bytes:
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)
