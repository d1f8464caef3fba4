"""Rows: what a record says, once, in the columns that people and programs look for."""

from pathlib import Path
from typing import Any

import msgspec

from pipeline.results.decisions import Decision
from pipeline.results.exports.columns import Row, hit_columns, product_columns
from pipeline.results.exports.rows import best_hits, hit_rows, product_row
from pipeline.results.reading import RecordView, read_line
from tests.support.report_records import hit, record

DETAIL = {
    "owner": "E Ltd",
    "status": "active",
    "country": "US",
    "application_date": "2023-01-02",
    "expiry_estimate": "2038-01-02",
    "as_of": "2026-11-20T00:00:00.000Z",
    "loc": ["26-05"],
}


def view(one: dict[str, Any]) -> RecordView:
    return read_line(msgspec.json.encode(one))


def product(one: dict[str, Any], *decided: Decision, for_client: bool = False) -> Row:
    read = view(one)
    best = best_hits(read, 1)
    return product_row(read, best[0] if best else None, {d.key: d for d in decided}, for_client=for_client)


def test_a_product_stands_with_the_most_alike_of_its_hits() -> None:
    row = product(record(hits=[hit(0.5, patent_pn="A"), hit(0.9, patent_pn="B"), hit(None, patent_pn="C")]))
    assert (row["item"], row["status"], row["score"], row["patent_pn"]) == ("SKU-1", "tasked", 0.9, "B")
    assert (row["label_client"], row["hits_at_vendor"], row["vendor"]) == ("acme", 20_783, "")
    assert (row["task_id"], row["task_expires_at"]) == ("80d42f2c", "2026-11-21T18:00:00.000Z")


def test_owner_status_and_dates_are_those_of_the_details_else_of_the_hit() -> None:
    row = product(record(hits=[hit(current_assignee="X", apdt=20200101, pbdt=20200202)], details={"p-1": DETAIL}))
    assert (row["owner"], row["legal_status"], row["country"], row["locarno"]) == ("E Ltd", "active", "US", "26-05")
    assert (row["application_date"], row["publication_date"]) == ("2023-01-02", "2020-02-02")
    assert (row["expected_end"], row["details_as_of"]) == ("2038-01-02", "2026-11-20T00:00:00.000Z")
    row = product(record(hits=[hit(current_assignee="X|Y", apdt=20200101, pbdt="soon", loc=["06-01", "06-02"])]))
    assert (row["owner"], row["application_date"], row["publication_date"]) == ("X|Y", "2020-01-01", None)
    assert (row["legal_status"], row["locarno"]) == (None, "06-01; 06-02")


def test_an_open_product_says_why() -> None:
    row = product(record(status="failed", todo="mend it"))
    assert (row["status"], row["reason"]) == ("failed", "the vendor does not accept this picture file")
    assert (row["code"], row["todo"], row.get("patent_pn")) == ("68300010", "mend it", None)


def test_the_reason_in_a_file_for_a_client_is_that_of_the_code_alone() -> None:
    error = {"stage": "read", "code": "picture", "message": "globex/lamp.jpg and /srv/globex are the same"}
    row = product(record(status="failed", error=error), for_client=True)
    assert row["reason"] == "the picture cannot be used"
    assert product(record(status="failed", error={**error, "code": "of_tomorrow"}), for_client=True)["reason"] == (
        "see the code"
    )


def test_a_hit_has_its_places_and_what_the_vendor_writes_of_it() -> None:
    compared = {"patent_id": "p-2", "risk_level": "High", "similar": "shade", "difference": "foot", "score": 80.0}
    read = view(
        record(
            status="reported",
            hits=[hit(0.5), hit(0.9, patent_id="p-2", patent_pn="B")],
            comparisons=[compared],
            search={"total": 2, "hits": 2, "ranks": [7, 9]},
        )
    )
    first, second = hit_rows(read, best_hits(read, None), {})
    assert (first["place"], first["vendor_place"], first["patent_pn"], first["patent_id"]) == (1, 9, "B", "p-2")
    assert (first["vendor_writes_level"], first["vendor_writes_similar"]) == ("High", "shade")
    assert (second["place"], second["vendor_place"], second["vendor_writes_level"]) == (2, 7, None)


def test_a_decision_stands_beside_its_hit_and_nowhere_else() -> None:
    one = Decision(item="SKU-1", patent_pn="B", decision="watch", by="ann", at="2026-11-02", note="soon", run="r")
    row = product(record(hits=[hit(patent_pn="B")]), one)
    assert (row["decision"], row["note"], row["by"], row["at"], row["run"]) == (
        "watch",
        "soon",
        "ann",
        "2026-11-02",
        "r",
    )
    assert (row["decision_was"], row["note_was"]) == ("watch", "soon")
    assert "decision" not in product(record(hits=[hit(patent_pn="C")]), one)
    assert "decision" not in product(record(item="SKU-2", hits=[hit(patent_pn="B")]), one)


def test_hits_of_unusual_shapes_are_rows_too() -> None:
    row = product(record(hits=[7, {"score": "high", "patent_pn": 42, "title": ["x"], "patent_id": {}}]))
    assert (row["score"], row["patent_pn"], row["title"]) == (None, "42", "['x']")


def test_every_value_of_a_row_has_its_column() -> None:
    """Negative control of the table: a column that nobody fills, or a value that nobody shows, is a mistake."""
    decided = Decision(item="SKU-1", patent_pn="USD0554568S1", decision="watch")
    filled = set(product(record(details={"p-1": DETAIL}), decided)) - {"decision_was", "note_was", "original_owner"}
    assert filled - {"details_missing"} == {column.name for column in product_columns(["client"], for_client=False)}
    read = view(record(comparisons=[{"patent_id": "p-1"}]))
    [row] = hit_rows(read, best_hits(read, None), {decided.key: decided})
    assert set(row) - {"decision_was", "note_was"} == {one.name for one in hit_columns(["client"], for_client=False)}


def test_a_file_for_a_client_has_no_column_that_may_speak_of_others(tmp_path: Path) -> None:
    names = {one.name for one in (*product_columns([], for_client=True), *hit_columns([], for_client=True))}
    assert names.isdisjoint({"todo", "same_as", "run"})
