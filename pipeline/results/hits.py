"""The choice of hits that go into the task, and of those that stay in the record."""

import itertools
from collections.abc import Sequence
from typing import Any

from pipeline.endpoints.patsnap.ai39_submit import SubmitSearch
from pipeline.job.schema import JobSpec
from pipeline.models import Choice, Hits
from pipeline.paging import paging_of, picked


def choose(hits: Hits, *, min_score: float, max_hits: int) -> Choice | None:
    """Choose the first `max_hits` hits at or above `min_score` (0-1); None when there are none.

    Of hits that come page by page, sorted by their scores, the best are chosen: the vendor's index may change between
    two pages. A hit without a score passes only when no score is asked for. An incomplete hit, which AI39-1 would
    refuse, is left out and counted in `dropped`.
    """
    fits: Sequence[int] = range(len(hits.scores))
    if min_score > 0:
        fits = [index for index in fits if (score := hits.scores[index]) is not None and score >= min_score]
    if not fits:
        return None
    chosen = fits if all(hits.complete) else [index for index in fits if hits.complete[index]]
    dropped = len(fits) - len(chosen)
    paging = paging_of(hits)
    if paging is not None and paging.by_score and len(chosen) > max_hits:
        best = sorted(chosen, key=lambda index: -(hits.scores[index] or 0.0))  # equal ones stay in the vendor's order
        chosen = sorted(best[:max_hits])
    chosen = chosen[:max_hits]
    return Choice(_pick(hits, chosen), len(chosen), dropped)


def decides_hits(spec: JobSpec) -> dict[str, Any]:
    """Return the settings that decide which hits the tasks of a job hold.

    Of a search these are `min_score` and `max_hits`, as its filters are noted with the search; of a submit all.
    """
    if isinstance(spec.search, SubmitSearch):
        return spec.search.asked_with(country=spec.task.country)
    return {"min_score": spec.search.min_score, "max_hits": spec.task.max_hits}


def proves_choice(hits: Hits, choice: Choice, *, count: int, dropped: int) -> bool:
    """Return whether a task of `count` hits, with so many `dropped`, can only be of the hits of this choice.

    Counts alone say so where all hits are in it, or where they are sorted by score: then each choice is the first ones.
    """
    if (count, dropped) != (choice.count, choice.dropped):
        return False
    if count + dropped == len(hits.scores):
        return True
    scores = [score for score in hits.scores if score is not None]
    return len(scores) == len(hits.scores) and all(a >= b for a, b in itertools.pairwise(scores))


def kept(hits: Hits, most: int | None) -> bytes:
    """Return the first `most` hits, which stay in the record, as a JSON array; None = all of them."""
    return hits.array if most is None else _pick(hits, range(min(most, len(hits.scores))))


def _pick(hits: Hits, indexes: Sequence[int]) -> bytes:
    if len(indexes) == len(hits.scores):
        return hits.array  # the common case: the vendor's own bytes, uncut
    return picked(hits.array, indexes)
