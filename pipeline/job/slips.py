"""Slips in YAML that people make often, each in its own words and with the way to write it."""

import re

_LONGEST = 60
_IN_QUOTES = "goes into quotes"


def explain_slip(reason: str, text: str, line: int, column: int) -> str:
    """Say what is wrong at a place of a text, counted from 1, where the parser gives `reason`."""
    lines = text.splitlines()
    here = lines[line - 1] if 0 < line <= len(lines) else ""
    rest = here[column - 1 :]
    value = re.split(r"\s+#|[,\]}]", rest, maxsplit=1)[0].strip()
    if "another document" in reason:
        return "a second document begins here (---); one file is one job: put the other into a file of its own"
    if "escape character" in reason or "hexdecimal number" in reason:
        return r"in double quotes a \ begins an escape; write / in paths (C:/Users/me), or single quotes"
    if rest.startswith("\t"):
        return "a tab here; indent with spaces"
    if rest[:1] in ("@", "`", "%"):
        return f'a value that begins with {rest[0]} {_IN_QUOTES}: "{_shown(value)}"'
    before = here[: column - 1].rpartition("*")
    if "alphabetic or numeric character" in reason and (before[1] or rest.startswith("*")):
        pattern = re.split(r"\s+#|[,\]}]", "*" + (before[2] + rest).lstrip("*"), maxsplit=1)[0].strip()
        return f'a value that begins with * {_IN_QUOTES}: "{_shown(pattern)}"'
    for number in (line, line - 1):
        near = lines[number - 1] if 0 < number <= len(lines) else ""
        if "：" in near and ":" not in near.replace("：", ""):
            return f"line {number} has a full-width colon (：, U+FF1A); write a plain colon and a space: `: `"
    return "a tab here; indent with spaces" if "\t" in here[: len(here) - len(here.lstrip())] else reason


def _shown(value: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in value[:_LONGEST])


def blank_in_front(key: str) -> str:
    """Say that a key begins with blanks that nobody can see; "" when it does not."""
    bare = key.lstrip("\u00a0\u3000\u2007\u202f\ufeff\u200b")
    if bare == key:
        return ""
    return (
        f"a no-break space or another blank (U+{ord(key[0]):04X}) stands before {bare[:_LONGEST]!r}; indent with spaces"
    )
