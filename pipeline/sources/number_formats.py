"""Numbers of a spreadsheet as it shows them: an id 42 in a cell of the format 00000 is called 00042.

Only formats that fix digits and add text of their own are followed, and only where they lose nothing of the number. Of
all others (percent, thousands, currencies, fractions) the number itself is taken, with at most 15 digits, as a
spreadsheet has them.
"""

import re
from bisect import bisect_right
from functools import lru_cache

_TOKEN = re.compile(r'"([^"]*)"|\\(.)|_.|\*.|(\[[A-Za-z]+[0-9]*\])|([0#])|(\.)|([-+ ():!&~{}=]|[^\x00-\x7f])')
_MOST_DIGITS = 15


class Formats:
    """The formats of the cells that have one, in runs: whole columns mostly have the same."""

    def __init__(self) -> None:
        self._runs: dict[int, list[tuple[int, int, str]]] = {}

    def add(self, row: int, column: int, code: str) -> None:
        """Note the format of a cell; those of a column come from the top down."""
        runs = self._runs.setdefault(column, [])
        if runs and runs[-1][1] == row - 1 and runs[-1][2] == code:
            runs[-1] = runs[-1][0], row, code
        else:
            runs.append((row, row, code))

    def at(self, row: int, column: int) -> str:
        """Return the format of a cell; "" for none that is known."""
        runs = self._runs.get(column)
        if not runs:
            return ""
        at = bisect_right(runs, row, key=lambda run: run[0]) - 1
        return runs[at][2] if at >= 0 and row <= runs[at][1] else ""


def show(value: float, code: str = "") -> str:
    """Write a number as a cell of the format `code` shows it, as far as that is followed; never 42.0 for 42."""
    is_plain = abs(value) < 10**_MOST_DIGITS  # and neither endless nor no number at all, which files can hold, too
    shown = _by_format(abs(value) if value == 0 else value, code) if code and is_plain else None
    if shown is not None:
        return shown
    if is_plain and value == int(value):
        return str(int(value))
    return f"{value:.{_MOST_DIGITS}G}"


def _by_format(value: float, code: str) -> str | None:
    parsed = _parsed(code)
    if parsed is None or value < 0:
        return None
    whole, decimals = parsed
    places = sum(1 for kind, _ in decimals if kind == "0")
    written = f"{value:.{places}f}"
    if float(written) != float(f"{value:.{_MOST_DIGITS}G}"):
        return None
    digits, _, behind = written.partition(".")
    left = list("" if digits == "0" else digits)
    first = next(at for at, (kind, _) in enumerate(whole) if kind in "0#")
    shown = []
    for at in range(len(whole) - 1, -1, -1):
        kind, text = whole[at]
        if kind == "text":
            shown.append(text)
            continue
        shown.append(left.pop() if left else "0" if kind == "0" else "")
        if at == first:
            shown.append("".join(left))
    end = iter(behind)
    return "".join(reversed(shown)) + "".join(next(end) if kind == "0" else text for kind, text in decimals)


_Parts = list[tuple[str, str]]


@lru_cache(maxsize=1000)
def _parsed(code: str) -> tuple[_Parts, _Parts] | None:
    """Split a format into what stands before and from its decimal point; None for one that is not followed."""
    at, whole, decimals, pointed = 0, _Parts(), _Parts(), False
    section = re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', code)[0]
    while at < len(section):
        token = _TOKEN.match(section, at)
        if token is None:
            return None
        at = token.end()
        quoted, escaped, colour, digit, point, sign = token.groups()
        parts = decimals if pointed else whole
        if digit:
            if pointed and digit == "#":
                return None
            parts.append((digit, ""))
        elif point:
            if pointed:
                return None
            pointed = True
            decimals.append(("text", "."))
        elif not colour:
            parts.append(("text", quoted or escaped or sign or ""))
    return (whole, decimals) if any(kind == "0" for kind, _ in whole) else None


def format_of(shown: str, value: float) -> str:
    """Find the format that shows `value` as `shown`; "" where the number itself says as much, or none does."""
    found = re.fullmatch(r"([^0-9]*)([0-9]+)(\.[0-9]+)?([^0-9]*)", shown)
    if found is None or shown == show(value):
        return ""
    before, digits, behind, after = found.groups()
    if '"' in shown or float(digits + (behind or "")) != value:
        return ""
    code = f'"{before}"' * bool(before) + "0" * len(digits)
    return code + ("." + "0" * (len(behind) - 1) if behind else "") + f'"{after}"' * bool(after)
