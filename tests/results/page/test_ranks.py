"""The place of a hit in the vendor's order, on the page: named where the scores give another order."""

from typing import Any

import msgspec

from pipeline.results.page.entries import entry_of
from pipeline.results.reading import read_line


def ranks(*scores: float, **search: Any) -> list[int]:
    hits = [{"score": score, "patent_pn": str(number)} for number, score in enumerate(scores)]
    line = {"schema": 1, "item": "A", "status": "tasked", "image": {"source": "a"}, "search": search, "hits": hits}
    return [hit.rank for hit in entry_of(read_line(msgspec.json.encode(line))).hits]


def test_where_the_vendors_order_is_that_of_the_scores_no_place_is_named() -> None:
    assert ranks(0.9, 0.8, 0.7) == [0, 0, 0]


def test_the_vendors_places_are_named_where_the_scores_give_another_order() -> None:
    assert ranks(0.7, 0.9, 0.8) == [2, 3, 1]


def test_places_over_several_pages_are_those_that_the_record_has() -> None:
    assert ranks(0.7, 0.9, 0.8, ranks=[1, 2, 104]) == [2, 104, 1]
