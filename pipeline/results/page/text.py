"""Texts and links fit to be shown: those of a vendor, a file name or a manifest are not trusted."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from pipeline.results.cells import without_hidden

_MAX_URL = 4096


def tidy(value: Any, most: int) -> str:
    """Return one line of at most `most` characters, without control and bidi characters; empty for None."""
    if value is None:
        return ""
    text = without_hidden(str(value)[: 2 * most + 100])  # bounds the work; what is stripped rarely matters
    shown = " ".join(text.split())
    return shown if len(shown) <= most else shown[: most - 1].rstrip() + "…"


def web_link(url: Any) -> str:
    """Return `url` if a link may lead there (http or https, a host that can exist, no password), else ""."""
    return url if _scheme(url) in ("http", "https") else ""


def secured(url: Any) -> Any:
    """Return a vendor's http URL as https on the same host, which opens it too; anything else as it is.

    Its links are signed for the host alone, and a browser shows no http picture on our page. A port is another server.
    """
    if not isinstance(url, str) or not web_link(url) or _scheme(url) != "http":
        return url
    return url if urlsplit(url).netloc.count(":") else "https" + url[len("http") :]


def file_link(name: str) -> str:
    """Return a link to a file beside the page; whatever the name is, it stays a relative path."""
    return "./" + quote(name)


def moment(iso_time: str) -> str:
    """Write a time as `21 Nov 2026, 10:00 UTC`; one that cannot be read is shown as it is."""
    at = parsed(iso_time)
    return f"{at.day} {at:%b %Y, %H:%M} UTC" if at else tidy(iso_time, 40)


def period(start: str, end: str) -> str:
    """Write a period, with the day once when both times are on it."""
    first, last = parsed(start), parsed(end)
    if first and last and first.date() == last.date():
        return f"{first.day} {first:%b %Y, %H:%M} to {last:%H:%M} UTC"
    return f"{moment(start)} to {moment(end)}"


def parsed(iso_time: str) -> datetime | None:
    """Read an ISO time, in UTC; None when it is none."""
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
