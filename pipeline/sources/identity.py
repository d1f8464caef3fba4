"""The identity of a picture: items with the same one share one search and one task, however each names it.

A local picture is its bytes. A URL is what names its file at its host, so the case of the host, a default port and a
fragment make no other picture. The identity is for comparing alone: what is sent is what the job says.
"""

from functools import lru_cache
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, urlsplit

from pipeline.models import CONTENT
from pipeline.sources.looks import Looks
from pipeline.sources.pictures import MAX_BYTES

_DEFAULT_PORTS = {"http": 80, "https": 443}


def identity_of_url(url: str) -> str:
    """Return the identity of the picture at a URL."""
    scheme, netloc, path, query, _ = urlsplit(url)
    return f"{_beginning(scheme, netloc)}{path or '/'}{f'?{query}' if query else ''}"


@lru_cache(maxsize=1000)  # a million URLs of a manifest are those of a few hosts
def _beginning(scheme: str, netloc: str) -> str:
    parts = SplitResult(scheme, netloc, "", "", "")
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(scheme)) else f":{parts.port}"
    return f"{scheme}://{host}{port}"


def identity_of_file(root: Path, source: str, looks: Looks | None, most: int = MAX_BYTES) -> str:
    """Return the identity of a local picture: its bytes, or without `looks`, or where it cannot be read, its path."""
    digest = looks.digest(root, source, most) if looks is not None else None
    return f"{CONTENT}{digest}" if digest else f"path:{PurePosixPath(source).as_posix()}"
