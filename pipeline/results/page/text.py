"""Makes text fit to be shown: what comes from a vendor, a file name or a manifest is not trusted."""

import unicodedata
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

_MAX_URL = 4096
# Joiners shape letters in Persian, Hindi and emoji; every other format character (bidi overrides, zero-width
# spaces, tags) only makes a text look like another one.
_JOINERS = "\u200c\u200d"
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def tidy(value: Any, most: int) -> str:
    """One line of at most `most` characters, without control and bidi characters; empty for None."""
    if value is None:
        return ""
    text = str(value)[: 2 * most + 100]  # bounds the work; what is stripped below rarely matters
    shown = "".join(
        char if char in _JOINERS or unicodedata.category(char) not in _HIDDEN else " " if char.isspace() else ""
        for char in text
    )
    shown = " ".join(shown.split())
    return shown if len(shown) <= most else shown[: most - 1].rstrip() + "…"


def web_link(url: Any) -> str:
    """`url` if a link may lead there (http or https, a host that can exist, no password), else an empty text."""
    return url if _scheme(url) in ("http", "https") else ""


def picture_link(url: Any) -> str:
    """`url` if a browser may load a picture from there (https only), else an empty text."""
    return url if _scheme(url) == "https" else ""


def file_link(name: str) -> str:
    """A link to a file near the page; whatever the name is, it stays a relative path."""
    return "./" + quote(name)


def count(number: int, one: str, many: str = "") -> str:
    """`1 hit`, `2 hits`, `20,783 hits`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def moment(iso_time: str) -> str:
    """`21 Nov 2026, 10:00 UTC`; a time that cannot be read is shown as it is."""
    at = parsed(iso_time)
    return f"{at.day} {at:%b %Y, %H:%M} UTC" if at else tidy(iso_time, 40)


def period(start: str, end: str) -> str:
    """From when to when, with the day written once where one is enough."""
    first, last = parsed(start), parsed(end)
    if first and last and first.date() == last.date():
        return f"{first.day} {first:%b %Y, %H:%M} to {last:%H:%M} UTC"
    return f"{moment(start)} to {moment(end)}"


def took(start: str, end: str) -> str:
    """`3 h 5 min`, `4 min 12 s`, `8 s`; empty when a time cannot be read."""
    first, last = parsed(start), parsed(end)
    if not first or not last or last < first:
        return ""
    seconds = round((last - first).total_seconds())
    minutes, hours = seconds // 60, seconds // 3600
    if hours:
        return f"{hours:,} h {minutes % 60} min"
    return f"{minutes} min {seconds % 60} s" if minutes else f"{seconds} s"


def parsed(iso_time: str) -> datetime | None:
    """The time in UTC, None if this is none."""
    try:
        at = datetime.fromisoformat(iso_time)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _scheme(url: Any) -> str:
    if not isinstance(url, str) or len(url) > _MAX_URL or not url.isprintable() or " " in url:
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = (parts.hostname or "").rstrip(".")
    # No name under .invalid ever resolves (RFC 6761): the sandbox's URLs are there so that nothing is fetched.
    if not host or host.endswith(".invalid") or parts.username is not None or parts.password is not None:
        return ""
    return parts.scheme
