"""The marks of a page, by which `pipeline status` sees whether it still says what the journal says."""

import re
from collections.abc import Mapping
from pathlib import Path

_MARK = re.compile(rb'<meta name="pipeline-items" content="([^"]{0,500})">')
_HEAD_BYTES = 4096


def marks(counts: Mapping[str, int], state: str) -> str:
    """Write the counts of a page and the state of its run."""
    return " ".join([f"{word}={number}" for word, number in sorted(counts.items()) if number] + [state])


def read_marks(page: Path) -> str | None:
    """Read the marks of a page; None where there is no page, or one of a version that left none."""
    try:
        with page.open("rb") as file:
            found = _MARK.search(file.read(_HEAD_BYTES))
    except OSError:
        return None
    return found[1].decode("ascii", "replace") if found else None
