"""The identity of a picture: items with the same one share one search and one task, however each names it.

A local picture is its bytes. A URL is what names its file at its host, so the case of the host, a default port and a
fragment make no other picture. The identity is for comparing alone: what is sent is what the job says.
"""

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from pipeline.models import CONTENT
from pipeline.sources.looks import Looks

_DEFAULT_PORTS = {"http": 80, "https": 443}


def identity_of_url(url: str) -> str:
    """Return the identity of the picture at a URL."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{host}{port}{parts.path or '/'}{query}"


def identity_of_file(root: Path, source: str, looks: Looks | None) -> str:
    """Return the identity of a local picture: its bytes, or without `looks`, or where it cannot be read, its path."""
    digest = looks.digest(root, source) if looks is not None else None
    return f"{CONTENT}{digest}" if digest else f"path:{PurePosixPath(source).as_posix()}"
