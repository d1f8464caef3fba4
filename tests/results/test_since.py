"""The hits of a run against those of an earlier one."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.results.reading import RecordView, read_line
from pipeline.results.since import NEW, NOT_THEN, RISEN, SAME, Earlier, read_earlier
from tests.support.report_records import record

ASKED = {"endpoint": "P009", "params": {"limit": 100}, "total": 3, "hits": 3}


def found(item: str, *scored: tuple[str, float | None], **search: Any) -> RecordView:
    hits = [
        {"patent_pn": pn, "patent_id": f"id-{pn}", "url": "u", "title": "t", "score": score} for pn, score in scored
    ]
    return read_line(msgspec.json.encode(record(item, "tasked", search={**ASKED, **search}, hits=hits)))


@pytest.fixture
def earlier() -> Earlier:
    """A run that found three patents for A."""
    run = Earlier("autumn-2026-10")
    run.take(found("A", ("US1", 0.90), ("US2", 0.80), ("US3", None)))
    return run


def test_each_hit_is_new_risen_or_the_same_and_what_is_gone_is_counted(earlier: Earlier) -> None:
    now = earlier.compare(found("A", ("US9", 0.95), ("US1", 0.92), ("US3", 0.5)))
    assert (now.marks, now.before, now.reason) == ([NEW, RISEN, SAME], [-1, 9000, -1], "")
    assert now.gone == [("US2", 8000)]


@pytest.mark.parametrize(("score", "mark"), [(0.91, SAME), (0.9199, SAME), (0.92, RISEN), (0.5, SAME), (None, SAME)])
def test_a_hit_has_risen_from_two_hundredths_on(earlier: Earlier, score: float | None, mark: str) -> None:
    assert earlier.compare(found("A", ("US1", score))).marks == [mark]


@pytest.mark.parametrize(
    "otherwise",
    [{"endpoint": "P060"}, {"params": {"limit": 50}}, {"params": {"limit": 100, "country": ["US"]}}, {"depth": 300}],
)
def test_an_item_that_was_searched_otherwise_is_not_compared(earlier: Earlier, otherwise: dict[str, Any]) -> None:
    now = earlier.compare(found("A", ("US9", 0.95), **otherwise))
    assert (now.marks, now.reason) == ([], "searched otherwise in the earlier run")


def test_another_link_to_the_picture_is_the_same_question(earlier: Earlier) -> None:
    assert earlier.compare(found("A", ("US1", 0.9), params={"limit": 100, "url": "https://x"})).marks == [SAME]


def test_an_item_that_is_new_or_was_not_searched_is_not_compared(earlier: Earlier) -> None:
    assert earlier.compare(found("B", ("US1", 0.9))).reason == NOT_THEN
    failed = read_line(msgspec.json.encode(record("A", "failed")))
    assert earlier.compare(failed).reason == "not searched"
    earlier.take(failed)
    assert len(earlier) == 1


def test_hits_that_are_gone_here_say_nothing(earlier: Earlier) -> None:
    lost = msgspec.structs.replace(found("A"), hits_lost=True)
    assert earlier.compare(lost).reason == "not searched"


@pytest.mark.parametrize(("then", "gone"), [(0.7, []), (0.8, [("US9", 8000)])])
def test_a_hit_that_scored_less_than_all_that_came_back_may_still_be_there(then: float, gone: list[Any]) -> None:
    run = Earlier("autumn-2026-10")
    run.take(found("A", ("US1", 0.9), ("US9", then)))
    now = run.compare(found("A", ("US1", 0.9), ("US5", 0.75), hits=2, total=400, truncated=True))
    assert now.gone == gone
    assert run.compare(found("A", ("US1", 0.9), hits=1)).gone == [("US9", round(then * 10_000))]


def test_only_the_best_five_of_then_are_missed() -> None:
    run = Earlier("autumn-2026-10")
    run.take(found("A", *((f"US{number}", 0.9 - number / 100) for number in range(8))))
    gone = run.compare(found("A", ("CN1", 0.1), hits=1)).gone
    assert [one.number for one in gone] == ["US0", "US1", "US2", "US3", "US4"]


def test_a_patent_that_is_there_twice_is_not_new_the_second_time() -> None:
    run = Earlier("autumn-2026-10")
    run.take(found("A", ("US1", 0.8), ("US1", 0.9)))
    assert run.compare(found("A", ("US1", 0.9), ("US1", 0.8))).marks == [SAME, SAME]


def test_the_best_new_score_is_that_of_all_hits_where_nothing_is_compared(earlier: Earlier) -> None:
    now = found("A", ("US1", 0.99), ("US2", 0.80), ("US9", 0.85))
    assert earlier.compare(now).best_new((0.99, 0.80, 0.85)) == 9900
    assert earlier.compare(found("A", ("US1", 0.9))).best_new((0.9,)) == -1
    assert earlier.compare(found("B", ("US1", 0.9))).best_new((0.9, None)) == 9000


def test_only_a_new_or_risen_hit_above_the_line_counts_as_new(earlier: Earlier) -> None:
    now = earlier.compare(found("A", ("US1", 0.99), ("US2", 0.80), ("US9", 0.85)))
    assert now.marks == [RISEN, SAME, NEW]
    assert [now.any_new((0.99, 0.80, 0.85), at) for at in (0.9, 0.99, 0.995)] == [True, True, False]
    assert not now.any_new((None, 0.80, 0.5), 0.6)


def test_an_earlier_run_is_read_from_its_directory_with_its_open_items(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_bytes(msgspec.json.encode(record("A", "tasked", search=ASKED)) + b"\n")
    (tmp_path / "open.jsonl").write_bytes(msgspec.json.encode(record("B", "in_doubt", search=ASKED)) + b"\n")
    assert len(read_earlier(tmp_path)) == 2


@pytest.mark.parametrize("hits", [[], [{"score": "high"}], [{}], [1]])
def test_hits_of_another_shape_are_compared_with_nothing(earlier: Earlier, hits: list[Any]) -> None:
    odd = msgspec.structs.replace(found("A"), raw_hits=msgspec.Raw(msgspec.json.encode(hits)))
    assert earlier.compare(odd).marks in ([], [NEW])
