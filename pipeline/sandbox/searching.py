"""Searches: picture to features, features to hits, hits to the vendor's JSON. Each result is kept for the next time."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy import float32
from numpy.typing import NDArray

from pipeline.sandbox.envelope import BAD_FILE, Refused
from pipeline.sandbox.features import NotAPicture, describe
from pipeline.sandbox.gallery import Gallery, Hit, Wanted
from pipeline.sandbox.patents import Patent
from pipeline.sandbox.pictures import LIFETIME_S, Picture, PictureStore
from pipeline.sandbox.shapes import nothing_like
from pipeline.sandbox.validate import SearchRequest

MAX_PICTURE_BYTES = 4096 * 1024

_LINK = "@link@"
_NO_WORD = re.compile(r"\b[A-Z_]+:|\bAND\b|[()\"]")
_KEPT_ANSWER_BYTES = 64 * 2**20
_KEPT_FEATURES = 2048
_KEPT_GALLERIES = 4

_galleries: dict[Path, Gallery] = {}


class _Look(NamedTuple):
    """The look of the hits in an answer.

    model: of P060, 0 for P009
    score: P060 leaves it out where hits are sorted by a date
    beta: hits without the fields that the beta's schema lacks
    """

    model: int
    lang: str
    img_id: bool
    score: bool
    beta: bool


class _Template(NamedTuple):
    """The data of an answer, cut where the links to the hits' pictures belong: they change every second."""

    parts: tuple[bytes, ...]
    files: tuple[str, ...]

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))


class Searcher:
    """Answers to searches. The same search in the same second gets the same bytes; only its links change later.

    Pictures are worked on in two threads of its own, so that they do not delay the event loop. `clock` is the wall
    clock in seconds.
    """

    def __init__(self, gallery: Gallery, pictures: PictureStore, *, clock: Callable[[], float]) -> None:
        self._gallery = gallery
        self._pictures = pictures
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="sandbox-pictures")
        self._answers = _KeptAnswers(_KEPT_ANSWER_BYTES)
        self._working: dict[object, asyncio.Future[_Template]] = {}

    async def data(self, search: SearchRequest, *pictures: Picture, beta: bool = False) -> bytes:
        """Return the data of an answer as JSON; a hit is as similar as it is to the picture that it resembles most.

        Raises Refused when a file is no picture.
        """
        template = await self._template(search, pictures, beta=beta)
        until = int(self._clock()) + LIFETIME_S
        scheme = "https" if search.is_https else "http"
        links = [self._pictures.gallery_url(file, until=until, scheme=scheme).encode() for file in template.files]
        pieces = [template.parts[0]]
        for link, part in zip(links, template.parts[1:], strict=True):
            pieces += (link, part)
        return b"".join(pieces)

    def patent(self, patent_id: str) -> Patent | None:
        """Return the patent of the gallery with an id."""
        return self._gallery.patent(patent_id)

    async def keep(self, data: bytes) -> str:
        """Save an upload and return its URL. Raises Refused when it cannot be decoded."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._save, data)

    def close(self) -> None:
        """End the threads. Waits for their current pictures, whose results must not come to a closed event loop."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _template(self, search: SearchRequest, pictures: tuple[Picture, ...], *, beta: bool) -> _Template:
        wanted = read_wanted(search)
        img_id = search.return_img_id is not False
        look = _Look(search.model, search.lang, img_id, score=search.field in (None, "SCORE"), beta=beta)
        key = (tuple(picture.sha256 for picture in pictures), wanted, look)
        kept = self._answers.get(key)
        if kept is not None:
            return kept
        # Many clients may send the same new search at once: the work is done once, and a client that disconnects
        # does not cancel it for the others.
        work = self._working.get(key)
        if work is None:
            work = asyncio.get_running_loop().run_in_executor(self._pool, self._work, pictures, wanted, look)
            self._working[key] = work
            work.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(work)

    def _save(self, data: bytes) -> str:
        url = self._pictures.save(data)
        _features(self._pictures.find(url))  # the search for it comes next
        return url

    def _keep(self, key: object, done: asyncio.Future[_Template]) -> None:
        del self._working[key]
        if not done.cancelled() and done.exception() is None:
            self._answers.put(key, done.result())

    def _work(self, pictures: tuple[Picture, ...], wanted: Wanted, look: _Look) -> _Template:
        features = np.concatenate([_features(picture) for picture in pictures])
        if not features.any():
            return _Template((nothing_like(pictures[0].sha256),), ())
        total, hits = self._gallery.search(features, wanted=wanted)
        messages = [_rich_message(hit, look) if look.model else _message(hit) for hit in hits]
        # Model 1, "smart recommendation", predicts the LOC class of the best hit and marks the hits that have it.
        if look.model == 1 and wanted.field == "SCORE":
            for hit, fields in zip(hits, messages, strict=True):
                fields["loc_match"] = int(hit.patent.loc == hits[0].patent.loc)
        data = msgspec.json.encode({"patent_messages": messages, "total_search_result_count": total})
        return _Template(tuple(data.split(_LINK.encode())), tuple(hit.file for hit in hits))


