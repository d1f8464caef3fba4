"""A job that runs again: its pages, exit codes, PDF and exports told from the run before, and from others by name."""

import csv
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import ACCOUNT, job, lines, pipeline, vendor
from tests.support.pages import GONE, NEW, NOT_THEN, RISEN, Page

pytestmark = pytest.mark.proofs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: `first` found one hit less for P0000 and another one lower; `third` lists a product more.

    A fourth lies in a folder of its own.
    """
    folder = tmp_path_factory.mktemp("months")
    with vendor(folder) as server:
        for name, pictures in (("first", 2), ("second", 2), ("third", 3), ("alone/only", 1)):
            place = {"dir": "runs/alone", "run": "only"} if name == "alone/only" else {"run": name}
            path = job(folder, url=server.url, pictures=pictures, output=place)
            assert pipeline("run", path, "-q", cwd=folder, **ACCOUNT).returncode == 0
    change(folder / "runs" / "first" / "results.jsonl")
    return folder


def change(results: Path) -> None:
    found = lines(results)
    for one in found:
        if one["item"] == "P0000":
            new, risen, *rest = one["hits"]
            one["hits"] = [{**risen, "score": round(risen["score"] - 0.05, 4)}, *rest, {**new, "patent_pn": "DE0S"}]
    results.write_text("".join(json.dumps(one) + "\n" for one in found))


def report(folder: Path, name: str, *options: str) -> Any:
    return pipeline("report", folder / "runs" / name, *options, cwd=folder)


def shown(folder: Path, name: str) -> Page:
    return Page(folder / "runs" / name / "report.html")


def test_each_run_is_compared_with_the_one_before_without_a_word(folder: Path) -> None:
    assert report(folder, "alone/only").returncode == 0
    assert shown(folder, "alone/only").run["notCompared"] == "no_earlier"
    assert report(folder, "third").returncode == 0
    page = shown(folder, "third")
    assert page.run["since"]["name"] == "second"
    assert {one.item: one.marks & (NOT_THEN | GONE) for one in page.products} == {
        "P0000": 0,
        "P0001": 0,
        "P0002": NOT_THEN,
    }
    assert not any(one.marks & (NEW | RISEN) for product in page.products for one in product.hits)


def test_another_run_is_named_and_none_is_none(folder: Path) -> None:
    said = report(folder, "second", "--since", "first")
    assert said.returncode == 0
    assert "of them a new or risen one since first" in said.stdout
    product = shown(folder, "second").product("P0000")
    assert [one.marks & (NEW | RISEN) for one in product.hits[:3]] == [NEW, RISEN, 0]
    assert product.hits[1].before == product.hits[1].score - 500
    assert [number for number, _ in product.rest["g"]] == ["DE0S"]
    assert report(folder, "second", "--since", "none").returncode == 0
    assert shown(folder, "second").run["notCompared"] == "not_wanted"


@pytest.mark.parametrize(
    ("run", "since", "said"),
    [
        ("alone/only", "last", 'fix: output: {run: "{name}-{month}"}'),
        ("second", "nowhere", "--since last\n"),
        ("second", "second", "this is the run itself"),
    ],
)
def test_a_run_to_compare_with_that_is_not_there_is_said_with_the_line_to_change(
    folder: Path, run: str, since: str, said: str
) -> None:
    before = (folder / "runs" / run / "report.html").read_bytes()
    done = report(folder, run, "--since", since)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert (folder / "runs" / run / "report.html").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("new:0.1", "--since", "first"), 7),
        (("new:0.1", "--since", "third"), 0),
        (("hit:0.1",), 7),
        (("new:0.1", "--since", "none"), 7),
    ],
)
def test_the_page_can_end_with_exit_code_7_as_a_run_does(folder: Path, options: tuple[str, ...], code: int) -> None:
    done = report(folder, "second", "--fail-on", *options)
    assert (done.returncode, "(--fail-on)" in done.stdout) == (code, code == 7)
    assert done.stdout.splitlines()[-1].endswith("report.html")
    assert json.loads((folder / "runs" / "second" / "summary.json").read_text())["exit_code"] == 0


def test_a_condition_that_is_none_and_a_first_run_of_a_name(folder: Path) -> None:
    done = report(folder, "second", "--fail-on", "newer:0.9")
    assert (done.returncode, done.stderr.endswith("--fail-on new:0.9\n")) == (2, True)
    assert report(folder, "alone/only", "--fail-on", "new:0.1").returncode == 7  # everything is new in a first run


def test_a_pdf_is_made_beside_the_page(folder: Path) -> None:
    pytest.importorskip("typst")
    said = report(folder, "second", "--since", "first", "--pdf")
    assert (said.returncode, said.stderr) == (0, "")
    pdf = folder / "runs" / "second" / "report.pdf"
    assert pdf.read_bytes().startswith(b"%PDF")
    assert f"look at: {pdf}" in said.stdout
    assert report(folder, "second", "--pdf").returncode == 0  # anew


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout.lstrip("\ufeff"))))


def export(folder: Path, *options: str) -> list[dict[str, str]]:
    return rows(pipeline("export", folder / "runs" / "second", "--to", "csv", "-o", "-", *options, cwd=folder))


def test_an_export_says_what_is_new_since_a_run_only_if_that_is_asked_for(folder: Path) -> None:
    assert not {"change", "score_before"} & set(export(folder)[0])
    assert not {"change", "score_before"} & set(export(folder, "--since", "none")[0])
    hits = [one for one in export(folder, "--per", "hit", "--since", "first") if one["item"] == "P0000"]
    assert [one["change"] for one in hits[:3]] == ["new", "risen", "same"]
    assert [one["score_before"] for one in hits[:2]] == ["", str(round(float(hits[1]["score"]) - 0.05, 4))]
    products = {one["item"]: one for one in export(folder, "--since", "first")}
    best = products["P0000"]
    assert (best["change"], best["score_new"], best["hits_gone"]) == ("new", best["score"], "DE0S")
    assert (products["P0001"]["change"], products["P0001"]["score_new"]) == ("same", "")
    assert {one["change"] for one in export(folder, "--since", "third")} == {"same"}
    assert {one["change"] for one in export(folder, "--since", "last")} == {"new", "same"}


def test_a_run_names_the_run_to_compare_with_and_a_wrong_name_costs_nothing(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1, output={"run": "october"})
        first = pipeline("run", path, "--since", "last", cwd=tmp_path, **ACCOUNT)
        assert first.returncode == 0
        assert "note: there is no earlier run of job" in first.stderr
        assert '{run: "{name}-{month}"}' in first.stderr
        path = job(tmp_path, url=server.url, pictures=1, output={"run": "november"})
        calls = server.stats.calls("search")
        wrong = pipeline("run", path, "--since", "september", cwd=tmp_path, **ACCOUNT)
        assert (wrong.returncode, server.stats.calls("search")) == (2, calls)
        assert wrong.stderr.endswith("--since last\n")
        second = pipeline("run", path, "--since", "october", cwd=tmp_path, **ACCOUNT)
        assert second.returncode == 0
        assert "0 of them a new or risen one since october" in second.stdout
        path = job(tmp_path, url=server.url, pictures=1, output={"run": "december"})
        assert pipeline("run", path, "--since", "none", "-q", cwd=tmp_path, **ACCOUNT).returncode == 0
    assert shown(tmp_path, "november").run["since"]["name"] == "october"
    assert shown(tmp_path, "december").run["notCompared"] == "not_wanted"
