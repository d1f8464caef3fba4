import io
from pathlib import Path

import aiohttp
import pytest

from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.pictures import LIFETIME_S
from pipeline.sandbox.resources import resource
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from tests.sandbox.conftest import NOON, Clock, Settings, Start
from tests.support.sandbox_calls import (
    CREATE,
    KEY,
    PRODUCT,
    QUERY,
    SEARCH,
    SINGLE,
    UPLOAD,
    basic,
    call,
    create,
    creation,
    message,
    search,
    single,
    token,
    upload,
)

pytestmark = pytest.mark.anyio

P009_FIELDS = {"url", "score", "title", "patent_id", "patent_pn"}


async def bearer(server) -> dict[str, str]:
    reply = await token(server)
    return {"Authorization": f"Bearer {reply.envelope['token']}"}


class TestToken:
    async def test_the_flat_shape_is_the_contracts(self, start: Start) -> None:
        answer = (await token(start())).envelope
        assert set(answer) == {"token", "token_type", "expires_in", "status", "issued_at"}
        assert (answer["token_type"], answer["expires_in"], answer["status"]) == ("BearerToken", 1799, "approved")
        assert answer["issued_at"] == str(int(NOON * 1000))

    async def test_the_older_shape_nests_it_and_sends_text(self, start: Start) -> None:
        answer = await token(start(token_shape="nested"))
        assert answer.data["expires_in"] == "1799"
        assert answer.data["token"]

    async def test_wrong_credentials_are_67200003(self, start: Start) -> None:
        assert (await token(start(), secret="guess")).code == 67200003

    async def test_missing_credentials_are_67200003(self, start: Start) -> None:
        reply = await call(start(), "POST", "/oauth/token", data={"grant_type": "client_credentials"})
        assert reply.code == 67200003

    async def test_another_grant_is_refused(self, start: Start) -> None:
        assert (await token(start(), grant="password")).code == 68300004

    async def test_a_json_body_is_refused(self, start: Start) -> None:
        headers = {"Authorization": basic("sandbox", "sandbox-secret")}
        reply = await call(start(), "POST", "/oauth/token", json={"grant_type": "client_credentials"}, headers=headers)
        assert reply.code == 68300004


class TestAuthentication:
    async def test_a_token_with_its_apikey_is_let_in(self, start: Start) -> None:
        server = start()
        params = {"url": PRODUCT, "apikey": "sandbox"}
        assert (await call(server, "GET", SEARCH, params=params, headers=await bearer(server))).code == 0

    async def test_a_token_goes_with_the_apikey_on_a_post_too(self, start: Start) -> None:
        server = start()
        params, headers = {"apikey": "sandbox"}, await bearer(server)
        assert (await call(server, "POST", CREATE, params=params, json=creation(), headers=headers)).code == 0

    async def test_a_token_without_apikey_is_67200008(self, start: Start) -> None:
        server = start()
        reply = await call(server, "GET", SEARCH, params={"url": PRODUCT}, headers=await bearer(server))
        assert reply.code == 67200008

    async def test_a_token_with_another_apikey_is_67200009(self, start: Start) -> None:
        server = start()
        params = {"url": PRODUCT, "apikey": "other"}
        assert (await call(server, "GET", SEARCH, params=params, headers=await bearer(server))).code == 67200009

    async def test_a_token_dies_after_its_lifetime(self, start: Start, clock: Clock) -> None:
        server = start()
        headers, params = await bearer(server), {"url": PRODUCT, "apikey": "sandbox"}
        clock.now += 1798
        assert (await call(server, "GET", SEARCH, params=params, headers=headers)).code == 0
        clock.now += 1
        assert (await call(server, "GET", SEARCH, params=params, headers=headers)).code == 67200003

    @pytest.mark.parametrize(
        "headers",
        [{}, {"Authorization": "Bearer guess"}, {"Authorization": "Basic sandbox-key"}, {"Authorization": "Bearer"}],
        ids=["none", "wrong", "other scheme", "empty"],
    )
    async def test_anyone_else_is_67200003(self, headers: dict[str, str], start: Start) -> None:
        assert (await call(start(), "GET", SEARCH, params={"url": PRODUCT}, headers=headers)).code == 67200003

    async def test_an_api_key_goes_without_the_apikey_parameter(self, start: Start) -> None:
        assert (await search(start(), apikey="sandbox")).code == 67200009

    async def test_no_answer_repeats_a_secret(self, start: Start) -> None:
        server = start()
        headers = await bearer(server)
        replies = [
            await call(server, "GET", SEARCH, params={"apikey": "guess", "x": "y"}, headers=headers),
            await call(server, "GET", SEARCH, params={"bad": "sandbox-key"}),
            await call(
                server, "POST", CREATE, json={"sandbox-secret": 1}, headers={"Authorization": "Bearer sandbox-secret"}
            ),
        ]
        said = b"".join(reply.body + repr(sorted(reply.headers.items())).encode() for reply in replies)
        for secret in (headers["Authorization"].split()[1], "sandbox-key", "sandbox-secret", "guess"):
            assert secret.encode() not in said


