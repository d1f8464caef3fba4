"""The gallery: every drawing is one patent, found by the similarity of its picture.

It stands between `features`, which turns a picture into numbers, and `searching`, which writes the vendor's JSON. The
index of the shipped gallery lies beside it. That of another one is computed once and kept as a file, or
computed in each process when there is no folder to keep it.
"""

import hashlib
import io
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.endpoints.locarno import parse_locarno
from pipeline.sandbox.features import FEATURE_VERSION, SIZE, NotAPicture, describe
from pipeline.sandbox.patents import Patent, invent_patent
from pipeline.system.drafts import SHARED_S, sweep
from pipeline.system.files import write_whole

_BAND_ROWS = 200  # x 512 numbers x 2 features: below the 262,144 multiplications from which OpenBLAS uses threads
_SUFFIXES = (".jpeg", ".jpg", ".png")


class Hit(NamedTuple):
    """One drawing that was found; `score` is 0 to 1, rounded to 4 decimals."""

    file: str
    score: float
    patent: Patent


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The filters, order and page of a search. An empty or absent filter lets everything pass.

    loc: a Locarno expression; LocarnoError is raised when it is none
    assignees: parts of names, in any case
    ..._time: yyyyMMdd, both ends included
    words: groups of words in any case; of each entry one group must be there with all its words
    field: what hits are sorted by; the score when None
    limit, offset: the page, counted after sorting
    """

    loc: str | None = None
    assignees: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    legal_status: tuple[str, ...] = ()
    simple_legal_status: tuple[str, ...] = ()
    apply_start_time: int | None = None
    apply_end_time: int | None = None
    public_start_time: int | None = None
    public_end_time: int | None = None
    patent_type: Literal["D", "U"] | None = None
    words: tuple[tuple[tuple[str, ...], ...], ...] = ()
    field: Literal["SCORE", "APD", "PBD", "ISD"] | None = None
    order: Literal["desc", "asc"] = "desc"
    limit: int = 100
    offset: int = 0

    def __post_init__(self) -> None:
        if self.loc:
            parse_locarno(self.loc)

    def admits(self, patent: Patent) -> bool:
        """Return whether a patent passes every filter."""
        return (
            self.patent_type != "U"  # the gallery holds designs only
            and (not self.loc or parse_locarno(self.loc).matches(patent.loc))
            and (not self.assignees or _names_one_of(self.assignees, patent))
            and (not self.words or _has_words(self.words, patent))
            and (not self.country or patent.country in self.country)
            and (not self.legal_status or patent.legal_status in self.legal_status)
            and (not self.simple_legal_status or patent.simple_legal_status in self.simple_legal_status)
            and _within(patent.apdt, self.apply_start_time, self.apply_end_time)
            and _within(patent.pbdt, self.public_start_time, self.public_end_time)
        )

    def sort_key(self, hit: Hit) -> tuple[float, str]:
        """Return the key to sort by. Equal hits are sorted by file name in both orders, so that pages never overlap."""
        # A design is issued the day it is published, so ISD sorts as PBD.
        days = {"APD": hit.patent.apdt, "PBD": hit.patent.pbdt, "ISD": hit.patent.pbdt}
        value = days.get(self.field or "SCORE", hit.score)
        return (-value if self.order == "desc" else value), hit.file


class Gallery:
    """All drawings of a folder, indexed; it never changes."""

    def __init__(self, files: Sequence[str], index: NDArray[np.float32]) -> None:
        self.files = tuple(files)
        # In bands so small that OpenBLAS multiplies each in this thread: see `features`.
        self._bands = [index[row : row + _BAND_ROWS] for row in range(0, len(index), _BAND_ROWS)]
        self._patents = tuple(invent_patent(file) for file in self.files)
        self._by_id = {patent.patent_id: patent for patent in self._patents}

    def __repr__(self) -> str:
        return f"<Gallery of {len(self.files)} drawings>"

    @classmethod
    def load(
        cls, folder: Path, cache_dir: Path | None, preparing: Callable[[int, int], None] = lambda done, total: None
    ) -> "Gallery":
        """Index every PNG and JPEG of a folder, or read the index that lies beside it or is kept in `cache_dir`.

        While they are indexed, which takes seconds, `preparing` is called with the number of those done and of all.
        Raises FileNotFoundError for a folder without drawings and NotAPicture for a drawing that cannot be decoded. A
        cache that is broken or cannot be written is no error.
        """
        drawings = {
            path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix.lower() in _SUFFIXES
        }
        if not drawings:
            raise FileNotFoundError(f"no drawings (*.png, *.jpg) in {folder}")
        name = f"gallery-{_digest(drawings)}.npy"
        places = [place / name for place in (shipped_index(folder), cache_dir) if place is not None]
        index = next((found for kept in places if (found := _read_index(kept, len(drawings))) is not None), None)
        if index is None:
            index = _build_index(drawings, preparing)
            if cache_dir is not None:
                _keep_index(cache_dir / name, index)
        return cls(list(drawings), index)

    def patent(self, patent_id: str) -> Patent | None:
        """Return the patent with an id; None when no drawing here has it."""
        return self._by_id.get(patent_id)

    def search(self, query: NDArray[np.float32], *, wanted: Wanted) -> tuple[int, list[Hit]]:
        """Return how many patents pass the filters, and the wanted page of hits.

        `query` comes from `describe`. A drawing has the higher of the scores of the picture and of its mirror image;
        one without any likeness to it, as all are for a blank picture, is no hit.
        """
        cosines = np.concatenate([(band @ query.T).max(axis=1) for band in self._bands])
        # Rounded before sorting: the last bits of a sum differ between processors, the order of hits must not.
        scores = np.clip(cosines.astype(np.float64), 0.0, 1.0).round(4).tolist()
        hits = [
            Hit(file, score, patent)
            for file, score, patent in zip(self.files, scores, self._patents, strict=True)
            if score > 0 and wanted.admits(patent)
        ]
        hits.sort(key=wanted.sort_key)
        return len(hits), hits[wanted.offset : wanted.offset + wanted.limit]


def shipped_index(folder: Path) -> Path:
    """Return the folder in which the index of a gallery may lie: beside its own, where it would pass for a drawing."""
    return folder.with_name(f"{folder.name}-index")


def _names_one_of(names: tuple[str, ...], patent: Patent) -> bool:
    owners = f"{patent.current_assignee}\n{patent.original_assignee}".casefold()
    return any(name.strip().casefold() in owners for name in names)


def _has_words(entries: tuple[tuple[tuple[str, ...], ...], ...], patent: Patent) -> bool:
    names = (patent.inventor, patent.current_assignee, patent.original_assignee)
    text = "\n".join((patent.title, patent.title_cn, patent.patent_pn, patent.apno, patent.loc, *names)).casefold()
    return all(any(all(word in text for word in group) for group in groups) for groups in entries)


def _within(day: int, start: int | None, end: int | None) -> bool:
    return (start is None or day >= start) and (end is None or day <= end)


def _digest(drawings: dict[str, bytes]) -> str:
    digest = hashlib.sha256(f"features {FEATURE_VERSION}\n".encode())
    for name, data in drawings.items():
        digest.update(f"{name}\n{len(data)}\n{hashlib.sha256(data).hexdigest()}\n".encode())
    return digest.hexdigest()[:32]


def _build_index(drawings: dict[str, bytes], preparing: Callable[[int, int], None]) -> NDArray[np.float32]:
    index = np.empty((len(drawings), SIZE), np.float32)
    for row, (name, data) in enumerate(drawings.items()):
        preparing(row, len(drawings))
        try:
            index[row] = describe(data)[0]
        except NotAPicture as exc:
            raise NotAPicture(f"{name}: {exc}") from exc
    return index


def _read_index(kept: Path, drawings: int) -> NDArray[np.float32] | None:
    try:
        index: NDArray[np.float32] = np.load(kept, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if index.shape != (drawings, SIZE) or index.dtype != np.float32 or not np.isfinite(index).all():
        return None
    return index


def _keep_index(kept: Path, index: NDArray[np.float32]) -> None:
    # Two processes may build it at once: each writes a file of its own, and both rename the same bytes into place.
    with suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        sweep(kept.parent, [re.escape(kept.name)], older_s=SHARED_S)
        array = io.BytesIO()
        np.save(array, index)
        write_whole(kept, array.getvalue(), durable=False, several_writers=True)
