"""The page of one client: nothing of another one is in any byte of it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pypdf
import pytest

from pipeline import RunOptions, run_job
from pipeline.errors import SpecError
from pipeline.job.report import ReportSpec
from pipeline.offline.report import count_matching, make_pdf, make_report
from pipeline.results.fail_on import condition_of
from pipeline.results.page.view import Wishes
from pipeline.run.page import page_of
from tests.support.jobs import ACCOUNT, FaultPlan, job, vendor
from tests.support.pages import NEW, Page

OTHERS = ("Nordlys", "nordlys", "SKU-N", "nord-photo", "99.5", "runs/job", "P0009 costs")


def images() -> list[dict[str, Any]]:
    """Three clients' products; two show the same picture, for two of the clients."""
    url = "https://sandbox.invalid/products/{}.jpg"
    own = [
        {"id": f"SKU-A{n}", "url": url.format(f"bag-{n}"), "labels": {"client": "Acme", "market": "US"}}
        for n in range(3)
    ]
    other = [
        {"id": f"SKU-N{n}", "url": url.format(f"bag-{n}"), "labels": {"client": "Nordlys", "season": "nord-photo"}}
        for n in range(4)
    ]
    return [*other, *own, {"id": "SKU-N9", "url": url.format("lamp-0"), "labels": {}}]


def every_byte(folder: Path) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prices = {"P009": 99.5, "AI39-1": 99.5}
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["ok", "68300010"]})) as server:
        path = job(tmp_path, url=server.url, pictures=1, prices=prices, api={"max_in_flight": 1})
        path.write_text(json.dumps(json.loads(path.read_text()) | {"images": images()}))
        decided = [("SKU-A0", "watch", "own note"), ("SKU-N0", "escalate", "of Nordlys")]
        rows = [f"{item},,{decision},2026-11-02,{note}" for item, decision, note in decided]
        (tmp_path / "decisions.csv").write_text("\n".join(["item,patent_pn,decision,at,note", *rows]))
        run_job(path, options=RunOptions(environment=ACCOUNT))
    return tmp_path / "runs/job"


def test_the_page_of_a_client_holds_nothing_of_others(folder: Path) -> None:
    made = make_report(folder, Wishes(client="Acme"))
    assert made.page == folder / "clients/Acme/report.html"
    page = Page(made.page)
    assert {one.item for one in page.products} == {"SKU-A0", "SKU-A1", "SKU-A2"}
    assert sum(page.run["counts"].values()) == 3
    assert [one[0] for one in page.index["decisions"]] == ["SKU-A0"]
    assert dict(page.index["labels"]) == {"client": ["Acme"], "market": ["US"]}
    whole = every_byte(made.page.parent)
    for other in OTHERS:
        assert other not in whole, other
    assert not re.search(r"\b(7|8) (products|items)", whole)
    everybody = Page(folder / "report.html")
    assert {one.item for one in everybody.products} >= {"SKU-N0", "SKU-A0"}
    assert "Nordlys" in everybody.text


@pytest.mark.proofs
def test_compared_with_a_run_that_is_named_after_another_client_it_holds_nothing_of_that(folder: Path) -> None:
    before = folder.with_name("Nordlys-2026-10")
    shutil.copytree(folder, before)
    lines = [json.loads(line) for line in (before / "results.jsonl").read_text().splitlines()]
    for one in lines:  # a hit of each product was another one then, so that one is new and one is gone
        one["hits"][0]["patent_pn"] = f"DE{one['image']['labels'].get('client', 'nobody')}"
    (before / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    wishes = Wishes(client="Acme", since=before.name)
    made = make_report(folder, wishes)
    page = Page(made.page)
    assert page.run["since"]["name"] == ""
    assert any(one.marks & NEW for product in page.products for one in product.hits)
    gone = {number for product in page.products for number, _ in product.rest.get("g", [])}
    assert gone == {"DEAcme"}
    pdf = make_pdf(folder, made, wishes)
    text = "".join(one.extract_text() for one in pypdf.PdfReader(pdf).pages)
    assert "Compared with the run of 20" in text.replace("\n", " ")
    assert "new" in text
    assert count_matching(folder, wishes, condition_of("new:0.1", since=before.name)) == len(
        [one for one in page.products if one.best_new >= 1_000]
    )
    pdf.unlink()
    for other in (*OTHERS, "DENordlys", "DEnobody"):
        assert other not in every_byte(made.page.parent), other
        assert other not in text, other


@pytest.mark.parametrize(("one", "other"), [("A/B", "A-B"), ("A B", "A/B"), ("..", "."), ("深圳/优品", "深圳-优品")])
def test_pages_of_two_clients_never_share_a_folder(tmp_path: Path, one: str, other: str) -> None:
    first, second = (page_of(tmp_path, client) for client in (one, other))
    assert first != second
    assert first.parent.parent == second.parent.parent == tmp_path / "clients"


@pytest.mark.proofs
def test_an_open_product_of_a_client_says_no_sentence_that_may_name_another_one(folder: Path) -> None:
    page = Page(make_report(folder, Wishes(client="Acme")).page)
    opened = [one for one in page.products if one.cause >= 0]
    assert opened
    assert all("e" not in one.rest and "same" not in one.rest for one in page.products)
    assert all(cause[2] == cause[3] == cause[4] == "" for cause in page.index["causes"])


@pytest.mark.proofs
def test_the_label_of_clients_is_the_jobs_own(folder: Path) -> None:
    wishes = Wishes(client="US", report=ReportSpec(client_label="market"))
    assert len(Page(make_report(folder, wishes).page).products) == 3


@pytest.mark.proofs
def test_a_client_that_is_not_there_is_named_with_those_that_are(folder: Path) -> None:
    with pytest.raises(SpecError, match="no product has the label client: Acne; there are Acme, Nordlys"):
        make_report(folder, Wishes(client="Acne"))


@pytest.mark.parametrize("letter", ["x", "\u6c34", "\U00020000"])
def test_a_client_of_a_long_name_has_a_folder_that_can_be_made(letter: str, tmp_path: Path) -> None:
    pages = [page_of(tmp_path, letter * length) for length in (300, 301)]
    for page in pages:
        page.parent.mkdir(parents=True)
    assert pages[0].parent != pages[1].parent
