"""The page, the summary and open.jsonl of a cluster run: those of one run with the same records."""

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pipeline import read_records
from pipeline.cli import main as cli
from pipeline.cluster.directories import directories
from pipeline.offline.shards import report as shards_report
from pipeline.offline.shards.report import make_cluster_report
from pipeline.results.page.view import Wishes
from tests.support.jobs import FaultPlan, lines, vendor
from tests.support.pages import Page, Product
from tests.support.sharded import Sharded, sharded, write_split

BROKEN = "68300010"  # the vendor refuses this picture
OF_ITS_OWN = {"tool", "run", "from", "to", "asOf", "parts", "folder", "files", "exit", "steps"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Sharded:
    """Three shards of four items, of which some are refused, and one run of all twelve; two clients."""
    folder = tmp_path_factory.mktemp("made")
    script = {"search": ["", BROKEN, "", "", "", BROKEN, "", BROKEN, "", "", "", ""] * 2}
    with vendor(folder, faults=FaultPlan.scripted(script)) as server:
        return sharded(folder, server.url, clients=("acme", "globex"), api={"max_in_flight": 1})


@pytest.fixture
def run(made: Sharded, tmp_path: Path) -> Path:
    """A copy of the cluster run, beside nothing else."""
    return Path(shutil.copytree(made.folder, tmp_path / "shared" / "job"))


def report(run: Path, *options: str) -> Page:
    assert cli.run(["report", str(run), *options]) == 0
    return Page(run / "report.html")


def shown(product: Product) -> tuple[Any, ...]:
    """What a person sees of a product that is the same in every run."""
    hits = [(hit.number, hit.score, hit.rank, hit.rest.get("t")) for hit in product.hits]
    return product.item, product.source, product.labels, product.status, product.best, product.hits_found, hits


def test_the_page_of_three_shards_is_the_page_of_one_run_with_the_same_records(made: Sharded, run: Path) -> None:
    ours, theirs = report(run), Page(made.single / "report.html")
    assert sorted(map(shown, ours.products)) == sorted(map(shown, theirs.products))
    assert [one.best for one in ours.products] == [one.best for one in theirs.products]  # one order, by score
    assert {key: value for key, value in ours.run.items() if key not in OF_ITS_OWN} == {
        key: value for key, value in theirs.run.items() if key not in OF_ITS_OWN
    }
    assert ours.run["folder"] == str(run)
    assert not list(run.glob("shards/*/report.html"))


def test_open_items_of_all_shards_stand_in_one_file_that_names_the_whole_run(made: Sharded, run: Path) -> None:
    report(run)
    ours, theirs = lines(run / "open.jsonl"), lines(made.single / "open.jsonl")
    assert [one["item"] for one in ours] == [one["item"] for one in theirs]
    assert all(f"pipeline retry {run} " in one["todo"] for one in ours)


def test_the_summary_is_that_of_one_run(made: Sharded, run: Path) -> None:
    report(run)
    ours, theirs = (json.loads((folder / "summary.json").read_text()) for folder in (run, made.single))
    same = ("job", "vendor", "items", "calls_this_run", "not_looked_at", "exit_code", "state", "units_said")
    assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}
    assert {kind: spent["sent"] for kind, spent in ours["calls"].items()} == {
        kind: spent["sent"] for kind, spent in theirs["calls"].items()
    }
    assert ours["run"] == "job"
    assert Path(ours["results"]).name == "manifest.json"


def test_the_shards_stay_as_they_are(run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run / "shards").rglob("*.json*")}
    report(run)
    assert {path: path.stat().st_mtime_ns for path in (run / "shards").rglob("*.json*")} == before


def test_the_page_of_a_client_holds_nothing_of_another(made: Sharded, run: Path) -> None:
    report(run, "--client", "acme")
    ours = Page(run / "clients" / "acme" / "report.html")
    assert {one.labels["client"] for one in ours.products} == {"acme"}
    assert len(ours.products) == 6
    assert "globex" not in ours.path.read_text()


def test_an_unknown_client_is_told_which_ones_there_are(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["report", str(run), "--client", "acne"]) == 2
    assert "acme, globex" in capsys.readouterr().err


def test_a_page_says_what_is_missing_and_status_when_it_is_old(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_split(run, [4, 4, 4, 9])
    (run / "shards/0003").mkdir()
    (run / "shards/0001/e1/journal.sqlite").write_bytes(b"no database")
    page = report(run)
    assert "shard 0001 cannot be read" in capsys.readouterr().err
    said = [phrase[0] for phrase in page.run["notLookedAt"]]
    assert "products of 1 shard that is missing or cannot be read" in said
    assert "9 items that were not started" in said
    assert (page.run["state"], len(page.products)) == ("interrupted", 8)
    assert cli.run(["status", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["page"] == ""
    shutil.rmtree(run / "shards/0002")
    assert cli.run(["status", str(run), "--json"]) == 0
    assert "report.html is older" in json.loads(capsys.readouterr().out)["page"]


def test_beyond_what_a_page_holds_the_most_alike_are_shown_and_all_are_counted(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = report(run)
    monkeypatch.setattr(shards_report, "ON_PAGE", 3)
    page = report(run)
    settled = [shown(one) for one in whole.products if one.status == "tasked"]
    assert [shown(one) for one in page.products if one.status == "tasked"] == settled[:3]
    assert page.run["counts"] == whole.run["counts"]
    said = [phrase[0] for phrase in page.run["notLookedAt"]]
    assert "products beyond the 6 most alike, of 12: not on this page" in said


def test_a_run_beside_has_a_line_in_the_list_of_runs(run: Path) -> None:
    report(run)
    assert "job" in (run.parent / "index.html").read_text()
    assert make_cluster_report(directories(run), Wishes()).summary.run == "job"


@pytest.mark.proofs
def test_local_pictures_of_all_shards_are_on_the_page(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        made = sharded(tmp_path, server.url, shards=2, each=2, single=True, report={"pictures": {"keep": 20}})
    ours, theirs = report(made.folder), Page(made.single / "report.html")
    assert len(ours.small) == len(theirs.small) > 0


def test_records_of_a_cluster_run_are_read_shard_by_shard(made: Sharded) -> None:
    shards = [record.item for number in range(3) for record in read_records(made.run(number))]
    assert [record.item for record in read_records(made.folder)] == shards
    with_open = [record.item for record in read_records(made.folder, include_open=True)]
    assert with_open[: len(shards)] == shards
    assert sorted(with_open) == [f"P{n:04}" for n in range(12)]


def test_a_cluster_run_is_compared_with_the_one_before_it(run: Path) -> None:
    report(run)
    later = Path(shutil.copytree(run, run.with_name("later")))
    summary = json.loads((later / "summary.json").read_text())
    for part in later.glob("shards/*/e1"):
        told = json.loads((part / "summary.json").read_text())
        (part / "summary.json").write_text(json.dumps({**told, "started_at": "2999-01-01T00:00:00.000Z"}))
        with contextlib.closing(sqlite3.connect(part / "journal.sqlite")) as db, db:
            db.execute("UPDATE meta SET value = '2999-01-01T00:00:00.000Z' WHERE key IN ('started_at', 'ended')")
    report(later)
    similar = json.loads((later / "summary.json").read_text())["similar"]
    assert (similar["since"], similar["new"]) == ("job", 0)
    assert similar["products"] == summary["similar"]["products"] > 0
