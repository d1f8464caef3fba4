"""The vendor's report on the page: its own words, which the page quotes, and nothing of ours about them."""

from typing import Any

from pipeline.models import State
from pipeline.reports import Comparison
from pipeline.results.page.text import tidy
from pipeline.results.reading import RecordView

MOST_UNTIED = 3  # comparisons with patents that are not among the hits shown; all of them are in the record
MOST_TEXT = 1200
TEXTS = ("similar", "difference", "confusion", "risk_desc", "suggestion")  # `assets/words.json` names them `vendor.*`


def comparisons_of(record: RecordView, places: list[int]) -> tuple[list[tuple[int, list[Any]]], int]:
    """Return what the vendor writes of the hits at these places, each with its place among them, and how many more.

    Where it writes of none of these hits, the best MOST_UNTIED of its other comparisons come, with the place -1.
    """
    if record.status != State.REPORTED.word:
        return [], 0
    shown = {place: number for number, place in enumerate(places)}
    tied = {one.hit: one for one in record.comparisons if one.hit in shown}
    told = [(shown[place], _texts(one)) for place, one in tied.items() if place is not None]
    told.sort(key=lambda one: one[0])
    others = [one for one in record.comparisons if one.hit not in shown]
    others.sort(key=lambda one: -1.0 if one.score_of_1 is None else one.score_of_1, reverse=True)
    untied = others[: 0 if told else MOST_UNTIED]
    return [*told, *((-1, _texts(one)) for one in untied)], len(record.comparisons) - len(told) - len(untied)


def _texts(one: Comparison) -> list[Any]:
    """Return number, title, level and score as the vendor sent them, and its texts in the order of `TEXTS`."""
    score = "" if one.score is None else f"{one.score:g}"
    texts = [tidy(getattr(one, key), MOST_TEXT) for key in TEXTS]
    return [tidy(one.patent_pn, 60), tidy(one.title, 160), tidy(one.risk_level, 40), score, *texts]
