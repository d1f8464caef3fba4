"""Searches, as a client sends them and reads their answers."""

import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline.sandbox.pictures import LIFETIME_S
from tests.support.fixtures import Clock, Start
from tests.support.sandbox_calls import (
    PRODUCT,
    SEARCH_ID,
    SINGLE,
    call,
    search,
    single,
)

pytestmark = pytest.mark.anyio

P009_FIELDS = {"url", "score", "title", "patent_id", "patent_pn"}
BETA_FIELDS = {"apno", "apdt", "pbdt", "inventor", "current_assignee", "original_assignee", "img_id"}
P060_FIELDS = {*BETA_FIELDS, "loc", "authority"}


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

    async def test_v2_of_p009_filters_by_country_and_names_its_hits(self, start: Start) -> None:
        server = start()
        plain = (await search(server, limit="100")).data
        params = {"url": PRODUCT, "limit": "100", "country": "US,KR"}
        found = (await call(server, "GET", SEARCH_ID, params=params)).data
        numbers = [hit["patent_pn"] for hit in found["patent_messages"]]
        assert numbers
        assert numbers == [pn for hit in plain["patent_messages"] if (pn := hit["patent_pn"]).startswith(("US", "KR"))]
        assert found["search_id"].endswith("-1-D")
        assert all(set(hit) == P009_FIELDS for hit in found["patent_messages"])

    async def test_v2_of_p009_names_its_hits_where_there_are_none(self, start: Start) -> None:
        params = {"url": PRODUCT, "limit": "5", "loc": "99-99"}
        found = (await call(start(), "GET", SEARCH_ID, params=params)).data
        assert (found["patent_messages"], found["total_search_result_count"]) == ([], 0)
        assert found["search_id"]

    async def test_p060_sends_the_richer_fields(self, start: Start) -> None:
        hits = (await single(start(), limit=2)).data["patent_messages"]
        assert all(set(hit) == P009_FIELDS | P060_FIELDS | {"loc_match"} for hit in hits)
        assert hits[0]["loc_match"] == 1
        assert all(hit["patent_pn"].startswith((hit["authority"], "JPD", "USD")) for hit in hits)

    @pytest.mark.parametrize("fields", [{"model": 2}, {"field": "APD"}], ids=["model 2", "other sort"])
    async def test_loc_match_is_for_model_1_sorted_by_score_only(self, fields: dict, start: Start) -> None:
        hits = (await single(start(), **fields)).data["patent_messages"]
        assert not any("loc_match" in hit for hit in hits)

    async def test_the_beta_finds_the_same_and_lacks_two_fields(self, start: Start) -> None:
        server = start()
        body = {"url": PRODUCT, "model": 1, "patent_type": "D"}
        beta = (await call(server, "POST", f"{SINGLE}/beta", json=body)).data["patent_messages"]
        plain = (await single(server)).data["patent_messages"]
        assert [hit["patent_id"] for hit in beta] == [hit["patent_id"] for hit in plain]
        assert set(beta[0]) == P009_FIELDS | BETA_FIELDS | {"loc_match"}

    async def test_there_are_no_utility_models(self, start: Start) -> None:
        assert (await single(start(), model=3, patent_type="U")).data["total_search_result_count"] == 0

    async def test_country_filters(self, start: Start) -> None:
        server = start()
        hits = (await single(server, country=["US"], limit=100)).data["patent_messages"]
        assert all(hit["patent_pn"].startswith("US") for hit in hits)
        assert len(hits) < 12

    async def test_the_same_search_in_the_same_second_gives_the_same_bytes(self, start: Start, clock: Clock) -> None:
        server = start()
        first = (await search(server)).body
        clock.now += 0.9
        assert (await search(server)).body == first
        clock.now += 0.1
        assert (await search(server)).body != first

    async def test_a_hits_picture_can_be_searched_for_nine_hours_and_not_a_second_longer(
        self, start: Start, clock: Clock
    ) -> None:
        server = start()
        clock.now += 1800
        url = (await search(server)).data["patent_messages"][0]["url"]
        clock.now += LIFETIME_S - 1
        assert (await search(server, url=url)).data["patent_messages"][0]["score"] == 1.0
        clock.now += 1
        assert (await search(server, url=url)).code == 68300004

    async def test_links_are_http_unless_https_is_asked_for(self, start: Start) -> None:
        server = start()

        def schemes(data: dict) -> set[str]:
            return {hit["url"].partition(":")[0] for hit in data["patent_messages"]}

        assert schemes((await search(server)).data) == {"http"}
        assert schemes((await single(server)).data) == schemes((await single(server, is_https=0)).data) == {"http"}
        secure = (await single(server, is_https=1)).data
        assert schemes(secure) == {"https"}
        assert (await search(server, url=secure["patent_messages"][0]["url"])).code == 0

    @pytest.mark.parametrize(
        ("fields", "total"),
        [
            ({"main_field": "bag"}, 12),
            ({"main_field": "BAG AND handbag OR handbag"}, None),
            ({"main_field": "chair"}, 0),
            ({"main_field": "bag chair"}, 0),
            ({"main_field": "(chair OR bag)"}, 12),
            ({"query_text": "TACD: bag"}, 12),
            ({"query_text": "TACD: chair"}, 0),
            ({"main_field": "bag", "query_text": "PN: nothing"}, 0),
        ],
    )
    async def test_words_narrow_the_total(self, fields: dict, total: int | None, start: Start) -> None:
        found = (await single(start(), lang="en", limit=100, **fields)).data
        expected = {hit["patent_id"] for hit in found["patent_messages"] if "handbag" in hit["title"].lower()}
        assert found["total_search_result_count"] == (len(expected) if total is None else total)

    async def test_titles_come_in_the_language_that_is_asked_for(self, start: Start) -> None:
        server = start()
        english, chinese, original = [
            {hit["authority"]: hit["title"] for hit in (await single(server, **lang)).data["patent_messages"]}
            for lang in ({"lang": "en"}, {"lang": "cn"}, {})
        ]
        assert all(title.isascii() for title in english.values())
        assert set(chinese.values()) == {"手提包"}
        assert original == english | {"CN": "手提包"}

    async def test_the_picture_of_a_hit_has_an_id_unless_it_is_declined(self, start: Start) -> None:
        server = start()
        for given, there in (({}, True), ({"return_img_id": True}, True), ({"return_img_id": False}, False)):
            hits = (await single(server, **given)).data["patent_messages"]
            assert all(("img_id" in hit) is there for hit in hits)

    async def test_hits_sorted_by_a_date_carry_no_score(self, start: Start) -> None:
        hits = (await single(start(), field="APD")).data["patent_messages"]
        assert not any("score" in hit for hit in hits)

    async def test_a_picture_without_any_likeness_finds_nothing_in_any_of_four_shapes(
        self, start: Start, tmp_path: Path
    ) -> None:
        for shade in range(24):
            Image.new("L", (40, 40), shade).save(tmp_path / f"{shade}.png")
        server = start(products=tmp_path)
        answers = [
            (await search(server, url=f"https://sandbox.invalid/products/{shade}.png")).data for shade in range(24)
        ]
        assert {json.dumps(answer) for answer in answers} == {
            "{}",
            '{"patent_messages": null}',
            '{"total_search_result_count": 0}',
            '{"patent_messages": [], "total_search_result_count": 0}',
        }
        again = (await search(server, url="https://sandbox.invalid/products/0.png")).data
        assert again == answers[0]

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
