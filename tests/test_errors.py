"""The words of ours that journals and records hold."""

import msgspec

from pipeline.errors import Code
from pipeline.models import Problem

ON_DISK = {
    "aiohttp",
    "bad_name",
    "bad_row",
    "budget",
    "credentials",
    "expired",
    "id_twice",
    "incomplete_hits",
    "interrupted",
    "max_in_doubt",
    "not_public",
    "picture",
    "quota",
    "repaired",
    "same_picture",
    "stale",
    "unknown_codes",
    "vendor_down",
}


def test_a_code_once_written_to_disk_keeps_its_value() -> None:
    assert {code.value for code in Code} >= ON_DISK


def test_a_code_is_written_and_read_back_as_its_word() -> None:
    line = msgspec.json.encode(Problem("read", Code.BAD_ROW, "why", "fail", retryable=False))

    assert b'"code":"bad_row"' in line
    assert msgspec.json.decode(line, type=Problem).code == Code.BAD_ROW
