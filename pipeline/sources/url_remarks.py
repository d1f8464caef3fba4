"""Remarks about URLs that may be sent and at which is probably no picture: a share page, a slip in a cell."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from pipeline.models import SANDBOX_HOST
from pipeline.picture_formats import ENDINGS, SENT_ENDINGS
from pipeline.system.masking import without_password
from pipeline.system.wording import count

_SHOWN = 120  # characters of a URL
_SHARES = {
    "drive.google.com": "Google Drive", "docs.google.com": "Google Drive", "photos.google.com": "Google Photos",
    "photos.app.goo.gl": "Google Photos", "dropbox.com": "Dropbox", "db.tt": "Dropbox", "onedrive.live.com": "OneDrive",
    "1drv.ms": "OneDrive", "sharepoint.com": "SharePoint", "pan.baidu.com": "Baidu pan", "yun.baidu.com": "Baidu pan",
    "wetransfer.com": "WeTransfer", "we.tl": "WeTransfer", "icloud.com": "iCloud", "box.com": "Box", "mega.nz": "MEGA",
    "alipan.com": "Aliyun Drive", "aliyundrive.com": "Aliyun Drive", "pan.quark.cn": "Quark pan",
    "weiyun.com": "Weiyun", "123pan.com": "123pan", "pan.xunlei.com": "Xunlei pan",
    "disk.yandex.ru": "Yandex Disk", "disk.yandex.com": "Yandex Disk", "yadi.sk": "Yandex Disk",
}  # fmt: skip
_DIRECT = re.compile(r"[?&](raw|dl|download)=1\b|/uc\?.*\bid=")  # ways in which these services give the file itself
_NOT_SENT = (
    *(ending for ending in ENDINGS if ending not in SENT_ENDINGS),
    ".svg",
    ".svgz",
    ".pdf",
    ".htm",
    ".html",
    ".php",
)
_SECOND = re.compile(rf"(?:[,;|\s]\s*|{'|'.join(map(re.escape, SENT_ENDINGS))})https?:[/\\]{{2}}", re.IGNORECASE)
_TWICE = re.compile(r"https?:/*https?:?/", re.IGNORECASE)


class UrlRemarks:
    """The remarks about the URLs of a job: each kind once, with its first place and how many there are."""

    def __init__(self, *, sandboxed: bool) -> None:
        """Begin with none; `sandboxed` says that the vendor knows the sandbox's own URLs."""
        self._sandboxed = sandboxed
        self._kinds: dict[str, tuple[str, int]] = {}

    def note(self, place: str, url: str) -> None:
        """Look at a URL, which stands at `place`."""
        for kind in _kinds_of(url, sandboxed=self._sandboxed):
            first, seen = self._kinds.get(kind, (f"{place}: {without_password(url)[:_SHOWN]!r}", 0))
            self._kinds[kind] = first, seen + 1

    def texts(self) -> list[str]:
        """Say what was noted."""
        return [f"{first} {kind} ({count(seen, 'URL')} like this)" for kind, (first, seen) in self._kinds.items()]


def _kinds_of(url: str, *, sandboxed: bool) -> Iterator[str]:
    if "&amp;" in url or "\\" in url or "http" in url[1:].lower():
        yield from (text for matches, text in _SLIPS if matches(url))
    try:
        parts = urlsplit(url)
        host = _host_of(parts.netloc)
    except ValueError:
        return
    if host == SANDBOX_HOST and not sandboxed:
        yield "is the sandbox's own, and no other vendor knows it; list the URL of a picture of yours"
    service = _service_of(host)
    if service and not _DIRECT.search(url):
        yield f"is a page of {service}, and no picture: the vendor opens no page; list where the file itself is"
    if not parts.path.endswith(SENT_ENDINGS) and (path := parts.path.lower()).endswith(_NOT_SENT):
        yield f"ends in .{path.rpartition('.')[2]}: the vendor takes JPG and PNG alone; list the picture as one of them"


@lru_cache(maxsize=1000)  # a million URLs of a manifest are those of a few hosts
def _host_of(netloc: str) -> str:
    return (SplitResult("https", netloc, "", "", "").hostname or "").rstrip(".")


@lru_cache(maxsize=1000)
def _service_of(host: str) -> str:
    """Name the service that shows pages of files at a host; "" for any other host."""
    return next((name for end, name in _SHARES.items() if host == end or host.endswith(f".{end}")), "")


_SLIPS: tuple[tuple[Callable[[str], object], str], ...] = (
    (lambda url: "&amp;" in url, "has `&amp;`, as web pages write it; write `&`"),
    (_TWICE.match, "begins twice with https://; write it once"),
    (_SECOND.search, "is two URLs in one cell; give each a row of its own"),
    (lambda url: "\\" in url, "has a backslash; write /"),
)