class TestEnvelope:
    async def test_a_business_error_is_http_200_with_status_false(self, start: Start) -> None:
        reply = await search(start(), limit="101")
        assert reply.status == 200
        assert reply.envelope == {
            "data": None,
            "status": False,
            "error_code": 68300004,
            "error_msg": "invalid parameter: Expected 'int' <= 100 - at 'limit'",
        }

    @pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("GET", CREATE), ("POST", SEARCH), ("PUT", "/")])
    async def test_an_unknown_path_or_method_is_67200101(self, method: str, path: str, start: Start) -> None:
        server = start()
        reply = await call(server, method, path)
        assert (reply.status, reply.code) == (200, 67200101)
        assert server.stats.calls("unknown") == 1

    async def test_every_answer_has_a_correlation_id_of_its_own(self, start: Start) -> None:
        server = start()
        replies = [
            await search(server),
            await search(server, limit="0"),
            await call(server, "GET", "/x"),
            await token(server),
        ]
        assert len({reply.headers["x-correlation-id"] for reply in replies}) == 4

    async def test_only_what_was_executed_is_billed(self, start: Start, product: bytes) -> None:
        server = start()
        replies = [
            await search(server),
            await search(server, limit="0"),
            await create(server),
            await upload(server, product),
        ]
        assert [reply.headers["x-openapi-amount"] for reply in replies] == ["1", "0", "1", "0"]
        assert server.stats.units == 2


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


class TestUpload:
    async def test_an_uploaded_picture_can_be_searched(self, start: Start, product: bytes) -> None:
        server = start()
        data = (await upload(server, product)).data
        assert data["expire"] == LIFETIME_S
        assert (await search(server, url=data["url"])).data == (await search(server)).data

    async def test_a_restarted_sandbox_still_knows_an_upload(self, settings: Settings, product: bytes) -> None:
        with SandboxServer(settings()) as server:
            url = (await upload(server, product)).data["url"]
        with SandboxServer(settings()) as server:
            assert (await search(server, url=url)).code == 0

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", 68300010),
            (b"GIF89a, a picture of another kind", 68300010),
            (b"\xff\xd8\xff, but no JPG", 68300010),
            (b"\x89PNG\r\n\x1a\n, but no PNG", 68300010),
            (b"\xff\xd8\xff" + b"\0" * (4096 * 1024 - 2), 68300010),
        ],
        ids=["empty", "gif", "broken jpg", "broken png", "too large"],
    )
    async def test_what_is_no_good_picture_is_refused(self, data: bytes, code: int, start: Start) -> None:
        assert (await upload(start(), data)).code == code

    async def test_a_png_is_taken(self, start: Start) -> None:
        drawing = (resource("gallery") / "bag-0-1.png").read_bytes()
        assert (await upload(start(), drawing)).code == 0

    async def test_a_picture_of_exactly_4096_kb_is_taken(self, start: Start, product: bytes) -> None:
        assert (await upload(start(), product + b"\0" * (4096 * 1024 - len(product)))).code == 0

    async def test_another_field_is_refused(self, start: Start, product: bytes) -> None:
        assert (await upload(start(), product, field="file")).code == 68300004

    async def test_a_body_that_is_not_multipart_is_refused(self, start: Start, product: bytes) -> None:
        assert (await call(start(), "POST", UPLOAD, data=product)).code == 68300004

    async def test_a_broken_multipart_body_is_refused(self, start: Start) -> None:
        server = start()
        for content_type, body in (("multipart/form-data", b"x"), ("multipart/form-data; boundary=b", b"--c\r\n\r\nx")):
            reply = await call(server, "POST", UPLOAD, data=body, headers={**KEY, "Content-Type": content_type})
            assert reply.code in (68300004, 68300007)


class TestCreate:
    async def test_hits_of_a_search_become_a_task_in_the_truth_log(self, start: Start, tmp_path: Path) -> None:
        server = start()
        hits = (await search(server, limit="12")).data["patent_messages"]
        data = (await create(server, patent_messages=hits, country=["US", "EU"])).data
        (task,) = read_tasks(tmp_path / "sandbox")
        assert data == {"task_id": task.task_id}
        assert task.patent_ids == tuple(hit["patent_id"] for hit in hits)
        assert server.stats.executed_creates == 1

    async def test_rich_hits_are_taken_as_they_came(self, start: Start) -> None:
        server = start()
        hits = (await single(server)).data["patent_messages"]
        assert (await create(server, patent_messages=hits)).code == 0

    async def test_a_refused_creation_is_not_in_the_truth_log(self, start: Start, tmp_path: Path) -> None:
        server = start()
        assert (await create(server, report_lang="de")).code == 68300004
        assert (await call(server, "POST", CREATE, data=b"{")).code == 68300007
        assert list(read_tasks(tmp_path / "sandbox")) == []
        assert server.stats.executed_creates == 0

    async def test_expired_hits_are_refused_by_their_place(self, start: Start, clock: Clock) -> None:
        server = start()
        hits = (await search(server)).data["patent_messages"]
        clock.now += LIFETIME_S
        reply = await create(server, patent_messages=[message(), *hits])
        assert reply.code == 68300004
        assert "patent_messages[1].url" in reply.envelope["error_msg"]

    async def test_a_foreign_product_url_is_refused(self, start: Start) -> None:
        assert (await create(start(), urls=["https://cdn.example.com/1.jpg"])).code == 68300004

    async def test_a_body_beyond_all_measure_is_refused(self, start: Start) -> None:
        assert (await call(start(), "POST", CREATE, data=io.BytesIO(b" " * (8 * 2**20 + 1)))).code == 68300007

    async def test_parameters_in_the_query_are_refused(self, start: Start) -> None:
        reply = await call(start(), "POST", CREATE, params={"limit": "1"}, json=creation())
        assert reply.code == 68300004
        assert "limit" in reply.envelope["error_msg"]