class _KeptAnswers:
    """The most recently used answers, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._answers: OrderedDict[object, _Template] = OrderedDict()

    def get(self, key: object) -> _Template | None:
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: object, answer: _Template) -> None:
        self._answers[key] = answer
        self._bytes += answer.size
        while self._bytes > self._max_bytes:
            self._bytes -= self._answers.popitem(last=False)[1].size


def load_gallery(folder: Path, cache_dir: Path | None, preparing: Callable[[int, int], None]) -> Gallery:
    """Load a gallery once in a process; it never changes. `preparing`: see `Gallery.load`."""
    gallery = _galleries.get(folder)
    if gallery is None:
        gallery = _galleries[folder] = Gallery.load(folder, cache_dir, preparing)
        while len(_galleries) > _KEPT_GALLERIES:
            del _galleries[next(iter(_galleries))]
    return gallery


def read_wanted(search: SearchRequest) -> Wanted:
    """Translate a validated request into the gallery's words."""
    return Wanted(
        loc=search.loc,
        assignees=_parts(search.assignees, "|"),
        country=_parts(search.country, ",") if isinstance(search.country, str) else search.country or (),
        legal_status=_parts(search.legal_status, ","),
        simple_legal_status=_parts(search.simple_legal_status, ","),
        apply_start_time=_day(search.apply_start_time),
        apply_end_time=_day(search.apply_end_time),
        public_start_time=_day(search.public_start_time),
        public_end_time=_day(search.public_end_time),
        patent_type=search.patent_type,
        words=_word_groups(search.main_field) + _word_groups(search.query_text),
        field=search.field,
        order=search.order,
        limit=search.limit,
        offset=search.offset,
    )


@lru_cache(maxsize=_KEPT_FEATURES)
def _features(picture: Picture) -> NDArray[float32]:
    data = picture.path.read_bytes()
    if len(data) > MAX_PICTURE_BYTES:
        raise Refused(BAD_FILE, "the picture is larger than 4096 KB")
    try:
        return describe(data)
    except NotAPicture as exc:
        raise Refused(BAD_FILE, str(exc)) from None


def _message(hit: Hit) -> dict[str, Any]:
    patent = hit.patent
    return {
        "url": _LINK,
        "score": hit.score,
        "title": patent.title,
        "patent_id": patent.patent_id,
        "patent_pn": patent.patent_pn,
    }


def _rich_message(hit: Hit, look: _Look) -> dict[str, Any]:
    patent = hit.patent
    message = {
        **_message(hit),
        "apno": patent.apno,
        "apdt": patent.apdt,
        "pbdt": patent.pbdt,
        "inventor": patent.inventor,
        "current_assignee": patent.current_assignee,
        "original_assignee": patent.original_assignee,
    }
    if not look.score:
        del message["score"]
    if look.lang == "cn" or (look.lang == "original" and patent.country == "CN"):
        message["title"] = patent.title_cn
    if look.img_id:
        message["img_id"] = f"{patent.patent_pn}-1"
    if not look.beta:
        message |= {"authority": patent.country, "loc": [patent.loc]}
    return message


def _word_groups(text: str | None) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """Read a query as words that must all be there, with OR between groups of them; names of fields are left out."""
    if not text:
        return ()
    plain = _NO_WORD.sub(" ", text)
    groups = (tuple(group.casefold().split()) for group in re.split(r"\bOR\b", plain))
    return (tuple(group for group in groups if group),)


def _parts(text: str | None, separator: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(separator)) if text else ()


def _day(text: str | None) -> int | None:
    return int(text) if text else None
