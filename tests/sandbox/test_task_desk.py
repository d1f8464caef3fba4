"""Tasks as a client asks about them: when they are done, every fate, and how often each was asked about."""

from typing import Any

import pytest

from pipeline.sandbox.fates import ReportPlan
from pipeline.sandbox.server import SandboxServer
from tests.support.fixtures import Clock, Start
from tests.support.sandbox_calls import QUERY, Reply, call, create, message

pytestmark = pytest.mark.anyio


async def query(server: SandboxServer, task_id: str, **more: Any) -> Reply:
    return await call(server, "POST", QUERY, json={"task_id": task_id, **more})


async def asked(start: Start, plan: str, *, report_after_s: float | tuple[float, float] = 0) -> Reply:
    """Create a task and ask about it."""
    server = start(report_after_s=report_after_s, reports=ReportPlan.parse(plan))
    return await query(server, (await create(server)).data["task_id"])


@pytest.mark.parametrize("shape", ["plain", "bare", "null", "data"])
async def test_a_running_task_has_the_shape_that_was_chosen(shape: str, start: Start) -> None:
    data = (await asked(start, f"running={shape}", report_after_s=60)).data
    expected: dict[str, dict[str, Any]] = {
        "plain": {"task_status": 1, "comparisons": []},
        "bare": {"task_status": 1},
        "null": {"task_status": 1, "comparisons": None},
        "data": {},
    }
    data.pop("task_id", None)
    assert data == expected[shape]


@pytest.mark.parametrize(("plan", "score"), [("scores=per_cent", 90.0), ("scores=fraction", 0.9)])
async def test_scores_come_on_either_scale(plan: str, score: float, start: Start) -> None:
    (comparison,) = (await asked(start, plan)).data["comparisons"]
    assert (comparison["score"], comparison["risk_level"]) == (score, "High")


async def test_a_report_compares_the_hits_of_its_own_task(start: Start) -> None:
    server = start(report_after_s=0)
    tasks = {name: (await create(server, patent_messages=[message(patent_id=name)])).data["task_id"] for name in "ab"}
    for name, task_id in tasks.items():
        assert [found["patent_id"] for found in (await query(server, task_id)).data["comparisons"]] == [name]


async def test_a_task_can_run_for_ever(start: Start, clock: Clock) -> None:
    server = start(report_after_s=0, reports=ReportPlan.parse("never=1,running=plain"))
    task_id = (await create(server)).data["task_id"]
    clock.now += 28_000
    assert (await query(server, task_id)).data["task_status"] == 1


@pytest.mark.parametrize(
    ("fate", "status", "comparisons"),
    [("failed", 3, ()), ("empty", 2, []), ("null", 2, None), ("silent", None, []), ("no_status", None, [0.9])],
)
async def test_a_fate_shows_in_the_answer(fate: str, status: int | None, comparisons: Any, start: Start) -> None:
    data = (await asked(start, f"{fate}=1,scores=fraction")).data
    found = data.get("comparisons", ())
    assert data.get("task_status") == status
    assert ([each["score"] for each in found] if found else found) == comparisons


async def test_a_running_task_without_a_status_has_no_comparisons_yet(start: Start) -> None:
    data = (await asked(start, "no_status=1", report_after_s=60)).data
    assert {*data} == {"task_id", "comparisons"}
    assert data["comparisons"] == []


async def test_a_task_can_be_forgotten_early(start: Start) -> None:
    assert (await asked(start, "forgotten=1")).code == 68300004


async def test_each_task_is_done_at_a_time_of_its_own_within_the_range(start: Start, clock: Clock) -> None:
    server = start(report_after_s=(10.0, 20.0), reports=ReportPlan.parse("running=bare"))
    ids = [(await create(server)).data["task_id"] for _ in range(12)]
    done = []
    for seconds in (9, 6, 5):
        clock.now += seconds
        done.append([(await query(server, each)).data["task_status"] for each in ids].count(2))
    assert done[0] == 0
    assert done[2] == 12


async def test_polls_are_counted_per_task_unknown_ones_too(start: Start) -> None:
    server = start()
    first, second = [(await create(server)).data["task_id"] for _ in range(2)]
    for task_id in (first, second, first, "nobody's"):
        await query(server, task_id)
    assert server.stats.polls == {first: 2, second: 1, "nobody's": 1}
    earlier, later = server.stats.polls_of(first)
    assert earlier <= later
    assert server.stats.polls_of("never asked") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "task_id"),
        ({"task_id": ""}, "task_id"),
        ({"task_id": 7}, "task_id"),
        ({"task_id": "t-1", "lang": "en"}, "lang"),
        ({"task_ids": ["t-1"]}, "task_id"),
    ],
)
async def test_a_wrong_body_is_refused_by_its_field(body: dict[str, Any], field: str, start: Start) -> None:
    reply = await call(start(), "POST", QUERY, json=body)
    assert reply.code == 68300004
    assert field in reply.envelope["error_msg"]
