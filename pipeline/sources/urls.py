"""The identity of a picture at a URL, and of several views: what needs to look at no file.

Items with the same identity share one search and one task, however each names its picture. A URL is what names its file
at its host, so the case of the host, a default port and a fragment make no other picture. The identity is for comparing
alone: what is sent is what the job says.
"""

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from pipeline.job.checks import host_of_plain_url
from pipeline.job.reach import check_picture_url, require_reachable
from pipeline.models import BY_PATH, CONTENT
from pipeline.views import is_url, joined_views, views_of

_DEFAULT_PORTS = {"http": 80, "https": 443}


def checked_identity(url: str) -> str:
    """Check a URL as `check_picture_url` does; return the identity of the picture there."""
    if (host := host_of_plain_url(url)) is None:
        return identity_of_url(check_picture_url(url))
    require_reachable(host)
    return url


def identity_of_url(url: str) -> str:
    """Return the identity of the picture at a URL."""
    if host_of_plain_url(url) is not None:
        return url
    scheme, netloc, path, query, _ = urlsplit(url)
    return f"{_beginning(scheme, netloc)}{path or '/'}{f'?{query}' if query else ''}"


@lru_cache(maxsize=1000)  # a million URLs of a manifest are those of a few hosts
def _beginning(scheme: str, netloc: str) -> str:
    parts = SplitResult(scheme, netloc, "", "", "")
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(scheme)) else f":{parts.port}"
    return f"{scheme}://{host}{port}"


def identity_of_urls(source: str) -> str:
    """Return the identity of the picture at a URL, or of views that are all at URLs."""
    return joined_views(identity_of_url(view) for view in views_of(source))


def identity_of_views(pictures: Iterable[str]) -> str:
    """Return the identity of several views of one product, from those of their pictures, in their order."""
    known = list(pictures)
    if not any(picture.startswith((CONTENT, BY_PATH)) for picture in known):
        return joined_views(known)
    return CONTENT + digest_of_views(known)


def digest_of_views(pictures: Iterable[str]) -> str:
    """Write what several views show as one digest, from the identities of their pictures, in their order."""
    return joined_views(picture.removeprefix(CONTENT) for picture in pictures)


def digest_of_sent(views: Iterable[tuple[str, str | None]]) -> str | None:
    """Write what was sent of several views as one digest, from their names and digests; None where one is missing."""
    pictures = [identity_of_url(name) if is_url(name) else sha256 for name, sha256 in views]
    return None if None in pictures else digest_of_views(filter(None, pictures))
