"""The vendor's report on the page: its own words in quotation marks, and nothing of ours about them."""

from typing import NamedTuple

from pipeline.models import State
from pipeline.reports import Comparison
from pipeline.results.page.text import tidy
from pipeline.results.reading import RecordView
from pipeline.system.wording import count

MOST = 3  # comparisons of an item, the highest score first; all of them are in its record
MOST_TEXT = 400
_TEXTS = {
    "similar": "Similar",
    "difference": "Different",
    "confusion": "Confusion",
    "risk_desc": "Description",
    "suggestion": "Suggestion",
}


class ComparisonCard(NamedTuple):
    """The vendor's words about one patent."""

    number: str
    title: str
    level: str  # its word, as sent; empty where it sent none
    score: str  # as sent
    texts: list[tuple[str, str]]  # names, and its words


class ReportCard(NamedTuple):
    """The report of an item."""

    said: str  # how many patents it compares, and how many of them are shown
    comparisons: list[ComparisonCard]


def report_card(record: RecordView) -> ReportCard | None:
    """Build the report of an item; None where it has none."""
    if record.status != State.REPORTED.word:
        return None
    best = sorted(record.comparisons, key=lambda one: -1.0 if one.score_of_1 is None else one.score_of_1, reverse=True)
    return ReportCard(_said(len(best)), [_comparison(one) for one in best[:MOST]])


def _said(number: int) -> str:
    if not number:
        return "The vendor's report is here, and it compares no patent. That says nothing about the product."
    first = f"; the {MOST} with the highest score are shown, results.jsonl has all" if number > MOST else ""
    return f"The vendor's report compares {count(number, 'patent')}{first}."


def _comparison(one: Comparison) -> ComparisonCard:
    texts = [(name, tidy(getattr(one, key), MOST_TEXT)) for key, name in _TEXTS.items()]
    return ComparisonCard(
        number=tidy(one.patent_pn, 60) or "no patent number",
        title=tidy(one.title, 160),
        level=tidy(one.risk_level, 40),
        score="" if one.score is None else f"{one.score:g}",
        texts=[(name, text) for name, text in texts if text],
    )
