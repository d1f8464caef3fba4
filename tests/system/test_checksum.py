"""CRC-32: the numbers of zlib, whole, in pieces and joined."""

import zlib

import pytest

from pipeline.system.checksum import crc32, joined


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 73_000])
def test_a_checksum_in_pieces_is_that_of_the_whole(size: int) -> None:
    data = bytes(n % 251 for n in range(size))
    assert (crc32(data), crc32(data, 7)) == (zlib.crc32(data), zlib.crc32(data, 7))
    assert joined(crc32(b"before"), crc32(data), size) == zlib.crc32(b"before" + data)
