"""Searches, as a client sends them and reads their answers."""

from pathlib import Path

import pytest

from pipeline.sandbox.pictures import LIFETIME_S
from tests.sandbox.conftest import Clock, Start
from tests.support.sandbox_calls import (
    PRODUCT,
    SINGLE,
    call,
    search,
    single,
)

pytestmark = pytest.mark.anyio

P009_FIELDS = {"url", "score", "title", "patent_id", "patent_pn"}


class TestSearch:
    async def test_p009_finds_the_most_alike_first_and_sends_its_five_fields(self, start: Start) -> None:
        data = (await search(start(), limit="3")).data
        scores = [hit["score"] for hit in data["patent_messages"]]
        assert scores == sorted(scores, reverse=True)
        assert all(set(hit) == P009_FIELDS for hit in data["patent_messages"])
        assert all(0 <= score <= 1 for score in scores)

    async def test_the_total_counts_all_that_pass_and_limit_and_offset_cut_a_page(self, start: Start) -> None:
        server = start()
        whole = (await search(server, limit="100")).data
        page = (await search(server, limit="5", offset="3")).data
        assert whole["total_search_result_count"] == page["total_search_result_count"] == 12
        assert page["patent_messages"] == whole["patent_messages"][3:8]

    async def test_filters_narrow_the_total(self, start: Start) -> None:
        server = start()
        none = (await search(server, loc="99-99")).data
        assert none == {"patent_messages": [], "total_search_result_count": 0}
        assert (await search(server, loc="03-01", public_start_time="19000101")).data["total_search_result_count"] == 12

    async def test_p060_sends_the_richer_fields(self, start: Start) -> None:
        hits = (await single(start(), limit=2)).data["patent_messages"]
        rich = {"apno", "apdt", "pbdt", "inventor", "current_assignee", "original_assignee", "loc", "loc_match"}
        assert all(set(hit) == P009_FIELDS | rich for hit in hits)
        assert hits[0]["loc_match"] == 1

    @pytest.mark.parametrize("fields", [{"model": 2}, {"field": "APD"}], ids=["model 2", "other sort"])
    async def test_loc_match_is_for_model_1_sorted_by_score_only(self, fields: dict, start: Start) -> None:
        hits = (await single(start(), **fields)).data["patent_messages"]
        assert not any("loc_match" in hit for hit in hits)

    async def test_the_beta_path_answers_alike(self, start: Start) -> None:
        server = start()
        body = {"url": PRODUCT, "model": 1, "patent_type": "D"}
        beta = await call(server, "POST", f"{SINGLE}/beta", json=body)
        assert beta.body == (await single(server)).body

    async def test_there_are_no_utility_models(self, start: Start) -> None:
        assert (await single(start(), model=3, patent_type="U")).data["total_search_result_count"] == 0

    async def test_country_filters(self, start: Start) -> None:
        server = start()
        hits = (await single(server, country=["US"], limit=100)).data["patent_messages"]
        assert all(hit["patent_pn"].startswith("US") for hit in hits)
        assert len(hits) < 12

    async def test_the_same_search_within_an_hour_gives_the_same_bytes(self, start: Start, clock: Clock) -> None:
        server = start()
        clock.now += 1
        first = (await search(server)).body
        clock.now += 3598
        assert (await search(server)).body == first
        clock.now += 2
        assert (await search(server)).body != first

    async def test_a_hits_picture_can_be_searched_and_read_for_nine_hours(self, start: Start, clock: Clock) -> None:
        server = start()
        clock.now += 1800
        url = (await search(server)).data["patent_messages"][0]["url"]
        clock.now += LIFETIME_S - 1
        assert (await search(server, url=url)).data["patent_messages"][0]["score"] == 1.0
        clock.now += 3600
        assert (await search(server, url=url)).code == 68300004

    async def test_a_foreign_url_is_refused_with_the_reason(self, start: Start) -> None:
        reply = await search(start(), url="https://cdn.example.com/1.jpg")
        assert reply.code == 68300004
        assert "fetches nothing" in reply.envelope["error_msg"]

    async def test_a_product_that_is_no_picture_is_68300010(self, start: Start, tmp_path: Path) -> None:
        (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff, but no JPG")
        (tmp_path / "big.jpg").write_bytes(b"\xff\xd8\xff" + b"\0" * 4096 * 1024)
        server = start(products=tmp_path)
        for name in ("bad.jpg", "big.jpg"):
            reply = await search(server, url=f"https://sandbox.invalid/products/{name}")
            assert reply.code == 68300010

    async def test_distinct_searches_are_counted_apart_from_repeated_ones(self, start: Start) -> None:
        server = start()
        for limit in ("1", "2", "2", "2"):
            await search(server, limit=limit)
        assert server.stats.distinct_searches == 2
        assert server.stats.executed == {"search": 4}
