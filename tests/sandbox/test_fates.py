"""The fates of reports: their text form, and that a task keeps its own."""

import pytest

from pipeline.sandbox.fates import FATES, RUNNING, SCORES, ReportPlan

IDS = [f"task-{number}" for number in range(2000)]


def test_the_command_lines_example_is_understood() -> None:
    plan = ReportPlan.parse("failed=0.02, never=0.01,scores=fraction")
    assert plan == ReportPlan(rates=(("failed", 0.02), ("never", 0.01)), scores="fraction")


def test_without_a_plan_every_task_is_done_and_all_shapes_occur() -> None:
    fates = [ReportPlan.parse("").of(task_id) for task_id in IDS]
    assert {fate.kind for fate in fates} == {""}
    assert {fate.running for fate in fates} == set(RUNNING)
    assert {fate.scores for fate in fates} == set(SCORES)


def test_about_as_many_tasks_as_said_have_a_fate() -> None:
    kinds = [ReportPlan.parse("failed=0.1,never=0.2").of(task_id).kind for task_id in IDS]
    assert 140 < kinds.count("failed") < 260
    assert 300 < kinds.count("never") < 500


@pytest.mark.parametrize("fate", FATES)
def test_a_task_keeps_its_fate(fate: str) -> None:
    plan = ReportPlan.parse(f"{fate}=0.5,running=bare,scores=per_cent")
    first = [plan.of(task_id) for task_id in IDS[:50]]
    assert [plan.of(task_id) for task_id in IDS[:50]] == first
    assert {kind for kind, *_ in first} == {"", fate}
    assert {(running, scores) for _, running, scores, *_ in first} == {("bare", "per_cent")}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lost=0.1", "unknown fate 'lost' of a report; known: never, failed"),
        ("failed", "failed: a share of the tasks"),
        ("failed=often", "failed=often: a share"),
        ("failed=1.5", "from 0 to 1"),
        ("failed=0.6,never=0.6", "add up to more than 1"),
        ("running=fast", "running=fast: one of plain, bare, null, data"),
        ("scores=", "scores=: one of per_cent, fraction"),
    ],
)
def test_a_mistake_is_one_line(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as error:
        ReportPlan.parse(text)
    assert "\n" not in str(error.value)
