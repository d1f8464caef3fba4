"""The pictures that a page or an export shows: products' own files, and hits as far as they are at hand."""

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import ItemRefused
from pipeline.job.schema import JobSpec
from pipeline.results.pictures.shrink import SMALL
from pipeline.results.pictures.store import PictureStore, key_of_link, key_of_product
from pipeline.run.embedded_sandbox import hit_picture
from pipeline.sources.pictures import preview_picture, read_picture


def small_pictures_of(spec: JobSpec, *folders: Path) -> Callable[[str, str | None], bytes | None]:
    """Return a function like that of `pictures_of` which takes the small picture that was kept, where one was."""
    kept, others = [PictureStore(folder) for folder in folders], pictures_of(spec, *folders)

    def picture(source: str, sha256: str | None) -> bytes | None:
        key = key_of_link(source) if sha256 is None else key_of_product(sha256)
        small = (store.of(key, SMALL) for store in kept)
        return next((one for one in small if one is not None), None) or others(source, sha256)

    return picture


def pictures_of(spec: JobSpec, *folders: Path) -> Callable[[str, str | None], bytes | None]:
    """Return a function that reads the bytes behind a path or URL of a run; None for what is not at hand.

    It takes the sha256 of a product's picture when it was searched, None for other pictures. `folders` are the run
    directories in which an embedded sandbox may have left its own.
    """
    of_hits = [hit_picture(spec, folder) for folder in folders]

    def picture(source: str, sha256: str | None) -> bytes | None:
        if source.startswith(("https://", "http://")):
            return next((found for of_hit in of_hits if (found := of_hit(source)) is not None), None)
        try:
            read = preview_picture if spec.upload.fit else read_picture  # nobody needs it in full here
            now = read(spec.root_path, source)
        except ItemRefused:
            return None
        # A file that changed since it was searched is another picture: it must not stand beside these hits.
        return now.data if sha256 in (None, now.sha256) else None

    return picture
