"""Text in the cells of spreadsheets: programs run what looks like a formula, and refuse what is too long or hidden."""

import unicodedata

LONGEST = 32_767  # characters in a cell of Excel
# A cell that begins so is a formula; the wide ones are to Excel where Chinese or Japanese is written.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_MAY = frozenset((*_FORMULA, "'", " ", "\u00a0"))  # a text that begins otherwise is none
# Joiners shape letters in Persian, Hindi and emoji; every other format character (bidi overrides, zero-width spaces,
# tags) only makes a text look like another one.
_JOINERS = "\u200c\u200d"
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def neutral(text: str) -> str:
    """Return a text with an apostrophe before it where a spreadsheet would take it for a formula; `meant` undoes it."""
    return "'" + text if text.lstrip("' \u00a0").startswith(_FORMULA) else text


def meant(text: str) -> str:
    """Return the text that `neutral` was given."""
    return text[1:] if text.startswith("'") and neutral(text[1:]) == text else text


def looks_like_formula(text: str) -> bool:
    """Return whether a spreadsheet would take a text for a formula once somebody edits its cell."""
    return text[:1] in _MAY and neutral(text) is not text


def without_hidden(text: str) -> str:
    """Return a text without control and bidi characters; white space among them becomes a blank."""
    if text.isprintable():
        return text
    return "".join(
        char if char in _JOINERS or unicodedata.category(char) not in _HIDDEN else " " if char.isspace() else ""
        for char in text
    )


def visible(text: str, most: int = LONGEST) -> str:
    """Return one line of at most `most` characters, without control and bidi characters; the end says if it is cut."""
    if not text.isprintable():
        text = " ".join(without_hidden(text).split())
    return text if len(text) <= most else text[: most - 1] + "…"
