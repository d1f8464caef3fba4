"""Hits of several pages: nothing that hits know is lost on the way."""

from typing import Any

from pipeline.models import Hits
from pipeline.paging import Page, PagedHits, Paging, joined

HITS: dict[str, Any] = {
    "array": b'[{"patent_id":"a"}]',
    "scores": (0.5,),
    "complete": (False,),
    "total": 7,
    "request_id": "r-1",
    "at": 12.0,
    "endpoint": "P009",
    "params": {"limit": 100},
    "reused_from": ("runs/other", "sku-1"),
}


def paging(offset: int) -> Paging:
    page = Page(offset, 1, f"r-{offset}", 12.0 + offset)
    return Paging(pages=(page,), ranks=(offset + 1,), by_score=True, end=300, total=7, next_offset=None)


def test_hits_of_pages_keep_every_part_of_their_hits() -> None:
    assert set(HITS) == {*Hits.__struct_fields__} - {"crc"}, "write the new part into this test"
    assert all(getattr(Hits(**HITS), name) == value for name, value in HITS.items())
    of_pages = PagedHits.of(Hits(**HITS), paging(0)).with_paging(search_id="s")
    assert {name: getattr(of_pages, name) for name in HITS} == HITS
    assert of_pages.crc == Hits(**HITS).crc


def test_a_further_page_changes_the_hits_their_total_and_nothing_else() -> None:
    first = PagedHits.of(Hits(**HITS), paging(0))
    second = PagedHits.of(Hits(b'[{"patent_id":"b"}]', (0.4,), (True,), 8, "r-2", 99.0), paging(100))
    both = joined(first, second)
    changed = {"array": b'[{"patent_id":"a"},{"patent_id":"b"}]', "scores": (0.5, 0.4), "complete": (False, True)}
    assert {name: getattr(both, name) for name in HITS} == {**HITS, **changed, "total": 8}
    assert both.crc == Hits(**{**HITS, **changed}).crc
    assert [page.offset for page in both.paging.pages] == [0, 100]
