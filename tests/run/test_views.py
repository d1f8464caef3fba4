"""Items with several views of one product, in whole runs: one search and one task each, one upload a picture."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline import RunOptions, plan_job, read_records, run_job
from pipeline.journal.places import JOURNAL
from pipeline.sandbox.resources import resource
from tests.support.accounts import known_account
from tests.support.jobs import ACCOUNT, FaultPlan, lines, pipeline, started, vendor
from tests.support.pages import Page
from tests.support.processes import until

PRODUCT = "https://sandbox.invalid/products/{}.jpg"


def product(folder: Path, name: str, shown: str) -> str:
    """Put a picture of a shipped product into a folder, under a name."""
    (folder / name).write_bytes((resource("products") / f"{shown}.jpg").read_bytes())
    return name


def job(folder: Path, url: str, images: list[dict[str, Any]], **parts: Any) -> Path:
    known_account(url, ACCOUNT)
    api = {"base_url": url, "qps": 1000, **parts.pop("api", {})}
    search = {"endpoint": "P061", "limit": 5, **parts.pop("search", {})}
    spec = {"version": 1, "name": "job", "images": images, "search": search, "api": api, **parts}
    path = folder / "job.yaml"
    path.write_text(json.dumps(spec))
    return path


def run(path: Path) -> Any:
    return run_job(path, options=RunOptions(environment=ACCOUNT))


def tasks(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "vendor/tasks.jsonl").read_text().splitlines()]


def test_the_views_of_a_product_are_one_search_and_one_task_of_all_of_them(tmp_path: Path) -> None:
    files = [product(tmp_path, "front.jpg", "bag-0"), product(tmp_path, "side.jpg", "bag-1")]
    images = [
        {"id": "A", "views": [*files, PRODUCT.format("lamp-0")]},
        {"id": "B", "url": PRODUCT.format("mug-0")},
    ]
    with vendor(tmp_path) as server:
        path = job(tmp_path, server.url, images)
        plan = plan_job(path)
        assert plan.calls == {"upload": 2, "search": 2, "create": 2}
        assert "1 item has one picture: it is searched with P060, with the same parameters" in plan.warnings
        summary = run(path)
        assert summary.items["tasked"] == 2
        assert summary.calls_this_run == plan.calls
    views, single = tasks(tmp_path)
    assert len(views["urls"]) == 3
    assert views["urls"][2] == PRODUCT.format("lamp-0")
    first, second = lines(tmp_path / "runs/job/results.jsonl")
    assert (first["search"]["endpoint"], second["search"]["endpoint"]) == ("P061", "P060")
    assert [view["source"] for view in first["image"]["views"]] == [*files, PRODUCT.format("lamp-0")]
    assert [view["url"] for view in first["image"]["views"]] == views["urls"]
    assert [view["sha256"] is None for view in first["image"]["views"]] == [False, False, True]
    assert first["image"]["source"] == f"views: front.jpg | side.jpg | {PRODUCT.format('lamp-0')}"
    assert "views" not in second["image"]
    [record, _] = read_records(tmp_path / "runs/job")
    assert [view.source for view in record.image.views] == [*files, PRODUCT.format("lamp-0")]
    assert single["urls"] == [PRODUCT.format("mug-0")]


@pytest.mark.proofs
def test_a_manifest_lists_views_in_columns_and_rows_with_one_picture_beside_them(tmp_path: Path) -> None:
    for name, shown in (("a.jpg", "bag-0"), ("b.jpg", "bag-1"), ("c.jpg", "lamp-0")):
        product(tmp_path, name, shown)
    rows = [
        "id,url,view_1,View 2,view_3,client",
        "A,,a.jpg,b.jpg,,acme",
        f"B,{PRODUCT.format('mug-0')},,,,",
        "C,,c.jpg,,,",
    ]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    with vendor(tmp_path) as server:
        path = job(tmp_path, server.url, [{"manifest": "list.csv"}])
        assert plan_job(path).calls == {"upload": 3, "search": 3, "create": 3}
        assert run(path).items["tasked"] == 3
    records = {record.item: record for record in read_records(tmp_path / "runs/job")}
    assert [view.source for view in records["A"].image.views] == ["a.jpg", "b.jpg"]
    assert records["A"].image.labels == {"client": "acme"}
    assert (records["C"].image.source, records["C"].image.views) == ("c.jpg", [])


@pytest.mark.proofs
def test_jsonl_lists_views_in_a_list(tmp_path: Path) -> None:
    urls = [PRODUCT.format(name) for name in ("bag-0", "bag-1")]
    rows = [{"id": "A", "views": urls, "client": "acme"}, {"id": "B", "url": urls[0]}]
    (tmp_path / "list.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with vendor(tmp_path) as server:
        assert run(job(tmp_path, server.url, [{"manifest": "list.jsonl"}])).items["tasked"] == 2
    first, second = read_records(tmp_path / "runs/job")
    assert ([view.source for view in first.image.views], first.image.labels) == (urls, {"client": "acme"})
    assert second.image.views == []


@pytest.mark.proofs
def test_items_that_share_a_view_upload_it_once_and_equal_views_count_once(tmp_path: Path) -> None:
    for name, shown in (("a.jpg", "bag-0"), ("copy.jpg", "bag-0"), ("b.jpg", "bag-1"), ("c.jpg", "lamp-0")):
        product(tmp_path, name, shown)
    images = [
        {"id": "A", "views": ["a.jpg", "b.jpg"]},
        {"id": "B", "views": ["copy.jpg", "c.jpg"]},  # shares a picture with A
        {"id": "C", "views": ["copy.jpg", "b.jpg"]},  # the views of A
        {"id": "D", "views": ["b.jpg", "a.jpg"]},  # another order is another product
        {"id": "E", "views": ["a.jpg", "copy.jpg"]},  # one picture
    ]
    with vendor(tmp_path) as server:
        path = job(tmp_path, server.url, images, api={"max_in_flight": 1})
        plan = plan_job(path)
        assert plan.same_picture == 1
        assert plan.calls == {"upload": 4, "search": 4, "create": 4}  # E's picture is a plain one
        summary = run(path)
        assert (summary.calls_this_run, summary.items["tasked"]) == (plan.calls, 5)
    records = {record.item: record for record in read_records(tmp_path / "runs/job")}
    assert records["C"].same_as == "A"
    assert [view.source for view in records["C"].image.views] == ["copy.jpg", "b.jpg"]
    assert [view.sha256 for view in records["C"].image.views] == [view.sha256 for view in records["A"].image.views]
    assert records["E"].search is not None
    assert records["E"].search.endpoint == "P060"


def test_an_item_of_which_one_view_cannot_be_sent_costs_nothing(tmp_path: Path) -> None:
    product(tmp_path, "a.jpg", "bag-0")
    (tmp_path / "broken.jpg").write_text("no picture")
    images = [{"id": "A", "views": ["a.jpg", "broken.jpg"]}, {"id": "B", "views": ["a.jpg", "gone.jpg"]}]
    with vendor(tmp_path) as server:
        path = job(tmp_path, server.url, images)
        plan = plan_job(path)
        assert (plan.paid_calls, plan.bad) == (0, 2)
        summary = run(path)
        assert (summary.items["failed"], server.stats.calls("upload")) == (2, 0)
    first, second = (line["error"]["message"] for line in lines(tmp_path / "runs/job/open.jsonl"))
    assert "broken.jpg" in first
    assert "gone.jpg" in second


@pytest.mark.proofs
def test_the_page_shows_every_view(tmp_path: Path) -> None:
    product(tmp_path, "front.jpg", "bag-0")
    product(tmp_path, "side.jpg", "bag-1")
    with vendor(tmp_path) as server:
        run(job(tmp_path, server.url, [{"id": "A", "views": ["front.jpg", "side.jpg"]}]))
    page = Page(tmp_path / "runs/job/report.html")
    shown = page.product("A").rest
    assert len({page.picture(number) for number in (shown["p"], *shown["v"])}) == 2


def uploads_kept(run: Path) -> int:
    if not (run / JOURNAL).exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{run / JOURNAL}?mode=ro", uri=True)) as journal:
            return int(journal.execute("SELECT count(*) FROM view_uploads").fetchone()[0])
    except sqlite3.OperationalError:  # its tables are being made
        return 0


@pytest.mark.proofs
def test_a_kill_between_two_views_uploads_none_of_them_again(tmp_path: Path) -> None:
    """Two views are uploaded and the third hangs: that one alone is sent twice."""
    names = [product(tmp_path, f"{shown}.jpg", shown) for shown in ("bag-0", "bag-1", "lamp-0")]
    with vendor(tmp_path, faults=FaultPlan.parse("upload:hang.before@3", seed=1)) as server:
        path = job(tmp_path, server.url, [{"id": "A", "views": names}])
        with started("run", path, "--yes", cwd=tmp_path, **ACCOUNT) as process:
            until(lambda: server.stats.calls("upload") == 3, by=process)
            until(lambda: uploads_kept(tmp_path / "runs/job") == 2, by=process)
            process.kill()
        assert plan_job(path).calls == {"upload": 1, "search": 1, "create": 1}
        assert run(path).items["tasked"] == 1
        assert (server.stats.calls("upload"), server.stats.executed["upload"]) == (4, 3)
    assert len(tasks(tmp_path)[0]["urls"]) == 3


@pytest.mark.proofs
def test_twenty_products_of_three_views_pay_twenty_searches(tmp_path: Path) -> None:
    base = Image.open(resource("products") / "bag-0.jpg")
    for number in range(60):
        base.putpixel((number % 50, number // 50), (255, 0, number % 256))
        base.save(tmp_path / f"{number}.png")
    images = [{"id": f"P{n}", "views": [f"{3 * n + view}.png" for view in range(3)]} for n in range(20)]
    with vendor(tmp_path) as server:
        path = job(tmp_path, server.url, images)
        assert plan_job(path).calls == {"upload": 60, "search": 20, "create": 20}
        assert run(path).items["tasked"] == 20
        calls = {kind: server.stats.calls(kind) for kind in ("upload", "search", "create")}
    assert calls == {"upload": 60, "search": 20, "create": 20}


@pytest.mark.proofs
def test_a_job_without_p061_refuses_views_and_keeps_such_columns_as_labels(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"id,url,view_1\nA,{PRODUCT.format('bag-0')},left\n")
    with vendor(tmp_path) as server:
        run(job(tmp_path, server.url, [{"manifest": "list.csv"}], search={"endpoint": "P009"}))
    [record] = read_records(tmp_path / "runs/job")
    assert record.image.labels == {"view_1": "left"}


@pytest.mark.proofs
def test_a_repaired_run_knows_its_items_with_views_and_pays_nothing_again(tmp_path: Path) -> None:
    names = [product(tmp_path, f"{shown}.jpg", shown) for shown in ("bag-0", "bag-1")]
    images = [{"id": "A", "views": names}, {"id": "B", "views": [PRODUCT.format("mug-0"), PRODUCT.format("lamp-0")]}]
    with vendor(tmp_path) as server:
        path = job(tmp_path, server.url, images)
        assert run(path).items["tasked"] == 2
        for name in ("journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"):
            (tmp_path / "runs/job" / name).unlink(missing_ok=True)
        assert pipeline("repair", tmp_path / "runs/job", cwd=tmp_path).returncode == 0
        assert plan_job(path).paid_calls == 0
        assert run(path).calls_this_run == {"upload": 0, "search": 0, "create": 0}
