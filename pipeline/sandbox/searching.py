"""Searches: picture to features, features to hits, hits to the vendor's JSON. Each result is kept for the next time."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from numpy import float32
from numpy.typing import NDArray

from pipeline.sandbox.envelope import BAD_FILE, Refused
from pipeline.sandbox.features import NotAPicture, describe
from pipeline.sandbox.gallery import Gallery, Hit, Wanted
from pipeline.sandbox.pictures import LIFETIME_S, Picture, PictureStore
from pipeline.sandbox.validate import SearchP009, SearchP060

MAX_PICTURE_BYTES = 4096 * 1024

_HOUR_S = 3600
_KEPT_ANSWER_BYTES = 64 * 2**20
_KEPT_FEATURES = 2048


class Searcher:
    """Answers to searches. The same search within an hour gets the same bytes.

    Pictures are worked on in two threads of its own, so that they do not delay the event loop. `clock` is the wall
    clock in seconds.
    """

    def __init__(self, gallery: Gallery, pictures: PictureStore, *, clock: Callable[[], float]) -> None:
        self._gallery = gallery
        self._pictures = pictures
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="sandbox-pictures")
        self._answers = _KeptAnswers(_KEPT_ANSWER_BYTES)
        self._working: dict[object, asyncio.Future[bytes]] = {}
        self._features = lru_cache(maxsize=_KEPT_FEATURES)(_features)

    async def data(self, search: SearchP009 | SearchP060, picture: Picture) -> bytes:
        """Return the data of an answer as JSON. Raises Refused when the file is no picture."""
        wanted = read_wanted(search)
        until = _rounded_up(self._clock() + LIFETIME_S)
        model = search.model
        key = (picture.sha256, wanted, model, until)
        kept = self._answers.get(key)
        if kept is not None:
            return kept
        # Many clients may send the same new search at once: the work is done once, and a client that disconnects
        # does not cancel it for the others.
        work = self._working.get(key)
        if work is None:
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._work, picture, wanted, model, until)
            self._working[key] = work
            work.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(work)

    async def keep(self, data: bytes) -> str:
        """Save an upload and return its URL. Raises Refused when it cannot be decoded."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._save, data)

    def close(self) -> None:
        """End the threads. Waits for their current pictures, whose results must not come to a closed event loop."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _save(self, data: bytes) -> str:
        url = self._pictures.save(data)
        self._features(self._pictures.find(url))  # the search for it comes next
        return url

    def _keep(self, key: object, done: asyncio.Future[bytes]) -> None:
        del self._working[key]
        if not done.cancelled() and done.exception() is None:
            self._answers.put(key, done.result())

    def _work(self, picture: Picture, wanted: Wanted, model: int, until: int) -> bytes:
        total, hits = self._gallery.search(self._features(picture), wanted=wanted)
        message = _rich_message if model else _message
        messages = [message(hit, self._pictures.gallery_url(hit.file, until=until)) for hit in hits]
        # Model 1, "smart recommendation", predicts the LOC class of the best hit and marks the hits that have it.
        if model == 1 and wanted.field == "SCORE":
            for hit, fields in zip(hits, messages, strict=True):
                fields["loc_match"] = int(hit.patent.loc == hits[0].patent.loc)
        return msgspec.json.encode({"patent_messages": messages, "total_search_result_count": total})


class _KeptAnswers:
    """The most recently used answers, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._answers: OrderedDict[object, bytes] = OrderedDict()

    def get(self, key: object) -> bytes | None:
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: object, answer: bytes) -> None:
        self._answers[key] = answer
        self._bytes += len(answer)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._answers.popitem(last=False)[1])


@lru_cache(maxsize=4)
def load_gallery(folder: Path, cache_dir: Path | None) -> Gallery:
    """Load a gallery once in a process; it never changes."""
    return Gallery.load(folder, cache_dir)


def read_wanted(search: SearchP009 | SearchP060) -> Wanted:
    """Translate a validated request into the gallery's words."""
    return Wanted(
        loc=search.loc,
        assignees=_parts(search.assignees, "|"),
        country=search.country or (),
        legal_status=_parts(search.legal_status, ","),
        simple_legal_status=_parts(search.simple_legal_status, ","),
        apply_start_time=_day(search.apply_start_time),
        apply_end_time=_day(search.apply_end_time),
        public_start_time=_day(search.public_start_time),
        public_end_time=_day(search.public_end_time),
        patent_type=search.patent_type,
        field=search.field,
        order=search.order,
        limit=search.limit,
        offset=search.offset,
    )


def _features(picture: Picture) -> NDArray[float32]:
    data = picture.path.read_bytes()
    if len(data) > MAX_PICTURE_BYTES:
        raise Refused(BAD_FILE, "the picture is larger than 4096 KB")
    try:
        return describe(data)
    except NotAPicture as exc:
        raise Refused(BAD_FILE, str(exc)) from None


def _message(hit: Hit, url: str) -> dict[str, Any]:
    patent = hit.patent
    return {
        "url": url,
        "score": hit.score,
        "title": patent.title,
        "patent_id": patent.patent_id,
        "patent_pn": patent.patent_pn,
    }


def _rich_message(hit: Hit, url: str) -> dict[str, Any]:
    patent = hit.patent
    return {
        **_message(hit, url),
        "apno": patent.apno,
        "apdt": patent.apdt,
        "pbdt": patent.pbdt,
        "inventor": patent.inventor,
        "current_assignee": patent.current_assignee,
        "original_assignee": patent.original_assignee,
        "loc": [patent.loc],
    }


def _rounded_up(seconds: float) -> int:
    return -int(-seconds // _HOUR_S) * _HOUR_S


def _parts(text: str | None, separator: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(separator)) if text else ()


def _day(text: str | None) -> int | None:
    return int(text) if text else None
