"""The list of runs: one line each, and no file of anybody else's."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.results.page.runs import INDEX, MARK, write_runs


def run(folder: Path, name: str, day: int, **keys: Any) -> None:
    place = folder / name
    place.mkdir()
    (place / "report.html").write_text("page")
    summary = {
        "job": "watch",
        "run": name,
        "started_at": f"2026-11-{day:02}T10:00:00.000Z",
        "finished_at": f"2026-11-{day:02}T10:05:00.000Z",
        "vendor": "connect.example.com",
        "items": {"all": 1_200, "open": 3, "not_started": 2},
        "calls": {"search": {"sent": 1_200}, "create": {"sent": 900}, "query": {"sent": 5}},
        "exit_reason": "all items are settled",
        **keys,
    }
    (place / "summary.json").write_text(json.dumps(summary))


def test_each_run_is_a_line_with_its_counts_and_a_link_the_newest_first(tmp_path: Path) -> None:
    run(tmp_path, "watch-2026-10", 1)
    similar = {"at_least": 0.9, "products": 17, "new": 4, "since": "watch-2026-10"}
    run(tmp_path, "watch 2026-11", 2, similar=similar, money={"spent": "2040.5", "currency": "CNY"})
    assert write_runs(tmp_path)
    page = (tmp_path / INDEX).read_text()
    assert page.index("watch 2026-11</a>") < page.index("watch-2026-10</a>")
    assert 'href="watch%202026-11/report.html"' in page
    assert 'href="watch%202026-11/report.html#min=0.9">17<' in page
    assert 'href="watch%202026-11/report.html#min=0.9&amp;mark=new">4<' in page
    assert "report.html#" not in page[page.index("watch-2026-10</a>") :]  # that one says nothing of it
    for said in ("1,200", "2,100", "17", "at or above 0.9", "since watch-2026-10", "2040.5 CNY", ">5<"):
        assert said in page, said


def test_names_cannot_leave_the_text(tmp_path: Path) -> None:
    run(tmp_path, "<script>alert(1)<\u2044script>", 1, job="<img src=x>", exit_reason="<b>&")
    write_runs(tmp_path)
    page = (tmp_path / INDEX).read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert "default-src 'none'" in page


def test_a_page_of_somebody_else_stays(tmp_path: Path) -> None:
    run(tmp_path, "a", 1)
    (tmp_path / INDEX).write_text("<h1>mine</h1>")
    assert not write_runs(tmp_path)
    assert (tmp_path / INDEX).read_text() == "<h1>mine</h1>"


def test_our_own_list_is_written_anew(tmp_path: Path) -> None:
    run(tmp_path, "a", 1)
    assert write_runs(tmp_path)
    run(tmp_path, "b", 2)
    assert write_runs(tmp_path, lang="zh")
    page = (tmp_path / INDEX).read_text()
    assert MARK in page
    assert ("b</a>" in page, "运行记录" in page) == (True, True)


@pytest.mark.parametrize("summary", ["", "{}", '{"job": 5}', "[]", '{"job": "a", "run": "b", "started_at": "x"}'])
def test_a_summary_of_another_shape_breaks_no_list(tmp_path: Path, summary: str) -> None:
    run(tmp_path, "a", 1)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "summary.json").write_text(summary)
    assert write_runs(tmp_path)
    assert "a</a>" in (tmp_path / INDEX).read_text()
