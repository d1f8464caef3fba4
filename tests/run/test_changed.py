"""A picture that was replaced after its search is named by plan, run, status and page alike, with a line that works."""

import hashlib
import json
import re
import shlex
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli import main as cli
from pipeline.journal.places import JOURNAL
from pipeline.journal.sql.twins import source_key
from pipeline.journal.storage import connect
from pipeline.models import State
from pipeline.offline.plan import Plan, plan_job
from pipeline.offline.report import make_report
from pipeline.offline.status import read_status
from pipeline.results.summary import RunSummary
from pipeline.run.changed import Changed, find_changed, tell
from pipeline.run.local import run_job
from pipeline.run.options import RunOptions
from pipeline.sandbox.resources import resource
from tests.support.cuts import cut_at
from tests.support.fakes import NOW
from tests.support.jobs import ACCOUNT, job, lines, vendor
from tests.support.journal_rows import new_database, put
from tests.support.pages import Page

PHRASE = "1 picture that changed since it was searched: a.jpg (`pipeline status` says what to do)"


def write(folder: Path, **products: str) -> None:
    for name, product in products.items():
        (folder / f"{name}.jpg").write_bytes((resource("products") / f"{product}.jpg").read_bytes())


def local_job(folder: Path, url: str, *names: str) -> Path:
    path = job(folder, url=url, pictures=0)
    (folder / "list.csv").write_text("id,path\n" + "".join(f"{name},{name}.jpg\n" for name in names))
    return path


def run(path: Path, **options: Any) -> RunSummary:
    return run_job(path, options=RunOptions(environment=ACCOUNT, **options))


def planned_and_run(path: Path) -> tuple[Plan, RunSummary]:
    planned, summary = plan_job(path), run(path)
    assert planned.calls == summary.calls_this_run
    return planned, summary


@pytest.mark.proofs
def test_a_replaced_picture_is_named_everywhere_and_the_entry_that_is_named_has_it_searched(tmp_path: Path) -> None:
    folder = tmp_path / "runs/job"
    with vendor(tmp_path) as server:
        write(tmp_path, a="bag-0", b="lamp-0")
        path = local_job(tmp_path, server.url, "a", "b")
        assert plan_job(path).changed == []
        run(path)
        results = (folder / "results.jsonl").read_bytes()
        write(tmp_path, a="bag-1")
        planned, summary = planned_and_run(path)
        [changed] = planned.changed
        assert (planned.paid_calls, summary.exit_code) == (0, 0)
        assert changed.said.startswith("a.jpg changed since it was searched: item 'a' keeps what was found")
        assert read_status(folder).changed == [changed]
        assert make_report(folder).summary.not_looked_at == summary.not_looked_at
        assert PHRASE in summary.not_looked_at
        assert PHRASE in [phrase for phrase, _, _ in Page(folder / "report.html").run["notLookedAt"]]
        entry = re.search(r"`- (\{.*?\})`", changed.said)
        assert entry is not None
        spec = json.loads(path.read_text())
        spec["images"].append(yaml.safe_load(entry[1]))
        path.write_text(json.dumps(spec))
        planned, summary = planned_and_run(path)
        assert planned.calls == {"upload": 1, "search": 1, "create": 1}
        assert (folder / "results.jsonl").read_bytes().startswith(results), "what is settled stays as it is"
        [changed] = read_status(folder).changed
        assert changed.said.endswith("the picture it is now is that of item 'a-2'")
        assert not any("changed since" in phrase for phrase in summary.not_looked_at)


@pytest.mark.proofs
def test_a_copy_that_was_replaced_before_its_outcome_is_shared_is_planned_as_the_run_pays_for_it(
    tmp_path: Path,
) -> None:
    with vendor(tmp_path) as server:
        write(tmp_path, first="lamp-0", a="bag-0", copy="bag-0")
        path = local_job(tmp_path, server.url, "first", "a", "copy")
        run(path, limit=1)
        assert plan_job(path).calls == {"upload": 1, "search": 1, "create": 1}
        write(tmp_path, copy="bag-1")
        planned, _ = planned_and_run(path)
        assert planned.calls == {"upload": 2, "search": 2, "create": 2}


