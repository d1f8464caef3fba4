"""Faulty deliveries, as a client meets them."""

from pathlib import Path

import aiohttp
import pytest

from pipeline.sandbox.faults import FaultPlan
from pipeline.sandbox.tasks import read_tasks
from tests.support.fixtures import Start
from tests.support.sandbox_calls import (
    KEY,
    PRODUCT,
    QUERY,
    SEARCH,
    call,
    create,
    create_without_answer,
    search,
    single,
)


def scripted(**scripts: list[str]) -> FaultPlan:
    return FaultPlan.scripted(scripts)


@pytest.mark.anyio
class TestFaults:
    async def test_a_lost_answer_was_executed_and_a_reset_was_not(self, start: Start, tmp_path: Path) -> None:
        server = start(faults=scripted(create=["reset", "lost"]))
        for executed in (0, 1):
            with pytest.raises(aiohttp.ClientError):
                await create(server)
            assert len(list(read_tasks(tmp_path / "sandbox"))) == executed

    async def test_a_truncated_answer_ends_in_the_middle(self, start: Start) -> None:
        server = start(faults=scripted(search=["truncated"]))
        with pytest.raises(aiohttp.ClientPayloadError):
            await search(server)
        assert server.stats.executed == {"search": 1}

    async def test_garbage_is_http_200_without_json(self, start: Start) -> None:
        reply = await search(start(faults=scripted(search=["garbage"])))
        assert reply.status == 200
        with pytest.raises(ValueError, match=r".*"):
            _ = reply.envelope

    async def test_a_slow_answer_is_whole_in_the_end(self, start: Start) -> None:
        server = start(faults=FaultPlan(rules=scripted(search=["slow"]).rules, drip_s=0.05))
        slow, plain = await search(server), await search(server)
        assert slow.body == plain.body

    async def test_a_late_answer_is_the_right_one(self, start: Start) -> None:
        server = start(faults=FaultPlan(rules=scripted(search=["late"]).rules, late_s=0.05))
        late, plain = await search(server), await search(server)
        assert late.body == plain.body

    @pytest.mark.proofs
    async def test_a_hanging_call_never_gets_a_byte_and_ends_with_its_client(
        self, start: Start, tmp_path: Path
    ) -> None:
        server = start(faults=scripted(create=["hang"]))
        await create_without_answer(server)
        assert len(list(read_tasks(tmp_path / "sandbox"))) == 1

    async def test_no_data_is_a_success_without_data(self, start: Start) -> None:
        reply = await create(start(faults=scripted(create=["no_data"])))
        assert reply.envelope == {"status": True, "error_code": 0, "error_msg": ""}

    @pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 599])
    async def test_a_gateway_answers_html(self, status: int, start: Start) -> None:
        reply = await search(start(faults=scripted(search=[f"http_{status}"])))
        assert reply.status == status
        assert reply.headers["Content-Type"] == "text/html"
        assert ("Retry-After" in reply.headers) is (status == 429)

    async def test_a_redirect_points_to_the_sandbox_and_following_it_shows(self, start: Start) -> None:
        server = start(faults=scripted(search=["redirect"]))
        reply = await search(server)
        assert reply.status == 307
        assert reply.headers["Location"] == f"/redirected{SEARCH}"
        assert (await call(server, "GET", reply.headers["Location"])).code == 67200101
        assert server.stats.calls("redirected") == 1

    async def test_a_bomb_is_small_on_the_wire_and_unpacks_to_its_size(self, start: Start) -> None:
        server = start(faults=FaultPlan(rules=scripted(search=["bomb"]).rules, bomb_bytes=3 * 2**20 + 7))
        async with (
            aiohttp.ClientSession(headers=KEY, auto_decompress=False) as session,
            session.get(server.url + SEARCH, params={"url": PRODUCT}) as response,
        ):
            assert response.headers["Content-Encoding"] == "gzip"
            assert len(await response.read()) < 10_000
        server = start(faults=FaultPlan(rules=scripted(search=["bomb"]).rules, bomb_bytes=3 * 2**20 + 7))
        assert len((await search(server)).data) == 3 * 2**20 + 7

    async def test_the_right_answer_can_come_with_another_status(self, start: Start, tmp_path: Path) -> None:
        reply = await create(start(faults=scripted(create=["http_201"])))
        (task,) = read_tasks(tmp_path / "sandbox")
        assert (reply.status, reply.data) == (201, {"task_id": task.task_id})

    @pytest.mark.parametrize(("status", "code"), [(201, 68300008), (401, 67200003), (429, 67200002), (500, 68300008)])
    async def test_a_code_can_come_inside_another_status(self, status: int, code: int, start: Start) -> None:
        server = start(faults=scripted(search=[f"http_{status}_{code}"]))
        reply = await search(server)
        assert (reply.status, reply.code) == (status, code)
        assert ("Retry-After" in reply.headers) is (status == 429)
        assert server.stats.executed == {}

    async def test_a_create_can_be_executed_and_denied(self, start: Start, tmp_path: Path) -> None:
        reply = await create(start(faults=scripted(create=["67200000.after"])))
        assert (reply.code, reply.envelope["error_msg"]) == (67200000, "Server Internal Error!")
        assert len(list(read_tasks(tmp_path / "sandbox"))) == 1

    @pytest.mark.parametrize(
        ("kind", "data"),
        [
            ("no_hits", {}),
            ("null_hits", {"patent_messages": None}),
            ("absent_hits", {"total_search_result_count": 0}),
            ("empty_hits", {"patent_messages": [], "total_search_result_count": 0}),
            ("lost_hits", {"patent_messages": [], "total_search_result_count": 20783}),
        ],
    )
    async def test_nothing_found_has_many_shapes(self, kind: str, data: dict, start: Start) -> None:
        server = start(faults=scripted(search=[kind, kind]))
        reply = await search(server)
        assert reply.data == data
        assert (server.stats.units, reply.headers["x-openapi-amount"]) == (1, "1")
        assert (await search(server, limit="0")).code == 68300004

    async def test_an_answer_to_another_question_names_another_task(self, start: Start) -> None:
        server = start(faults=scripted(query=["another"]), report_after_s=0)
        task_id = (await create(server)).data["task_id"]
        other, own = [await call(server, "POST", QUERY, json={"task_id": task_id}) for _ in range(2)]
        assert own.data["task_id"] == task_id != other.data["task_id"]
        assert {**own.data, "task_id": ""} == {**other.data, "task_id": ""}

    async def test_an_answer_to_another_question_names_other_patents(self, start: Start) -> None:
        server = start(faults=scripted(details=["another"]))
        ids = [hit["patent_id"] for hit in (await search(server, limit="5")).data["patent_messages"]]
        params = {"patent_id": ",".join(ids)}
        path = "/basic-patent-data/patent-detail-aggregation"
        other, own = [await call(server, "GET", path, params=params) for _ in range(2)]
        assert {entry["patent_id"] for entry in own.data} <= set(ids)
        assert not {entry["patent_id"] for entry in other.data} & set(ids)
        assert other.headers["x-openapi-amount"] == str(len(own.data)) == str(len(other.data))

    async def test_task_ids_can_be_blank_or_the_same_for_all(self, start: Start, tmp_path: Path) -> None:
        server = start(faults=scripted(create=["blank_task_id", "same_task_id", "same_task_id"]))
        ids = [(await create(server)).data["task_id"] for _ in range(3)]
        assert ids[0] == "   "
        assert ids[1] == ids[2] != ""
        assert len({task.task_id for task in read_tasks(tmp_path / "sandbox")}) == 3

    async def test_both_searches_share_their_faults_and_limits(self, start: Start) -> None:
        server = start(faults=scripted(search=["ok", "67200100"]))
        assert (await search(server)).code == 0
        assert (await single(server)).code == 67200100