class TestQuery:
    async def test_a_task_answers_one_comparison_per_patent(self, start: Start) -> None:
        server = start()
        task_id = (await create(server)).data["task_id"]
        data = (await call(server, "POST", QUERY, json={"task_id": task_id})).data
        assert data["task_id"] == task_id
        assert [comparison["score"] for comparison in data["comparisons"]] == [90.0]

    async def test_an_unknown_or_expired_task_is_68300004(self, start: Start, clock: Clock) -> None:
        server = start()
        task_id = (await create(server)).data["task_id"]
        assert (await call(server, "POST", QUERY, json={"task_id": "none"})).code == 68300004
        clock.now += 28_800
        assert (await call(server, "POST", QUERY, json={"task_id": task_id})).code == 68300004


class TestLimits:
    async def test_too_many_in_a_second_are_67200002_and_cost_nothing(self, start: Start) -> None:
        server = start(qps=0.001)
        assert [(await search(server)).code for _ in range(3)] == [0, 67200002, 67200002]
        assert (await create(server)).code == 0
        assert server.stats.outcomes["search"] == {"ok": 1, "67200002": 2}
        assert server.stats.units == 2

    async def test_the_balance_ends_with_67200005_and_refused_calls_do_not_touch_it(self, start: Start) -> None:
        server = start(balance=2)
        codes = [(await search(server, limit=limit)).code for limit in ("1", "0", "2", "3")]
        assert codes == [0, 68300004, 0, 67200005]

    async def test_the_daily_limit_is_67200007_until_tomorrow(self, start: Start, clock: Clock) -> None:
        server = start(daily_limit=1)
        assert [(await search(server)).code for _ in range(2)] == [0, 67200007]
        clock.now += 43_200
        assert (await search(server)).code == 0

    async def test_only_known_callers_are_counted_against_the_limits(self, start: Start) -> None:
        server = start(qps=0.001)
        stranger = {"Authorization": "Bearer guess"}
        assert (await call(server, "GET", SEARCH, params={"url": PRODUCT}, headers=stranger)).code == 67200003
        assert (await search(server)).code == 0


class TestPictures:
    async def test_people_can_open_the_picture_behind_a_url(self, start: Start, product: bytes) -> None:
        server = start()
        url = (await upload(server, product)).data["url"]
        reply = await call(server, "GET", url.replace("https://sandbox.invalid", "/pictures"), headers={})
        assert reply.body == product
        assert reply.headers["Content-Type"] == "image/jpeg"

    async def test_an_expired_picture_is_gone_and_an_unknown_one_not_found(
        self, start: Start, clock: Clock, product: bytes
    ) -> None:
        server = start()
        path = (await upload(server, product)).data["url"].replace("https://sandbox.invalid", "/pictures")
        clock.now += LIFETIME_S
        assert (await call(server, "GET", path)).status == 410
        assert (await call(server, "GET", "/pictures/products/none.jpg")).status == 404
        assert (await call(server, "GET", "/pictures/products/..%2Ftruth.json")).status == 404


async def test_latency_is_waited_before_the_answer_but_after_the_execution(start: Start, tmp_path: Path) -> None:
    """A client that gives up early has still created a task."""
    server = start(latency_s=(30.0, 30.0))
    async with aiohttp.ClientSession(headers=KEY) as session:
        with pytest.raises(TimeoutError):
            await session.post(server.url + CREATE, json=creation(), timeout=aiohttp.ClientTimeout(total=0.5))
    assert len(list(read_tasks(tmp_path / "sandbox"))) == 1


async def test_a_scripted_code_is_answered_without_executing_unless_after(start: Start, tmp_path: Path) -> None:
    server = start(faults=FaultPlan.scripted({"create": ["68300008", "68300008.after", "ok"]}))
    assert [(await create(server)).code for _ in range(3)] == [68300008, 68300008, 0]
    assert len(list(read_tasks(tmp_path / "sandbox"))) == server.stats.executed_creates == 2
