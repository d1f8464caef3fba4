"""The pictures of the best hits, and of local products, kept while a run goes on (results/pictures/).

The vendor's links die within hours, and a page is looked at for years. Fetching never holds a paid call up: it takes
a few connections of its own, decodes in processes of the lowest priority, and what is not done when the last call is
paid gets a tenth of the run's time more, and some seconds at least. What is dropped then is counted.
"""

import functools
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import anyio
import msgspec

from pipeline.calls.downloads import Downloads, NotFetched, open_downloads
from pipeline.job.schema import JobSpec
from pipeline.models import SANDBOX_HOST, Hits, Work
from pipeline.results.pictures.store import PictureStore, key_of_link, key_of_product
from pipeline.results.summary import Pictures
from pipeline.run.embedded_sandbox import hit_picture
from pipeline.run.load import Job
from pipeline.run.shrinkers import SIDES, open_shrinkers
from pipeline.sources.pictures import preview_picture, read_picture
from pipeline.views import is_url, views_of

AT_ONCE = 4
LEAST_S = 10.0  # after the last paid call a short run may go on for so long, too
SHARE = 0.1  # of the run's time, for a long one
_LOOK_EVERY_S = 0.25
_HOPELESS = 20  # a host that failed so often in a row is not asked any more in this run

_log = logging.getLogger(__name__)


class _Linked(msgspec.Struct, gc=False):
    url: str | None = None


_LINKS = msgspec.json.Decoder(list[_Linked])


class _Wanted(NamedTuple):
    """A picture to be kept. `source` is a link, or the path of a product, whose digest is `sha256`."""

    key: str
    source: str
    sha256: str | None
    expires_at: float


@dataclass(frozen=True, slots=True)
class Means:
    """The network, the files and the workers of a run.

    fetch    returns the bytes behind a link; raises NotFetched
    product  returns the bytes of a local picture and their digest; it blocks. Raises OSError or an error of its own
    shrink   makes the copies of a picture, each with its side; [] when it cannot be decoded
    now      seconds since the epoch
    """

    fetch: Callable[[str], Awaitable[bytes]]
    product: Callable[[str], tuple[bytes, str]]
    shrink: Callable[[bytes], Awaitable[list[tuple[int, bytes]]]]
    now: Callable[[], float] = time.time


