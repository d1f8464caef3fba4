"""decisions.csv: whoever wrote it, each decision comes back as it was meant, and the last one counts."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.errors import SpecError
from pipeline.results.decisions import (
    DECISIONS,
    Decision,
    Defaults,
    decisions_in,
    merged,
    read_decisions,
    read_table,
    write_decisions,
)
from pipeline.run.decided import decided_beside
from pipeline.system.clock import iso
from tests.support.fakes import job

SAVED = 1_795_000_000.0  # 2026-11-18T11:06:40Z


def saved(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (SAVED, SAVED))
    return path


def only(path: Path) -> Decision:
    [one] = read_table(path)
    return one


def test_without_a_file_nothing_is_decided(tmp_path: Path) -> None:
    assert read_decisions(tmp_path / "decisions.csv") == {}
    assert read_decisions(saved(tmp_path / "decisions.csv", "\ufeff")) == {}


@pytest.mark.parametrize("there", ["a folder", "a link to nothing"])
def test_decisions_that_cannot_be_read_are_not_taken_for_none(tmp_path: Path, there: str) -> None:
    path = tmp_path / DECISIONS
    if there == "a folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "on a share that is not there.csv")
    with pytest.raises(SpecError, match=re.escape(f"{path}: ")):
        decided_beside(job(tmp_path))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("item,patent_pn,decision\nA,US1S,watch\n", id="by hand"),
        pytest.param("\ufeffItem;Patent_PN;Decision\r\nA;US1S;WATCH\r\n", id="Excel, with semicolons and BOM"),
        pytest.param("DECISION\tITEM\tPATENT NUMBER\n Watch \t A\tUS1S", id="tabs, another order"),
        pytest.param("item,patent_pn,decision,by,at,note\nA,US1S,watch,,,\n,,,,,\nB,US2S,,,,\n", id="rows without any"),
        pytest.param("item,patent_pn,decision\nA,US1S,watch\n".encode("utf-16"), id="UTF-16"),
    ],
)
def test_a_decision_is_read_whatever_program_wrote_it(tmp_path: Path, text: str | bytes) -> None:
    one = only(saved(tmp_path / "decisions.csv", text))
    assert (one.key, one.decision, one.at) == (("A", "US1S"), "watch", "2026-11-18T11:06:40.000Z")


def test_all_columns_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "decisions.csv"
    nasty = Decision(
        item="=cmd|' /C calc'!A0",
        patent_pn="00042",
        decision="escalate",
        by="@Ann",
        at="2026-11-20T09:00:00.000Z",
        note='-5; "台灯", שלום 😀\n',
        run="autumn",
    )
    write_decisions(path, [nasty, Decision(item="B", decision="dismiss", at="2026-11-20")])
    text = path.read_bytes()
    assert text.startswith(b"\xef\xbb\xbfitem,patent_pn,decision,by,at,note,run\n'=cmd|' /C calc'!A0,00042,")
    first, second = read_decisions(path).values()
    assert first == Decision(
        **{**{key: getattr(nasty, key) for key in nasty.__struct_fields__}, "note": nasty.note[:-1]}
    )
    assert (second.key, second.at) == (("B", ""), "2026-11-20")
    write_decisions(path, read_decisions(path).values())
    assert path.read_bytes() == text


def test_columns_that_are_not_ours_are_kept(tmp_path: Path) -> None:
    path = saved(tmp_path / "decisions.csv", "item,patent_pn,decision,Priority,at\nA,1,watch,=high,2026-11-01\n")
    later = Decision(item="A", patent_pn="1", decision="dismiss", at="2026-11-02")
    write_decisions(path, merged(read_decisions(path).values(), [later]).values())
    assert path.read_text(encoding="utf-8-sig") == (
        "item,patent_pn,decision,by,at,note,run,Priority\nA,1,dismiss,,2026-11-02,,,'=high\n"
    )


def test_every_bad_row_is_named_and_nothing_is_taken(tmp_path: Path) -> None:
    text = "item,patent_pn,decision,at\n,1,watch,\nA,1,maybe,\nA,2,watch,yesterday\nB,1,watch,\n"
    path = saved(tmp_path / "decisions.csv", text)
    with pytest.raises(SpecError) as told:
        read_decisions(path)
    assert told.value.lines == (
        f"{path}:2: no item: the product's id is missing",
        f"{path}:3: decision 'maybe' is not allowed; allowed: watch, escalate, dismiss, or nothing",
        f"{path}:4: at: 'yesterday' is no time; write it as 2026-11-21, or 2026-11-21 10:00",
        "nothing was taken",
    )


def test_a_file_that_was_saved_in_a_time_to_come_decides_now(tmp_path: Path) -> None:
    """A wrong clock, or an archive that was unpacked: what is written of it must be read again."""
    path = saved(tmp_path / "decisions.csv", "item,patent_pn,decision\nA,1,watch\n")
    os.utime(path, (time.time() + 500_000,) * 2)
    [one] = read_decisions(path).values()
    assert one.at <= iso(time.time())
    write_decisions(path, [one])
    assert list(read_decisions(path).values()) == [one]


def test_a_decision_of_a_time_to_come_is_refused_for_none_after_it_would_count(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    rows = [f"A,{days},watch,{now + timedelta(days=days):%Y-%m-%d}" for days in (0, 3)]
    path = saved(tmp_path / "decisions.csv", "\n".join(["item,patent_pn,decision,at", *rows]))
    with pytest.raises(SpecError) as told:
        read_decisions(path)
    first, *rest = told.value.lines
    assert first.startswith(f"{path}:3: at: '{now + timedelta(days=3):%Y-%m-%d}' is still to come")
    assert rest == ["nothing was taken"]


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"item,patent_pn\nA,1\n", ":1: no column decision; the columns are item, patent_pn, decision,"),
        ("item,patent_pn,decision,note\nA,1,watch,ärger\n".encode("cp1252"), "this is not CSV in UTF-8"),
        (b'item,patent_pn,decision\nA,1,"watch\n', "this is not CSV in UTF-8"),
    ],
    ids=["no decision", "not UTF-8", "torn"],
)
def test_a_file_that_is_none_says_so(tmp_path: Path, data: bytes, what: str) -> None:
    with pytest.raises(SpecError, match=re.escape(str(tmp_path / "decisions.csv"))) as told:
        read_decisions(saved(tmp_path / "decisions.csv", data))
    assert what in str(told.value)


def at(when: str, decision: str = "watch") -> Decision:
    return Decision(item="A", patent_pn="1", decision=decision, at=when)


@pytest.mark.parametrize(
    ("first", "second", "counts"),
    [
        ("2026-11-20T10:00:00.000Z", "2026-11-20T11:00:00.000Z", "second"),
        ("2026-11-20T11:00:00.000Z", "2026-11-20T10:00:00.000Z", "first"),
        ("2026-11-20T10:00:00.000Z", "2026-11-20T10:00:00.000Z", "second"),
        ("2026-11-20T10:00:00.000Z", "2026-11-20", "second"),
        ("2026-11-20", "2026-11-20T10:00:00.000Z", "second"),
        ("2026-11-20T10:00:00.000Z", "2026-11-19", "first"),
    ],
)
def test_the_later_decision_counts(first: str, second: str, counts: str) -> None:
    [one] = merged([at(first, "first")], [at(second, "second")]).values()
    assert one.decision == counts


HEADER = ["item", "patent_pn", "decision", "by", "at", "note", "decision_was", "note_was"]
DEFAULTS = Defaults("2026-11-30T00:00:00.000Z", by="bob", run="autumn")


def of_workbook(*cells: str) -> list[Decision]:
    return decisions_in([("Hits!1", HEADER), ("Hits!2", ["A", "1", *cells])], DEFAULTS)


def test_a_row_of_a_workbook_that_nobody_changed_keeps_its_time() -> None:
    [one] = of_workbook("watch", "ann", "2026-11-02", "soon", "watch", "soon")
    assert (one.decision, one.by, one.at) == ("watch", "ann", "2026-11-02")
    assert of_workbook("", "", "", "", "", "") == []


def test_a_row_of_a_workbook_that_was_changed_is_decided_when_it_was_saved() -> None:
    [one] = of_workbook("dismiss", "ann", "2026-11-02", "soon", "watch", "soon")
    assert (one.decision, one.by, one.at, one.run) == ("dismiss", "bob", DEFAULTS.at, "autumn")
    [one] = of_workbook("watch", "", "", "", "", "")
    assert (one.decision, one.by, one.at) == ("watch", "bob", DEFAULTS.at)


def test_a_decision_that_was_deleted_in_a_workbook_is_taken_back() -> None:
    [one] = of_workbook("", "ann", "2026-11-02", "", "watch", "")
    assert (one.decision, one.at) == ("", DEFAULTS.at)
    [left] = merged([at("2026-11-02T10:00:00.000Z")], [one]).values()
    assert left.decision == ""
