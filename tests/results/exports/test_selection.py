"""The choice of records: one client's alone, by status and score, the most alike first."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import JournalError, SpecError
from pipeline.results.exports.selection import Selection, Wanted
from tests.support.exported import export_of
from tests.support.report_records import hit, record


def items(selection: Selection) -> list[str]:
    return [one.item for one, _ in selection.records(top=1)]


def of_client(item: str, client: str, **changes: Any) -> dict[str, Any]:
    image = {"source": f"{client}/{item}.jpg", "labels": {"client": client, f"of-{client}": "x"}}
    return record(item, image=image, **changes)


def test_the_most_alike_come_first_then_what_is_open(tmp_path: Path) -> None:
    records = [
        record("low", hits=[hit(0.2)]),
        record("open", status="failed"),
        record("high", hits=[hit(0.9)]),
        record("none", status="no_hits"),
    ]
    assert items(export_of(tmp_path, *records).selection) == ["high", "low", "none", "open"]


def test_only_products_and_hits_at_that_score(tmp_path: Path) -> None:
    records = [record("A", hits=[hit(0.9), hit(0.95), hit(0.8999), hit(None)]), record("B", hits=[hit(0.8999)])]
    export = export_of(tmp_path, *records, record("C", status="failed"), wanted=Wanted(least=0.9))
    assert items(export.selection) == ["A"]
    assert [row["score"] for row in export.rows("hit")] == [0.95, 0.9]


def test_only_the_best_hits_of_each(tmp_path: Path) -> None:
    record_ = record(hits=[hit(score / 10) for score in range(10)])
    export = export_of(tmp_path, record_, wanted=Wanted(top=2))
    assert [row["score"] for row in export.rows("hit")] == [0.9, 0.8]
    assert len(list(export_of(tmp_path, record_).rows("hit"))) == 10


def test_only_some_statuses(tmp_path: Path) -> None:
    records = [record("A"), record("B", status="no_hits"), record("C", status="failed")]
    export = export_of(tmp_path, *records, wanted=Wanted(statuses=frozenset({"no_hits", "failed"})))
    assert items(export.selection) == ["B", "C"]


def test_nothing_is_known_of_other_clients(tmp_path: Path) -> None:
    records = [of_client("A", "acme"), of_client("B", "globex"), of_client("C", "acme", status="failed")]
    selection = export_of(tmp_path, *records, wanted=Wanted(client="acme")).selection
    assert items(selection) == ["A", "C"]
    assert (list(selection.labels), dict(selection.counts)) == (["client", "of-acme"], {"tasked": 1, "failed": 1})
    assert (len(selection.settled), len(selection.open_)) == (1, 1)


def test_a_client_that_is_not_there_is_said_with_the_nearest_one(tmp_path: Path) -> None:
    records = [of_client("A", "acme"), of_client("B", "globex")]
    with pytest.raises(SpecError) as told:
        export_of(tmp_path, *records, wanted=Wanted(client="Acme"))
    [line] = told.value.lines
    assert (str(line), line.fix) == ("--client Acme: no product has the label client: Acme", "--client acme")  # type: ignore[attr-defined]
    with pytest.raises(SpecError, match="or any market at all"):
        export_of(tmp_path, *records, wanted=Wanted(client="acme", client_label="market"))


def test_a_last_line_that_is_not_whole_yet_is_left_out(tmp_path: Path) -> None:
    export = export_of(tmp_path, record("A"))
    with (tmp_path / "results.jsonl").open("ab") as file:
        file.write(b'{"schema":1,"item":"B","sta')
    assert items(export.selection) == ["A"]
    assert items(export_of(tmp_path, record("A")).selection) == ["A"]


def test_a_line_that_is_no_record_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="1 line is no record"):
        export_of(tmp_path, record("A"), b'{"item": 7}', record("B"))


@pytest.mark.parametrize("word", ["of_tomorrow"])
def test_a_status_of_a_later_version_is_no_record_of_this_one(tmp_path: Path, word: str) -> None:
    with pytest.raises(JournalError):
        export_of(tmp_path, {**record("A"), "status": word})