class KeptPictures:
    """The pictures of one run; made in its event loop.

    keep      hits of an item whose pictures are kept, the most similar ones
    products  whether products that the job names by URL are fetched, too
    """

    def __init__(self, store: PictureStore, means: Means, *, keep: int, products: bool = False) -> None:
        self.kept = 0
        self.not_kept: Counter[str] = Counter()  # by reason
        self._store = store
        self._keep = keep
        self._products = products
        self._means = means
        self._wanted: deque[_Wanted] = deque()
        self._seen: set[str] = set()
        self._under_way = 0
        self._changed = anyio.Event()
        self._failures: Counter[str] = Counter()  # in a row, by host
        self._disk = anyio.CapacityLimiter(1)
        self._full = False
        self._is_over = False
        self._began = anyio.current_time()

    def add(self, work: Work, hits: Hits | None) -> None:
        """Want the pictures of an item that was searched; quick, and never raises."""
        views = views_of(work.item.source)
        digests = views_of(work.sha256) if work.item.local and work.sha256 is not None else ()
        for view, digest in zip_longest(views, digests):
            if not is_url(view) and digest is not None:
                self._want(_Wanted(key_of_product(digest), view, digest, float("inf")))
            elif is_url(view) and self._products:
                self._want(_Wanted(key_of_link(view), view, None, float("inf")))
        if hits is None:
            return
        try:
            links = _LINKS.decode(hits.array)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        best = sorted(range(len(hits.scores)), key=lambda index: -(hits.scores[index] or 0.0))[: self._keep]
        for link in (links[index].url for index in best if index < len(links)):
            if link:
                self._want(_Wanted(key_of_link(link), link, None, hits.expires_at))

    def _want(self, wanted: _Wanted) -> None:
        if self._is_over or wanted.key in self._seen or wanted.key in self._store:
            return
        self._seen.add(wanted.key)
        self._wanted.append(wanted)
        self._wake()

    async def run(self) -> None:
        """Fetch until cancelled."""
        async with anyio.create_task_group() as fetchers:
            for _ in range(AT_ONCE):
                fetchers.start_soon(self._fetch_on)

    async def _fetch_on(self) -> None:
        while True:
            while not self._wanted:
                await self._changed.wait()
            wanted = self._wanted.popleft()
            self._under_way += 1
            try:
                await self._keep_one(wanted)
            finally:
                self._under_way -= 1
                self._wake()

    async def finish(self, stopped: Callable[[], bool]) -> None:
        """Wait for what is still wanted, for a tenth of the run's time or LEAST_S; drop it then, or once `stopped`."""
        run_s = anyio.current_time() - self._began
        with anyio.move_on_after(max(LEAST_S, SHARE * run_s)):
            while (self._wanted or self._under_way) and not stopped():
                with anyio.move_on_after(_LOOK_EVERY_S):
                    await self._changed.wait()
        self.drop()

    def counts(self) -> Pictures:
        """Return the counts for the summary."""
        return Pictures(kept=self.kept, not_kept=dict(self.not_kept))

    def drop(self) -> None:
        """Want nothing more, and count what is dropped."""
        if self._is_over:
            return
        self._is_over = True
        if left := len(self._wanted) + self._under_way:
            self.not_kept["no time left"] += left
        self._wanted.clear()

    async def _keep_one(self, wanted: _Wanted) -> None:
        try:
            await self._kept(wanted)
        except NotFetched as error:
            self.not_kept[str(error)] += not self._is_over
            _log.info("picture.not_kept key=%s %s", wanted.key, error)
        except OSError as error:  # a full disk ends no run for a picture, and the next ones need not be tried
            self._full = True
            self.not_kept[error.strerror or "not written"] += not self._is_over
            _log.warning("picture.not_written %s", error.strerror)
        except Exception as error:  # whatever a foreign link or picture brings about, no paid call is cut off for it
            self.not_kept["it could not be handled"] += not self._is_over
            _log.error("picture.not_handled key=%s error=%s", wanted.key, type(error).__name__)

    async def _kept(self, wanted: _Wanted) -> None:
        if self._full:
            raise NotFetched("not written")
        data = await self._bytes_of(wanted)
        copies = await self._means.shrink(data)
        if not copies:
            raise NotFetched("no picture that can be decoded")
        await anyio.to_thread.run_sync(self._store.put, wanted.key, data, copies, limiter=self._disk)
        self.kept += not self._is_over

    async def _bytes_of(self, wanted: _Wanted) -> bytes:
        if wanted.sha256 is not None:
            data, digest = await anyio.to_thread.run_sync(self._read_product, wanted.source)
            if digest != wanted.sha256:
                raise NotFetched("the file changed")
            return data
        if wanted.expires_at <= self._means.now():
            raise NotFetched("the link expired")
        host = wanted.source.split("/")[2] if wanted.source.count("/") > 2 else ""
        if self._failures[host] >= _HOPELESS:
            raise NotFetched("its host does not answer")
        try:
            data = await self._means.fetch(wanted.source)
        except NotFetched:
            self._failures[host] += 1
            raise
        self._failures[host] = 0
        return data

    def _read_product(self, source: str) -> tuple[bytes, str]:
        try:
            return self._means.product(source)
        except Exception as exc:  # whatever is wrong with the file was said when it was searched
            raise NotFetched("the file cannot be read") from exc

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def keeping(job: Job, folder: Path, *, vendor: str) -> AsyncIterator[KeptPictures | None]:
    """Keep pictures beside the block; None where the job wants none. `vendor` is the address that is called."""
    wanted = job.spec.report.pictures
    if not wanted.keep:
        yield None
        return
    async with (
        open_shrinkers(tuple(side for side in SIDES if side <= wanted.side)) as shrinkers,
        open_downloads(proxy=job.spec.api.proxy, ca_file=job.spec.api.ca_file, own=_authority(vendor)) as downloads,
        anyio.create_task_group() as beside,
    ):
        pictures = KeptPictures(
            await anyio.to_thread.run_sync(PictureStore, folder),
            Means(
                _fetch_of(job.spec, folder, vendor, downloads),
                functools.partial(_product, job.spec),
                shrinkers.shrink,
            ),
            keep=wanted.keep,
            products=wanted.products,
        )
        beside.start_soon(pictures.run)
        try:
            yield pictures
        finally:
            pictures.drop()
            beside.cancel_scope.cancel()


def _fetch_of(spec: JobSpec, folder: Path, vendor: str, downloads: Downloads) -> Callable[[str], Awaitable[bytes]]:
    """Return the function that fetches the picture behind a link.

    Links of a sandbox name a host that does not exist: pictures of the embedded one are on the disk, those of `pipeline
    sandbox` are fetched from its own address.
    """
    at_hand = hit_picture(spec, folder)

    async def fetch(url: str) -> bytes:
        if spec.sandbox:
            data = await anyio.to_thread.run_sync(at_hand, url)
            if data is None:
                raise NotFetched("no picture of the sandbox")
            return data
        try:
            parts = urlsplit(url)
        except ValueError:
            raise NotFetched("no link") from None
        if parts.hostname == SANDBOX_HOST and _authority(vendor):
            url = f"{vendor.rstrip('/')}/pictures{parts.path}?{parts.query}"
        return await downloads.fetch(url)

    return fetch


def _product(spec: JobSpec, source: str) -> tuple[bytes, str]:
    read = preview_picture if spec.upload.fit else read_picture  # nobody needs it in full here
    picture = read(spec.root_path, source)
    return picture.data, picture.sha256


def _authority(vendor: str) -> str:
    """Return host and port of a vendor on this machine, which is a sandbox; "" for every other."""
    parts = urlsplit(vendor)
    return parts.netloc if parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1") else ""