@pytest.mark.proofs
def test_a_first_file_that_is_gone_leaves_its_copy_to_be_paid_for_as_it_is_planned(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        write(tmp_path, first="lamp-0", a="bag-0", copy="bag-0")
        path = local_job(tmp_path, server.url, "first", "a", "copy")
        run(path, limit=1)
        (tmp_path / "a.jpg").unlink()
        planned, summary = planned_and_run(path)
        assert planned.calls == {"upload": 1, "search": 1, "create": 1}
        assert (summary.items["tasked"], summary.items["failed"]) == (2, 1)


@pytest.mark.proofs
def test_hits_of_a_picture_that_was_replaced_are_shown_and_each_of_both_ways_out_works_as_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "runs/job"
    with vendor(tmp_path) as server:
        write(tmp_path, a="bag-0", b="lamp-0")
        path = local_job(tmp_path, server.url, "a", "b")
        spec = json.loads(path.read_text())
        path.write_text(json.dumps(spec | {"api": spec["api"] | {"max_in_flight": 1}}))
        with cut_at(2, folder):  # before the create of `a`
            run(path)
        with closing(connect(folder / JOURNAL)) as db:
            db.execute("UPDATE items SET url_expires = ? WHERE url IS NOT NULL", (time.time() + 60,))
        write(tmp_path, a="bag-1")
        planned, summary = planned_and_run(path)
        assert (planned.calls["upload"], summary.items["failed"]) == (1, 1)
        [line] = lines(folder / "open.jsonl")
        assert (line["item"], line["error"]["code"], line["image"]["sha256"]) == ("a", "changed", sent("bag-0"))
        assert len(line["hits"]) == line["search"]["hits"] > 0
        [shown] = read_status(folder).open_items
        assert line["todo"] in shown
        assert "a.jpg changed since it was searched" in Page(folder / "report.html").product("a").rest["e"][0]
        write(tmp_path, a="bag-0")
        assert plan_job(path).calls == {"upload": 1, "search": 0, "create": 1}
        write(tmp_path, a="bag-1")
        typed = re.search(r"`(pipeline retry [^`]*)`", line["todo"])
        assert typed is not None
        assert cli.run([*shlex.split(typed[1])[1:], "--yes"]) == 0
        record = lines(folder / "results.jsonl")[-1]
        assert (record["item"], record["status"], record["image"]["sha256"]) == ("a", "tasked", sent("bag-1"))


def sent(product: str) -> str:
    return hashlib.sha256((resource("products") / f"{product}.jpg").read_bytes()).hexdigest()


OLD, NEW = "a" * 64, "b" * 64


def told(folder: Path, *rows: dict[str, Any], now: str = NEW) -> list[Changed]:
    with new_database(folder / "db") as db:
        for number, row in enumerate(rows, start=1):
            put(db, number, **{"local": 1, "source": f"{number}.jpg", "sha256": OLD} | row)
        found = list(find_changed(db, lambda source: now if source == "1.jpg" else OLD))
        return [one for sent, digest in found if (one := tell(db, sent, digest, now=NOW)) is not None]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        pytest.param({"state": State.TASKED}, "keeps what was found for the picture it was; to search", id="settled"),
        pytest.param({"state": State.SEARCHED, "segment": 1}, "becomes no task unless", id="upload-ended"),
        pytest.param(
            {"state": State.SEARCHED, "segment": 1, "url": "u", "url_expires": NOW + 3600},
            "keeps what was found for the picture it was; to search",
            id="upload-lives",
        ),
        pytest.param({"state": State.IN_DOUBT}, "becomes no task unless", id="in-doubt"),
        pytest.param({"state": State.PENDING}, None, id="only-uploaded"),
        pytest.param({"state": State.TASKED, "sha256": NEW}, None, id="as-it-was"),
        pytest.param({"state": State.TASKED, "sha256": None}, None, id="not-known"),
        pytest.param({"state": State.TASKED, "generation": 0}, None, id="listed-no-longer"),
    ],
)
def test_what_was_searched_and_changed_is_told_with_what_becomes_of_it(
    row: dict[str, Any], words: str | None, tmp_path: Path
) -> None:
    found = told(tmp_path, row, {"state": State.TASKED})
    if words is None:
        assert found == []
    else:
        assert words in found[0].said
        assert '`- {id: "SKU-1-2", path: "1.jpg"}`' in found[0].said


def test_a_copy_is_compared_with_what_was_sent_for_its_first_item(tmp_path: Path) -> None:
    first = {"state": State.TASKED, "source": "first.jpg"}
    assert [one.item for one in told(tmp_path, first, {"state": State.TASKED, "source": "1.jpg", "sha256": None})] == []
    other = tmp_path / "other"
    other.mkdir()
    twin = {"state": State.TASKED, "source": "1.jpg", "sha256": None, "same_as": 1}
    assert [one.item for one in told(other, first, twin)] == ["SKU-2"]


def test_a_picture_that_another_item_shows_needs_no_search(tmp_path: Path) -> None:
    shown = {
        "state": State.TASKED,
        "sha256": NEW,
        "picture": f"sha256:{NEW}",
        "source_key": source_key(f"sha256:{NEW}"),
    }
    with new_database(tmp_path / "db") as db:
        put(db, 1, State.TASKED, local=1, source="1.jpg", sha256=OLD)
        put(db, 2, local=1, source="2.jpg", **shown)
        [(sent, digest)] = find_changed(db, lambda _: NEW)
        found = tell(db, sent, digest, now=NOW)
    assert found is not None
    assert found.now_item == "SKU-2"
    assert found.said.endswith("the picture it is now is that of item 'SKU-2'")
