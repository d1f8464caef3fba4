"""Plan, run, status, summary.json, open.jsonl and the page agree: whatever is listed, mended, limited or budgeted."""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from pipeline.errors import SpecError
from pipeline.models import OPEN, SETTLED
from pipeline.offline.plan import Plan, make_plan
from pipeline.offline.status import read_status
from pipeline.run.load import load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from pipeline.sandbox.resources import resource
from tests.support.fuzzing import fuzzed
from tests.support.jobs import ACCOUNT, drawings, job, lines, vendor

URLS = drawings(4)
# URLs, one of them in another spelling, two copies of a file and another one, a missing file, a slip.
NAMED = [*URLS, f"{URLS[0]}#again", "a.jpg", "copy.jpg", "b.jpg", "missing.jpg", "oops"]
ROWS = st.lists(st.tuples(st.sampled_from("ABCDEF"), st.sampled_from(NAMED)), min_size=1, max_size=7)
MOST = st.one_of(st.none(), st.integers(0, 5))
STEPS = st.lists(st.tuples(ROWS, MOST, MOST, MOST, st.booleans()), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with vendor(tmp_path_factory.mktemp("vendor")) as server:
        yield server.url


def write(folder: Path, rows: list[tuple[str, str]]) -> None:
    cells = (f"{id_},,{name}" if name.endswith(".jpg") and "/" not in name else f"{id_},{name}," for id_, name in rows)
    (folder / "list.csv").write_text("id,url,path\n" + "".join(f"{line}\n" for line in cells))


@fuzzed(STEPS, short=5, long=400)
def test_what_is_planned_is_what_is_paid_and_all_places_count_alike(url: str, steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        path = job(folder, url=url, pictures=0)
        for picture, product in (("a.jpg", "bag-0"), ("copy.jpg", "bag-0"), ("b.jpg", "lamp-0")):
            (folder / picture).write_bytes((resource("products") / f"{product}.jpg").read_bytes())
        for rows, limit, searches, creates, accept in steps:
            write(folder, rows)
            budget = {"search_calls": searches, "create_calls": creates}
            overrides = [f"api.budget.{key}={most}" for key, most in budget.items() if most is not None]
            loaded = load(path, overrides=overrides, environment=ACCOUNT)
            options = RunOptions(limit=limit or None, accept_changes=accept, environment=ACCOUNT)
            planned = make_plan(loaded.spec, limit=options.limit, accept_changes=accept)
            if planned.refused:
                with pytest.raises(SpecError) as refused:
                    LocalExecutor().run(loaded, options)
                assert planned.refused == list(refused.value.lines)
                continue
            summary = LocalExecutor().run(loaded, options)
            assert summary.calls_this_run == planned.calls
            assert_places_agree(folder, summary.items, make_plan(loaded.spec))


def assert_places_agree(folder: Path, items: dict[str, int], planned: Plan) -> None:
    run = folder / "runs/job"
    words = [state.word for state in (*SETTLED, *OPEN)]
    known = {word: items[word] for word in words if items[word]}
    assert json.loads((run / "summary.json").read_text())["items"] == items == read_status(run).items
    assert {word: number for word, number in planned.already.items() if word in words} == known
    opened = [line["status"] for line in lines(run / "open.jsonl")]
    assert {word: opened.count(word) for word in set(opened)} == {
        word: number for word, number in known.items() if word in [state.word for state in OPEN]
    }
    tallies = re.findall(r'class="mark".*?</svg><b>([\d,]+)</b>', (run / "report.html").read_text())
    assert [int(tally) for tally in tallies] == [*(items[word] for word in words), items["not_started"]]
