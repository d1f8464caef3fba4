"""The identity of a picture: items with the same one share one search and one task, however each names it.

A local picture is its bytes. A URL is what names its file at its host, so the case of the host, a default port and a
fragment make no other picture. The identity is for comparing alone: what is sent is what the job says.
"""

from pathlib import Path, PurePosixPath

from pipeline.models import BY_PATH, CONTENT
from pipeline.sources.looks import Looks
from pipeline.sources.pictures import MAX_BYTES


def identity_of_file(root: Path, source: str, looks: Looks | None, most: int = MAX_BYTES) -> str:
    """Return the identity of a local picture: its bytes, or without `looks`, or where it cannot be read, its path."""
    digest = looks.digest(root, source, most) if looks is not None else None
    return f"{CONTENT}{digest}" if digest else f"{BY_PATH}{PurePosixPath(source).as_posix()}"
