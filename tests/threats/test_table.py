"""docs/threats.md names a test for each of the threats, and each is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ROWS = [line for line in (ROOT / "docs/threats.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)]


def test_every_threat_has_its_row() -> None:
    assert [int(row.split("|")[1]) for row in ROWS] == list(range(1, 19))


def test_every_test_that_is_named_is_there() -> None:
    named = {row: re.findall(r"`(tests/[a-z_/]+\.py)`", row) for row in ROWS}
    assert [row for row, files in named.items() if not files] == []
    assert [file for files in named.values() for file in files if not (ROOT / file).is_file()] == []
