"""The views of one product, made reachable: each picture is uploaded once, whatever items show it.

An upload is durable before the next one is sent, so that a kill between two views costs none of them again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from pipeline.engine.cost import Paid, refuse_changed, upload_lasts
from pipeline.engine.meter import ItemMeter
from pipeline.engine.parts import Ports
from pipeline.errors import ItemRefused
from pipeline.models import Upload, Work
from pipeline.ports import Meter
from pipeline.results.reading import ImageView
from pipeline.sources.pictures import Picture
from pipeline.sources.urls import digest_of_sent, digest_of_views, identity_of_url
from pipeline.views import is_url, joined_views, local_views, views_of


async def read_views(source: str, ports: Ports) -> tuple[list[str | Picture], str]:
    """Read the views of an item, URLs as they are; return also their digest. Raises ItemRefused.

    All are read before any is sent: an item of which one view is missing costs nothing.
    """
    views: list[str | Picture] = []
    for view in views_of(source):
        if is_url(view):
            views.append(view)
            continue
        try:
            views.append(await anyio.to_thread.run_sync(ports.read_picture, view, limiter=ports.reading))
        except ItemRefused as error:
            raise ItemRefused(f"{view}: {error.message}", code=error.code, sent=False) from None
    return views, digest_of_views(identity_of_url(view) if isinstance(view, str) else view.sha256 for view in views)


async def upload_views(work: Work, paid: Paid, ports: Ports, meter: ItemMeter) -> Upload:
    """Upload the views of an item that are files; return the URLs of all its views, as one.

    Raises what a call raises, and ItemRefused where other pictures lie there than what is paid is of.
    """
    meter.stage = "read"
    views, digest = await read_views(work.item.source, ports)
    if paid._replace(changed=work.sha256 not in (None, digest)).is_refused:
        raise refuse_changed(work)
    meter.stage = "upload"
    urls, expires = [], []
    for view in views:
        if isinstance(view, str):
            urls.append(view)
            continue
        upload = await uploaded_once(view, ports, meter)
        urls.append(upload.url)
        expires.append(upload.expires_at)
    upload = Upload(joined_views(urls), min(expires))
    work.sha256, work.changed = digest, False
    ports.ledger.steps.uploaded(work, upload, digest)
    return upload


async def uploaded_once(view: Picture, ports: Ports, meter: Meter) -> Upload:
    """Return the upload of a picture that lives, or upload it. Raises what a call raises."""
    async with alone(ports.uploading, view.sha256):
        known = await ports.ledger.steps.view_upload(view.sha256)
        if known is None or not upload_lasts(known.expires_at, now=ports.now()):
            known = await ports.vendor.call(ports.endpoints.upload, view, meter)
            await ports.ledger.steps.view_uploaded(view.sha256, known)
    return known


async def missing_uploads(work: Work, ports: Ports) -> int:
    """Count the views of an item that are files and of which no upload lives."""
    missing = set()
    for view in local_views(work.item.source):
        digest = await anyio.to_thread.run_sync(ports.digest, view, limiter=ports.reading)
        known = await ports.ledger.steps.view_upload(digest) if digest is not None else None
        if known is None or not upload_lasts(known.expires_at, now=ports.now()):
            missing.add(digest or view)
    return len(missing)


@asynccontextmanager
async def alone(held: dict[str, anyio.Lock], picture: str) -> AsyncIterator[None]:
    """Let one item at a time upload a picture: the others find it uploaded."""
    lock = held.setdefault(picture, anyio.Lock())
    async with lock:
        yield
    if not lock.locked():  # else one that waited has it now, and later ones must wait for that one
        held.pop(picture, None)


def digest_sent(image: ImageView) -> str | None:
    """Return the digest of what was sent of a picture, of all its views where it has several; None when nobody saw."""
    return digest_of_sent((view.source, view.sha256) for view in image.views) if image.views else image.sha256
