"""The picture of an item in its record, and its views where it has several."""

import msgspec

from pipeline.models import Work
from pipeline.views import has_views, is_url, views_of


class ViewPart(msgspec.Struct, frozen=True):
    """One of several views of an item."""

    source: str  # a URL, or a path relative to the job's root
    url: str | None  # where the vendor saw it; None when a local picture was not uploaded
    sha256: str | None  # of a local picture's bytes, in hex; None for a URL


class ImagePart(msgspec.Struct, frozen=True, omit_defaults=True):
    """The picture of an item. Of one with views `url` and `sha256` are those of its first view."""

    source: str  # as the job names it: a URL, or a path relative to the job's root; several views as one text
    url: str | None  # where the vendor saw it; None when a local picture was not uploaded
    sha256: str | None  # of a local picture's bytes, in hex; None for a URL
    labels: dict[str, str]  # as the job gives them
    views: list[ViewPart] = []  # of an item with several, in their order


def image_of(work: Work, url: str | None) -> ImagePart:
    """Describe the picture of an item; `url` is where the vendor sees it, or all its views."""
    item = work.item
    if not has_views(item.source):
        return ImagePart(item.source, url, work.sha256, item.labels)
    sources = views_of(item.source)
    nothing: tuple[None, ...] = (None,) * len(sources)
    urls = nothing if url is None else views_of(url)
    digests = nothing if work.sha256 is None else views_of(work.sha256)
    views = [
        ViewPart(view, view if is_url(view) else url, None if is_url(view) else digest)
        for view, url, digest in zip(sources, urls, digests, strict=True)
    ]
    return ImagePart(item.source, views[0].url, views[0].sha256, item.labels, views)


def shared_image(work: Work, first: ImagePart, own: str | None = None) -> ImagePart:
    """Return the picture of an item that shows that of another one, under its own names.

    `own` is the digest of its bytes where they are others; the URLs are always those that the vendor saw.
    """
    sources = views_of(work.item.source)
    names = zip(sources, first.views, strict=False)
    if own is None:
        views = [ViewPart(name, view.url, view.sha256) for name, view in names]
        return ImagePart(work.item.source, first.url, first.sha256, work.item.labels, views)
    views = [
        ViewPart(name, view.url, None if is_url(name) else digest)
        for (name, view), digest in zip(names, views_of(own), strict=False)
    ]
    return ImagePart(work.item.source, first.url, views[0].sha256 if views else own, work.item.labels, views)
