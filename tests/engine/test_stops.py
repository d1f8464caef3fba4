"""Reasons to stop a run: pictures that are all refused alike, and too many creates in doubt."""

import pytest

from pipeline.engine.stops import DoubtRate, SystemicRefusals, TaskIds
from pipeline.errors import RunStopped


def refuse(systemic: SystemicRefusals, codes: str) -> int | None:
    """Count items: `.` passed, any other letter refused with that code; return at which item the run stops."""
    for number, code in enumerate(codes, 1):
        if code == ".":
            systemic.passed()
            continue
        try:
            systemic.refused(code, "a parameter is invalid")
        except RunStopped:
            return number
    return None


@pytest.mark.parametrize(
    ("codes", "stops_at"),
    [
        pytest.param("a" * 10, 10, id="the first ten alike"),
        pytest.param("a" * 9 + "." * 41, None, id="nine of fifty"),
        pytest.param("a." * 10, 19, id="half of the first ones, from ten on"),
        pytest.param("." * 25 + "a" * 25, 45, id="twenty in a row come before half of fifty"),
        pytest.param("..a" * 16 + "..", None, id="a third"),
        pytest.param("ab" * 12, 19, id="two codes, each half"),
        pytest.param("abc" * 16, None, id="three codes, none half"),
        pytest.param("." * 50 + "a" * 19 + "." + "a" * 19, None, id="late, 19 in a row twice"),
        pytest.param("." * 50 + "a" * 20, 70, id="late, 20 in a row"),
        pytest.param("." * 50 + "a" * 19 + "b" + "a" * 19, None, id="late, another code between"),
        pytest.param("." * 50 + "a." * 500, None, id="late, half of them, never in a row"),
    ],
)
def test_a_run_stops_when_its_pictures_are_refused_alike(codes: str, stops_at: int | None) -> None:
    assert refuse(SystemicRefusals(), codes) == stops_at


def test_the_stop_says_how_many_and_why() -> None:
    systemic = SystemicRefusals()
    refuse(systemic, "." * 5 + "a" * 9)
    with pytest.raises(RunStopped, match="10 of the first 15 pictures were refused alike: no such loc") as stop:
        systemic.refused("a", "no such loc")
    assert stop.value.code == "a"


def test_the_stop_of_a_long_run_names_the_row_that_it_is_for_not_all_that_came_before() -> None:
    systemic = SystemicRefusals()
    refuse(systemic, "a" + "." * 5000 + "a" * 19)
    with pytest.raises(RunStopped, match=r"^20 pictures in a row were refused alike: no such loc"):
        systemic.refused("a", "no such loc")


def end(doubts: DoubtRate, creates: str) -> int | None:
    """Count creates: `.` known, `?` in doubt, `n` in doubt without a task id; return at which one the run stops."""
    for number, letter in enumerate(creates, 1):
        try:
            if letter == ".":
                doubts.known()
            else:
                doubts.doubtful("no_task_id" if letter == "n" else "no_answer", names_no_task=letter == "n")
        except RunStopped:
            return number
    return None


@pytest.mark.parametrize(
    ("creates", "stops_at"),
    [
        pytest.param("?" * 19, None, id="nineteen of nineteen"),
        pytest.param("?" * 20, 20, id="twenty of twenty"),
        pytest.param("." * 60 + "?" * 20, 80, id="a quarter"),
        pytest.param("." * 61 + "?" * 21, 82, id="a quarter again, one later"),
        pytest.param("....?" * 200, None, id="a fifth, for ever"),
        pytest.param("...?" * 30, 80, id="one in four, from twenty on"),
        pytest.param("?" * 19 + "." * 81 + "?" * 19, None, id="the oldest fall out of the last hundred"),
        pytest.param("." * 5000 + "?" * 25, 5025, id="a quarter of the last hundred after a good day"),
        pytest.param("n" * 4, None, id="four without a task id"),
        pytest.param("n" * 5, 5, id="five without a task id"),
        pytest.param("nnnn.nnnn", None, id="a task between"),
        pytest.param("nn?nnn", 6, id="a lost answer between says nothing"),
    ],
)
def test_a_run_stops_when_too_many_creates_end_in_doubt(creates: str, stops_at: int | None) -> None:
    assert end(DoubtRate(), creates) == stops_at


def test_the_stop_for_doubts_says_how_many_and_where_to_look() -> None:
    doubts = DoubtRate()
    end(doubts, "." * 30 + "?" * 19)
    with pytest.raises(RunStopped, match=r"20 of the last 50 creates are in doubt .*open\.jsonl") as stop:
        doubts.doubtful("http_502", names_no_task=False)
    assert stop.value.code == "max_in_doubt"
    assert "http_502" in str(stop.value)


def test_a_task_belongs_to_the_item_it_was_named_for_first_and_the_oldest_are_forgotten() -> None:
    tasks = TaskIds()
    assert tasks.owner("t-1", "a") == tasks.owner("t-1", "a") == tasks.owner("t-1", "b") == "a"
    for number in range(TaskIds.KEPT):
        tasks.owner(f"other-{number}", "c")
    assert tasks.owner("t-1", "b") == "b"
