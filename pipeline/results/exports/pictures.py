"""Small pictures for a document, as JPEG: Excel reads no WebP."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, zip_longest
from typing import Any, NamedTuple

from pipeline.errors import PipelineError
from pipeline.results.exports.export import Picture
from pipeline.results.exports.rows import Ranked
from pipeline.results.pictures.shrink import small_jpeg
from pipeline.results.reading import RecordView
from pipeline.system.processes import cores
from pipeline.views import views_of

_AT_ONCE, _AHEAD = 16, 4  # records whose pictures one thread makes in a row, and how many times that many wait

_Batch = list[tuple[RecordView, list[Ranked]]]
_Made = tuple[bytes | None, list[bytes | None]]  # the pictures of a product and its hits


class Pictured(NamedTuple):
    """A record with its best hits and their pictures; None where there is none to show."""

    record: RecordView
    hits: list[Ranked]
    product: bytes | None
    of_hits: list[bytes | None]


class Pictures:
    """The pictures of products and hits, each made once, by threads beside the one that writes."""

    def __init__(self, picture: Picture) -> None:
        """Take pictures from `picture`."""
        self._picture = picture
        self._known: dict[tuple[str, str | None], bytes | None] = {}

    def beside(self, records: Iterable[tuple[RecordView, list[Ranked]]], *, most: int, hits: int) -> Iterator[Pictured]:
        """Yield records with the pictures of the first `most` of them and of each one's first `hits`."""
        records = iter(records)
        waiting: deque[tuple[_Batch, Future[list[_Made]]]] = deque()
        left = most
        with ThreadPoolExecutor(max(1, cores() - 1)) as threads:
            while batch := list(islice(records, _AT_ONCE)):
                waiting.append((batch, threads.submit(self._made, batch[:left], hits)))
                left = max(0, left - len(batch))
                if len(waiting) > _AHEAD:
                    yield from _pictured(*waiting.popleft())
            while waiting:
                yield from _pictured(*waiting.popleft())

    def _made(self, batch: _Batch, hits: int) -> list[_Made]:
        return [self._of(record, found[:hits]) for record, found in batch]

    def _of(self, record: RecordView, hits: list[Ranked]) -> _Made:
        product = self._small(views_of(record.image.source)[0], record.image.sha256)
        return product, [self._small(one.hit.url, None) for one in hits]

    def _small(self, source: Any, sha256: str | None) -> bytes | None:
        if not isinstance(source, str):
            return None
        key = (source, sha256)
        if key not in self._known:
            self._known[key] = self._make(source, sha256)
        return self._known[key]

    def _make(self, source: str, sha256: str | None) -> bytes | None:
        try:
            data = self._picture(source, sha256)
        except (OSError, ValueError, PipelineError):
            return None
        return small_jpeg(data) if data else None


def _pictured(batch: _Batch, made: Future[list[_Made]]) -> Iterator[Pictured]:
    for (record, hits), (product, of_hits) in zip_longest(batch, made.result(), fillvalue=(None, [])):
        assert record is not None
        yield Pictured(record, hits, product, of_hits)
