"""The width of texts on a screen, where a Chinese letter takes two places."""

from unicodedata import combining, east_asian_width


def width(text: str) -> int:
    """Count the places that a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def padded(text: str, wide: int) -> str:
    """Fill a text up with spaces."""
    return text + " " * (wide - width(text))
