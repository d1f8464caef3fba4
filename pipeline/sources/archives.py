"""Zip archives, read in place: nothing in them is ever unpacked to a disk, and no size that they claim is believed.

A picture in one has a name of its own: `photos.zip!/front/a.jpg` is the member `front/a.jpg` of `photos.zip`.
"""

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from pipeline.job.checks import ZIP
from pipeline.sources.stamps import Stamp

_BETWEEN = "!/"  # an archive and its member
_MEMBER = re.compile(re.escape(ZIP + _BETWEEN), re.IGNORECASE)
_CHUNK = 1 << 18
_MOST_OF_A_LIST = 64 << 20  # bytes of an archive's own table; a million names take about as much
_TABLE = b"PK\x05\x06"
_LARGE_TABLE = b"PK\x06\x06"
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _IS_UTF8 = 0x1, 0x800


class BadArchive(Exception):
    """An archive, or a member of one, that cannot be read, with the reason as its text."""


class Member(NamedTuple):
    """A file in an archive, as its table names it."""

    name: str
    size: int  # as the archive claims
    packed: int
    crc: int
    method: int
    encrypted: bool
    offset: int  # of its header in the file
    several: bool = False  # whether the archive has others of this name, with other bytes


def member_name(archive: str, member: str) -> str:
    """Name a member of an archive as jobs and journals do."""
    return f"{archive}{_BETWEEN}{member}"


def split_name(source: str) -> tuple[str, str] | None:
    """Split the name of a picture in an archive into archive and member; None for another file's name."""
    found = _MEMBER.search(source, 1)
    return (source[: found.start() + len(ZIP)], source[found.end() :]) if found is not None else None


def parts_of_name(source: str) -> list[str]:
    """Return the folders and files along the way to a picture, in an archive or not."""
    return source.replace(_BETWEEN, "/").split("/")


def leaves_its_archive(member: str) -> bool:
    """Return whether a member's name would leave the folder that it is unpacked to, which no sound one does."""
    path = PurePosixPath(member)
    return path.is_absolute() or ".." in path.parts or member[1:2] == ":" or not member.isprintable()


def members_of(path: Path) -> dict[str, Member]:
    """List the files in an archive by their names. Raises OSError and BadArchive."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadArchive("it is no regular file")
    return _listed(path, Stamp.of(status))


@lru_cache(maxsize=4)  # each picture of an archive asks
def _listed(path: Path, stamp: Stamp) -> dict[str, Member]:
    with path.open("rb") as file:
        _refuse_long_tables(file, stamp.size)
        try:
            with zipfile.ZipFile(file) as archive:
                infos = [info for info in archive.infolist() if not info.filename.endswith("/")]
        except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as exc:
            raise BadArchive(f"no whole zip archive ({str(exc)[:80]})") from None
    members: dict[str, Member] = {}
    for info in infos:
        if name := _name(info).replace("\\", "/"):
            member, known = _member(name, info), members.get(name)
            others = known is not None and (known.several or (known.size, known.crc) != (member.size, member.crc))
            members[name] = member._replace(several=others)
    return members


def _member(name: str, info: zipfile.ZipInfo) -> Member:
    encrypted = bool(info.flag_bits & _ENCRYPTED)
    return Member(name, info.file_size, info.compress_size, info.CRC, info.compress_type, encrypted, info.header_offset)


def _name(info: zipfile.ZipInfo) -> str:
    """Read a name as it was meant: without a mark for UTF-8 it is UTF-8 all the same, or a Chinese Windows wrote it."""
    if info.flag_bits & _IS_UTF8:
        return info.filename.encode("utf-8", "replace").decode()
    raw = info.filename.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return info.filename


def _refuse_long_tables(file: BinaryIO, size: int) -> None:
    """Refuse an archive whose table alone would fill the memory. Raises BadArchive."""
    file.seek(max(0, size - (1 << 16) - 100))
    tail = file.read()
    large = tail.rfind(_LARGE_TABLE)
    at = tail.rfind(_TABLE)
    long = struct.unpack_from("<Q", tail, large + 40)[0] if 0 <= large <= len(tail) - 48 else 0
    short = struct.unpack_from("<I", tail, at + 12)[0] if 0 <= at <= len(tail) - 16 else 0
    if max(long, 0 if short == 0xFFFFFFFF else short) > _MOST_OF_A_LIST:
        raise BadArchive("the archive lists more than a million files")
    file.seek(0)


def chunks_of(file: BinaryIO, member: Member, *, most: int) -> Iterator[bytes]:
    """Yield a member's bytes, and at most `most` and a chunk more. Raises OSError and BadArchive."""
    if member.several:
        raise BadArchive("one of several of this name in its archive; pack it anew with a name for each")
    if member.encrypted:
        raise BadArchive("encrypted: unpack it with its password, or pack it without one")
    if member.method not in (_STORED, _DEFLATED):
        raise BadArchive("packed in a way that is not usual in a zip; pack it anew")
    file.seek(member.offset)
    head = file.read(30)
    if len(head) < 30 or not head.startswith(b"PK\x03\x04"):
        raise BadArchive("damaged in its archive; copy or download the archive again")
    file.seek(sum(struct.unpack_from("<HH", head, 26)), 1)
    given, crc = 0, 0
    for chunk in _inflated(file, member):
        given += len(chunk)
        crc = zlib.crc32(chunk, crc)
        yield chunk
        if given > most:
            return
    if (given, crc) != (member.size, member.crc):
        raise BadArchive("damaged in its archive; copy or download the archive again")


def _inflated(file: BinaryIO, member: Member) -> Iterator[bytes]:
    left = member.packed
    unpack = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == _DEFLATED else None
    while left > 0 and (raw := file.read(min(_CHUNK, left))):
        left -= len(raw)
        if unpack is None:
            yield raw
            continue
        try:
            while chunk := unpack.decompress(raw, _CHUNK):
                yield chunk
                raw = unpack.unconsumed_tail
        except zlib.error:
            raise BadArchive("damaged in its archive; copy or download the archive again") from None


def read_member(path: Path, member: Member, *, most: int) -> bytes:
    """Read a member of an archive, or a little more than `most` bytes of it. Raises OSError and BadArchive."""
    with path.open("rb") as file:
        return b"".join(chunks_of(file, member, most=most))
