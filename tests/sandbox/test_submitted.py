"""The newer pair as a client meets it: one create that searches, and one answer with all that it brings."""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.sandbox.fates import ReportPlan
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from tests.support.fixtures import Clock, Start
from tests.support.sandbox_calls import PRODUCT, QUERY, REPORT, Reply, call, create, report, single, submit, upload

pytestmark = pytest.mark.anyio

TEXTS = ("similar", "difference", "confusion", "risk_desc", "risk_level", "suggestion")


async def reported(start: Start, plan: str = "", **fields: Any) -> Reply:
    """Submit a picture and ask for its report."""
    server = start(report_after_s=0, reports=ReportPlan.parse(plan))
    return await report(server, (await submit(server, **fields)).data["task_id"])


async def test_a_report_has_the_hits_of_a_search_with_more_of_each(start: Start) -> None:
    server = start(report_after_s=0)
    data = (await report(server, (await submit(server, country=["US"])).data["task_id"])).data
    found = (await single(server, country=["US"], limit=100, is_https=1)).data
    hits = data["patent_messages"]["patent_messages"]
    assert [hit["patent_id"] for hit in hits] == [hit["patent_id"] for hit in found["patent_messages"]]
    assert data["patent_messages"]["total_search_result_count"] == found["total_search_result_count"] > 0
    assert {hit["authority"] for hit in hits} == {"US"}
    assert all(hit["url"].startswith("https://") and hit["url_120"] and hit["risk_level"] for hit in hits)
    assert not any("|" in hit["inventor"] for hit in hits)


async def test_every_hit_is_compared_with_all_texts_and_a_score_from_0_to_1(start: Start) -> None:
    data = (await reported(start, "scores=per_cent")).data
    hits, comparisons = data["patent_messages"]["patent_messages"], data["report"]["comparisons"]
    assert [each["patent_id"] for each in comparisons] == [hit["patent_id"] for hit in hits]
    assert all(0 <= each["score"] <= 1 and each["img_id"] for each in comparisons)
    assert all(each[text] for each in comparisons for text in TEXTS)
    ranked = data["rrffusion_response"]["patent_messages"]
    assert [each["rerank_rank"] for each in ranked] == list(range(1, len(hits) + 1))


async def test_the_line_drawing_is_a_png_in_the_answer(start: Start) -> None:
    uri = (await reported(start)).data["line_drawing_base64"]
    head, _, encoded = uri.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(encoded).startswith(b"\x89PNG")


async def test_an_answer_can_have_megabytes(start: Start) -> None:
    assert len((await reported(start, "drawing=large")).body) > 4_000_000


async def test_a_picture_that_resembles_nothing_is_done_without_hits(start: Start) -> None:
    data = (await reported(start, loc_items=["99-99"])).data
    assert (data["task_status"], data["patent_messages"], data["report"]["comparisons"]) == (2, {}, [])


@pytest.mark.parametrize(
    ("plan", "report_after_s", "data"),
    [
        ("running=plain", 60, {"task_status": 1}),
        ("running=data", 60, {}),
        ("failed=1", 0, {"task_status": 3}),
        ("silent=1", 0, {}),
    ],
)
async def test_a_task_without_a_report_says_little(plan: str, report_after_s: float, data: Any, start: Start) -> None:
    server = start(report_after_s=report_after_s, reports=ReportPlan.parse(plan))
    found = (await report(server, (await submit(server)).data["task_id"])).data
    found.pop("task_id", None)
    assert found == data


async def test_a_task_of_one_pair_is_unknown_to_the_other(start: Start) -> None:
    server = start(report_after_s=0)
    older, newer = (await create(server)).data["task_id"], (await submit(server)).data["task_id"]
    assert (await report(server, older)).code == 68300004
    assert (await call(server, "POST", QUERY, json={"task_id": newer})).code == 68300004
    assert (await report(server, newer)).code == 0


async def test_a_submitted_task_is_gone_after_eight_hours(start: Start, clock: Clock) -> None:
    server = start(report_after_s=0)
    task_id = (await submit(server)).data["task_id"]
    clock.now += 28_799
    assert (await report(server, task_id)).code == 0
    clock.now += 1
    assert (await report(server, task_id)).code == 68300004


async def test_a_submit_is_a_create_in_the_truth_log_the_bill_and_the_counts(start: Start, tmp_path: Path) -> None:
    server = start()
    reply = await submit(server)
    (task,) = read_tasks(tmp_path / "sandbox")
    assert (reply.data, reply.headers["x-openapi-amount"]) == ({"task_id": task.task_id}, "1")
    assert (task.urls, task.country, task.submitted) == ((PRODUCT,), ("US", "CN"), True)
    assert (server.stats.executed_creates, server.stats.units) == (1, 1)


async def test_an_upload_can_be_submitted(start: Start, product: bytes) -> None:
    server = start(report_after_s=0)
    url = (await upload(server, product)).data["url"]
    assert (await report(server, (await submit(server, url=url)).data["task_id"])).data["task_status"] == 2


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("url", None),
        ("url", "https://cdn.example.com/1.jpg"),
        ("country", None),
        ("country", []),
        ("country", "US"),
        ("lang", None),
        ("lang", "de"),
        ("apply_start_time", "20241341"),
        ("loc_items", "26-05"),
        ("loc_items", ["26-05 OR 26-06"]),
        ("limit", 10),
        ("legal_status", "3"),
    ],
)
async def test_a_wrong_submit_is_refused_by_its_field(field: str, wrong: Any, start: Start, tmp_path: Path) -> None:
    reply = await submit(start(), **{field: wrong})
    assert reply.code == 68300004
    assert field in reply.envelope["error_msg"]
    assert list(read_tasks(tmp_path / "sandbox")) == []


async def test_all_that_a_submit_can_say_is_understood(start: Start) -> None:
    fields = {"apply_start_time": "20080101", "loc_items": ["03-01", "03-02"], "main_field": "bag", "lang": "cn"}
    data = (await reported(start, **fields)).data
    assert {loc for hit in data["patent_messages"]["patent_messages"] for loc in hit["loc"]} == {"03-01"}


async def test_each_half_of_the_pair_needs_a_permission(start: Start) -> None:
    server = start(denied=frozenset({"AI39-submit", "AI39-report"}))
    assert (await submit(server)).code == 67200004
    assert (await report(server, "t-1")).code == 67200004


async def test_parameters_in_the_query_are_refused(start: Start) -> None:
    reply = await call(start(), "POST", REPORT, params={"task_id": "t-1"}, json={"task_id": "t-1"})
    assert reply.code == 68300004


async def test_a_restarted_sandbox_still_knows_a_submitted_task(start: Start) -> None:
    first = start(report_after_s=0)
    task_id = (await submit(first)).data["task_id"]
    second: SandboxServer = start(report_after_s=0)
    answers = [(await report(server, task_id)).data for server in (first, second)]
    assert json.loads(msgspec.json.encode(answers[0])) == answers[1]
