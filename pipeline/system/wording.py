"""Counts, lists of names and spans of time in words, the same in every message and on the page."""

from collections.abc import Sequence


def count(number: int, one: str, many: str = "") -> str:
    """Write `1 hit`, `2 hits`, `20,783 hits`; with both forms given, also `1 item is open`, `2 items are open`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Write `8 s`, `4 min 12 s`, `3 h 5 min`."""
    whole = round(seconds)
    minutes, hours = whole // 60, whole // 3600
    if hours:
        return f"{hours:,} h {minutes % 60} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Write the first names and how many more there are: `A, B, C, D, E and 2 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def enumerated(words: Sequence[str], last: str = "and") -> str:
    """Join words as a sentence does: `a, b and c`."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
