"""The uploads of views: each picture is uploaded once, whatever items show it, and is durable when it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from pipeline.engine.cost import upload_lasts
from pipeline.engine.parts import Ports
from pipeline.models import Upload, Work
from pipeline.ports import Meter
from pipeline.sources.pictures import Picture
from pipeline.views import local_views


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
