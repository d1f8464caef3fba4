"""Things not looked at: what the records of a run say, with numbers, whatever the job says today."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.results.left_out import left_out
from tests.support.report_records import hit, record, surveys

ACTIVE = {"limit": 100, "simple_legal_status": "1,2", "country": ["US"]}


def searched(item: str, status: str = "tasked", *, more: bool = False, hits: int = 1, **search: Any) -> dict[str, Any]:
    part = {"endpoint": "P060", "params": {"limit": 100}, "total": hits, "hits": hits, "truncated": more, **search}
    return record(item, status, search=part, hits=[hit()] * hits)


def said(folder: Path, *records: dict[str, Any], waiting: int = 0) -> list[str]:
    settled, open_ = surveys(folder, *records)
    return left_out(settled, open_, {"not_started": waiting})


def test_what_is_true_of_all_items_needs_no_number(tmp_path: Path) -> None:
    both = [searched(name, params=ACTIVE) for name in "AB"]
    assert said(tmp_path, *both) == ["patents that are not active or pending", "patents outside US", "utility models"]


def test_what_is_true_of_some_items_says_of_how_many(tmp_path: Path) -> None:
    """After --accept-changes a part of the items was searched otherwise."""
    records = [searched(f"A{n}", params=ACTIVE) for n in range(70)] + [searched(f"B{n}") for n in range(230)]
    assert said(tmp_path, *records) == [
        "patents that are not active or pending (70 of 300 searched items)",
        "patents outside US (70 of 300 searched items)",
        "utility models",
    ]


def test_each_endpoint_speaks_for_its_own_items(tmp_path: Path) -> None:
    one = searched("A", params={"limit": 5, "model": 3, "patent_type": "U"})
    other = searched("B", endpoint="P009", params={"limit": 9, "legal_status": "3,16"})
    assert said(tmp_path, one, other) == [
        "designs (1 of 2 searched items)",
        "patents whose legal status is not granted or lapsed for an unpaid fee (1 of 2 searched items)",
        "utility models (1 of 2 searched items)",
    ]


def test_hits_beyond_the_limit_are_named_where_the_vendor_has_more(tmp_path: Path) -> None:
    records = [searched("A", more=True), searched("B"), searched("C", params={"limit": 10}, more=True)]
    assert said(tmp_path, *records) == [
        "utility models",
        "hits beyond the first 100 (1 of 3 searched items has more)",
        "hits beyond the first 10 (1 of 3 searched items has more)",
    ]


def test_hits_in_no_task_and_items_that_did_not_come_to_their_end_are_counted(tmp_path: Path) -> None:
    in_doubt = searched("D", "in_doubt", hits=3)
    records = [searched("A", hits=4), searched("B", "no_hits", hits=2), record("C", "failed"), in_doubt]
    assert said(tmp_path, *records, waiting=9) == [
        "utility models",
        "5 hits that are in no task (of 2 items: below the asked score, incomplete, or too many)",
        "1 open item that was not searched",
        "1 searched item that is open without a known task",
        "9 items that were not started",
    ]


@pytest.mark.parametrize("status", ["report_pending", "report_failed", "report_lost"])
def test_an_open_item_whose_task_is_paid_is_not_said_to_have_none(tmp_path: Path, status: str) -> None:
    task = {"task_id": "t", "hits": 2, "hits_dropped": 0, "at": "", "expires_at": ""}
    submitted = record("B", status, search=None, task=task)
    assert said(tmp_path, searched("A", status, hits=2) | {"task": task}, submitted) == [
        "utility models",
        "2 tasks that are paid and whose reports are not in",
    ]


def test_hits_that_went_into_no_task_are_counted_of_reported_items_too(tmp_path: Path) -> None:
    task = {"task_id": "t", "hits": 2, "hits_dropped": 1, "at": "", "expires_at": ""}
    assert said(tmp_path, searched("A", "reported", hits=3) | {"task": task}) == [
        "utility models",
        "1 hit that is in no task (of 1 item: below the asked score, incomplete, or too many)",
    ]


@pytest.mark.parametrize(("endpoint", "params"), [("P999", {"limit": 1}), ("", {}), ("P009", {"later": [1]})])
def test_a_record_of_another_version_is_counted_and_no_error(
    tmp_path: Path, endpoint: str, params: dict[str, Any]
) -> None:
    found = said(tmp_path, searched("A", endpoint=endpoint, params=params, more=True))
    assert found[-1].startswith("hits beyond ")


def test_nothing_searched_says_nothing_of_filters(tmp_path: Path) -> None:
    assert said(tmp_path) == []
