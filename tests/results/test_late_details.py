"""details.jsonl: each line whole and durable, a torn one passed over, the last one of an item counts."""

import json
from pathlib import Path

import pytest

from pipeline import read_records
from pipeline.endpoints.details import Details, PatentDetail
from pipeline.results.behind import behind
from pipeline.results.late_details import DETAILS, append, read_late
from tests.support.fakes import NOW
from tests.support.report_records import record

FIRST, SECOND = PatentDetail(owner="E Ltd"), PatentDetail(owner="F Ltd")


def test_the_last_line_of_an_item_counts(tmp_path: Path) -> None:
    for details in (Details({"p1": FIRST}), Details("failed"), Details({"p1": SECOND}, 1)):
        append(tmp_path / DETAILS, "A", details, at=NOW)
    append(tmp_path / DETAILS, "B", Details("not_allowed"), at=NOW)
    late = read_late(tmp_path)
    assert late["A"].details == {"p1": SECOND}
    assert (late["A"].designs, late["B"].details) == (1, "not_allowed")


@pytest.mark.parametrize("torn", [b'{"item":"B","at":"', b"\xff\xfe", b'{"item":7}'])
def test_a_line_that_a_kill_cut_short_is_passed_over_and_takes_nothing_from_the_next(
    torn: bytes, tmp_path: Path
) -> None:
    append(tmp_path / DETAILS, "A", Details({"p1": FIRST}), at=NOW)
    with (tmp_path / DETAILS).open("ab") as file:
        file.write(torn)
    assert set(read_late(tmp_path)) == {"A"}
    append(tmp_path / DETAILS, "C", Details({"p1": SECOND}), at=NOW)
    assert set(read_late(tmp_path)) == {"A", "C"}


def test_the_file_is_private_and_none_is_no_fault(tmp_path: Path) -> None:
    assert read_late(tmp_path) == {}
    append(tmp_path / DETAILS, "A", Details("failed"), at=NOW)
    assert (tmp_path / DETAILS).stat().st_mode & 0o077 == 0


def test_those_are_behind_whose_details_never_came(tmp_path: Path) -> None:
    lines = [
        record("A", details="pending"),
        record("B", details={"p-1": {"owner": "E Ltd"}}),
        record("C", details="pending"),
        record("D", details="pending", same_as="A"),
        record("E", image={"source": '"details":"pending"'}),
        record("F"),
    ]
    written = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (tmp_path / "results.jsonl").write_text(written)
    append(tmp_path / DETAILS, "C", Details({"p-1": FIRST}), at=NOW)
    assert [one.item for one in behind(tmp_path)] == ["A"]
    states = {one.item: (one.details_state, one.details) for one in read_records(tmp_path)}
    assert states["A"] == states["D"] == ("pending", {})
    assert states["C"] == ("", {"p-1": FIRST})
    assert states["B"][1]["p-1"].owner == "E Ltd"
    assert states["F"] == ("", {})
