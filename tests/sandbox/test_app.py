"""Every endpoint as a client meets it: answers, limits, uploads, tasks, pictures."""

import io
from pathlib import Path

import pytest

from pipeline.sandbox.fates import ReportPlan
from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.pictures import LIFETIME_S
from pipeline.sandbox.resources import resource
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from tests.support.fixtures import Clock, Settings, Start
from tests.support.sandbox_calls import (
    CREATE,
    KEY,
    PRODUCT,
    QUERY,
    SEARCH,
    SINGLE,
    UPLOAD,
    call,
    create,
    create_without_answer,
    creation,
    message,
    search,
    single,
    token,
    upload,
)

pytestmark = pytest.mark.anyio

P009_FIELDS = {"url", "score", "title", "patent_id", "patent_pn"}


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


class TestPermissions:
    async def test_an_endpoint_that_the_account_lacks_is_67200004_and_the_others_work(self, start: Start) -> None:
        server = start(denied=frozenset({"P009", "P060"}), balance=1)
        body = {"url": PRODUCT, "model": 1, "patent_type": "D"}
        assert [(await search(server)).code, (await single(server)).code] == [67200004, 67200004]
        assert (await call(server, "POST", f"{SINGLE}/beta", json=body)).code == 0

    async def test_strangers_are_not_told_what_the_account_lacks(self, start: Start) -> None:
        stranger = {"Authorization": "Bearer guess"}
        reply = await call(start(denied=frozenset({"P009"})), "GET", SEARCH, params={"url": PRODUCT}, headers=stranger)
        assert reply.code == 67200003


class TestHeaders:
    @pytest.mark.parametrize("omitted", [("x-openapi-amount",), ("x-openapi-amount", "X-Correlation-ID")])
    async def test_answers_can_lack_them(self, omitted: tuple[str, ...], start: Start) -> None:
        server = start(omit_headers=omitted, faults=FaultPlan.parse("search:http_502@2"))
        for reply in (await search(server), await search(server), await call(server, "GET", "/nothing")):
            assert not any(name in reply.headers for name in omitted)
            assert ("x-correlation-id" in reply.headers) is (len(omitted) == 1)


class TestQuery:
    async def test_an_unfinished_task_says_so_first(self, start: Start, clock: Clock) -> None:
        server = start(report_after_s=5.0, reports=ReportPlan.parse("running=plain"))
        task_id = (await create(server)).data["task_id"]
        clock.now += 4.9
        data = (await call(server, "POST", QUERY, json={"task_id": task_id})).data
        assert data == {"task_id": task_id, "task_status": 1, "comparisons": []}
        clock.now += 0.2
        assert (await call(server, "POST", QUERY, json={"task_id": task_id})).data["task_status"] == 2

    async def test_a_task_answers_one_comparison_per_patent(self, start: Start) -> None:
        server = start(report_after_s=0, reports=ReportPlan.parse("scores=per_cent"))
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


@pytest.mark.proofs
async def test_latency_is_waited_before_the_answer_but_after_the_execution(start: Start, tmp_path: Path) -> None:
    """A client that gives up early has still created a task."""
    server = start(latency_s=(30.0, 30.0))
    await create_without_answer(server)
    assert len(list(read_tasks(tmp_path / "sandbox"))) == 1


async def test_a_scripted_code_is_answered_without_executing_unless_after(start: Start, tmp_path: Path) -> None:
    server = start(faults=FaultPlan.scripted({"create": ["68300008", "68300008.after", "ok"]}))
    assert [(await create(server)).code for _ in range(3)] == [68300008, 68300008, 0]
    assert len(list(read_tasks(tmp_path / "sandbox"))) == server.stats.executed_creates == 2
