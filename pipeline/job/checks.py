"""Rules for single values of a job. Each check returns the value, or raises ValueError that says what is allowed."""

import re
import unicodedata
from datetime import UTC, time
from functools import lru_cache
from urllib.parse import SplitResult, quote, urlsplit

MAX_ID = 128
_MOST_RUN_NAME = 200
MAX_URL = 4096  # bytes, where each letter beyond ASCII takes six and more
_SENT_AS_THEY_ARE = "%!#$&'()*+,/:;=?@[]~"
# A URL whose parts stand as they are: no capitals in its host, no port, no letters beyond ASCII, no fragment.
_PLAIN = re.compile(r"https?://([a-z0-9.-]+)/[!-\"$->@-~]*(?:\?[!-\"$-~]+)?")
MANIFEST_ENDINGS = (".csv", ".jsonl", ".xlsx", ".xls", ".ods")  # of the files that sources.tables.READERS can read
WORKBOOK_ENDINGS = MANIFEST_ENDINGS[2:]
ZIP = ".zip"  # of an archive of pictures
_HH_MM = r"([01][0-9]|2[0-3]):[0-5][0-9]"
# `time.fromisoformat` alone would take "24:00" from Python 3.14 on, and an offset of 75 minutes on every Python.
_TIME_OF_DAY = re.compile(rf"{_HH_MM}(Z|[+-]{_HH_MM})?")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_id(value: str) -> str:
    """Return `value` if it may be an item's id; raise ValueError with the rule."""
    if not 1 <= len(value) <= MAX_ID:
        raise ValueError(f"an id has 1 to {MAX_ID} characters")
    if not value.isprintable() or value != value.strip():
        raise ValueError(f"an id is printable text without line breaks, tabs or outer spaces{_odd_character(value)}")
    if not value.isascii() and unicodedata.normalize("NFC", value) != value:
        raise ValueError(f"an id is text in Unicode form NFC{_accent_apart(value)}")
    return value


def _odd_character(value: str) -> str:
    """Name the first character that no id or URL has, and its place, which nobody finds by looking."""
    for number, char in enumerate(value, 1):
        if not char.isprintable() or char.isspace():
            kind = "a blank" if char.isspace() else "invisible"
            return f"; character {number} is {kind} (U+{ord(char):04X}): delete it"
    return ""


def _accent_apart(value: str) -> str:
    for number, char in enumerate(value, 1):
        if unicodedata.combining(char):
            return f"; character {number} is an accent apart from its letter (U+{ord(char):04X}): type the letter anew"
    return ""


def check_url(value: str) -> str:
    """Return `value` if it is a URL that may be sent or called; raise ValueError with the rule."""
    if not value.isprintable() or " " in value:
        raise ValueError(f"a URL has no spaces or control characters{_odd_character(value)}")
    if 3 * len(value.encode()) > MAX_URL and (length := len(quote(value, safe=_SENT_AS_THEY_ARE))) > MAX_URL:
        raise ValueError(f"a URL has at most {MAX_URL:,} bytes as it is sent; this one has {length:,}")
    try:
        parts = urlsplit(value)
        fault = _fault_of_host(parts.scheme, parts.netloc)
    except ValueError:
        raise ValueError("this is no URL") from None
    if fault:
        raise ValueError(fault)
    return value


def host_of_plain_url(value: str) -> str | None:
    """Return the host of a URL that can be sent and compared as it stands; None for any other text.

    Most URLs of a manifest are of this kind, and `urlsplit` takes five times as long.
    """
    found = _PLAIN.fullmatch(value) if 3 * len(value) <= MAX_URL else None
    return None if found is None else found[1]


@lru_cache(maxsize=1000)  # a million URLs of a manifest are those of a few hosts
def _fault_of_host(scheme: str, netloc: str) -> str:
    """Say what is wrong with the beginning of a URL; "" when nothing is. Raises ValueError when it begins none."""
    parts = SplitResult(scheme, netloc, "", "", "")
    host, _ = parts.hostname, parts.port
    if scheme not in ("http", "https") or not host:
        return "a URL starts with https:// or http://"
    if parts.username is not None or parts.password is not None:
        return "a URL must not hold a user name or password"
    return ""


def is_loopback(url: str) -> bool:
    """Return whether a URL's host is this machine, by its name alone."""
    host = urlsplit(url).hostname or ""
    return host in _LOOPBACK or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))


def check_account(value: str) -> str:
    """Return `value` if it can name an account, and so an environment variable; raise ValueError if it cannot."""
    if re.fullmatch("[a-z0-9][a-z0-9_-]{0,31}", value):
        return value
    raise ValueError(f"{value[:40]!r} is not allowed; allowed: small letters a-z, digits, - and _, 1 to 32 characters")


def check_qps(value: int | float) -> int | float:
    """Return `value` if it may be a QPS; raise ValueError with the rule."""
    if not 0 < value <= 1_000_000 or (value > 1 and value != int(value)):
        raise ValueError("1 to 1000000 whole calls a second, or a fraction below 1 (0.5 = one call in two seconds)")
    return value


def check_base_url(value: str) -> str:
    """Return the vendor's address without a slash at its end, or `sandbox`; raise ValueError with the rule."""
    if value == "sandbox":
        return value
    check_url(value)
    parts = urlsplit(value)
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("only scheme and host, for example https://connect.patsnap.com")
    if parts.scheme == "http" and not is_loopback(value):
        raise ValueError("plain http goes only to this machine's loopback address; write https://")
    return f"{parts.scheme}://{parts.netloc}"


def check_run_name(value: str) -> str:
    """Return `value` if it may name a run directory; raise ValueError with the rule."""
    left = re.sub(r"\{(name|date|week|month)\}", "", value)
    if len(value) > _MOST_RUN_NAME:  # beside the job's name, a file system takes 255 letters
        raise ValueError(f"longer than {_MOST_RUN_NAME} letters")
    if not value or not re.fullmatch(r"[A-Za-z0-9._-]*", left) or value.startswith("."):
        raise ValueError('letters, digits, . _ - and {name}, {date}, {week}, {month}; for example "{name}-{date}"')
    return value


def read_time_of_day(value: str) -> time:
    """Read a time of day such as `00:00+08:00`; without an offset it is UTC. Raises ValueError."""
    if not _TIME_OF_DAY.fullmatch(value):
        raise ValueError("not a time of day")
    at = time.fromisoformat(value)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def check_time_of_day(value: str) -> str:
    """Return `value` if it may be a time of day; raise ValueError with the rule."""
    try:
        read_time_of_day(value)
    except ValueError:
        raise ValueError('a time of day as "HH:MM", in UTC or with its offset: "00:00+08:00"') from None
    return value
