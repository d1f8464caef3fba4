"""The pictures that a page or an export shows: products' own files, and hits as far as they are at hand."""

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import ItemRefused
from pipeline.job.schema import JobSpec
from pipeline.run.embedded_sandbox import hit_picture
from pipeline.sources.pictures import preview_picture, read_picture


def pictures_of(spec: JobSpec, folder: Path) -> Callable[[str, str | None], bytes | None]:
    """Return a function that reads the bytes behind a path or URL of a run; None for what is not at hand.

    It takes the sha256 of a product's picture when it was searched, None for other pictures.
    """
    of_hits = hit_picture(spec, folder)

    def picture(source: str, sha256: str | None) -> bytes | None:
        if source.startswith(("https://", "http://")):
            return of_hits(source)
        try:
            read = preview_picture if spec.upload.fit else read_picture  # nobody needs it in full here
            now = read(spec.root_path, source)
        except ItemRefused:
            return None
        # A file that changed since it was searched is another picture: it must not stand beside these hits.
        return now.data if sha256 in (None, now.sha256) else None

    return picture
