"""Plan, run, status, summary, open.jsonl and the page agree: whatever is listed, mended, replaced, limited or cut."""

import json
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from pipeline.calls.account import account_of
from pipeline.errors import SpecError
from pipeline.journal.places import JOURNAL
from pipeline.journal.storage import connect
from pipeline.models import OPEN, SETTLED
from pipeline.offline.plan import Plan, PlannedRun, make_plan
from pipeline.offline.status import read_status
from pipeline.run.load import load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import RunOptions
from pipeline.sandbox.resources import resource
from tests.support.cuts import cut_at
from tests.support.fuzzing import fuzzed
from tests.support.jobs import ACCOUNT, drawings, job, lines, vendor
from tests.support.lengths import THOROUGH
from tests.support.pages import Page

URLS = drawings(3)
# Two copies of a file and another one, a URL in two spellings.
LISTED = [("A", "a.jpg"), ("B", URLS[0]), ("C", "copy.jpg"), ("D", f"{URLS[0]}#again"), ("E", "b.jpg")]
# Another picture under a known id, a missing file, a slip, and what mends it.
OTHERS = [("A", "b.jpg"), ("B", URLS[1]), ("F", "missing.jpg"), ("G", "oops"), ("G", URLS[2])]
AT_FIRST = {"a.jpg": "bag-0", "copy.jpg": "bag-0", "b.jpg": "lamp-0"}
# Views of one product: copies, two orders, a shared picture, a URL among them; and one picture alone.
VIEWS = [
    ("A", "a.jpg+b.jpg"),
    ("B", URLS[0]),
    ("C", "copy.jpg+b.jpg"),
    ("D", "b.jpg+a.jpg"),
    ("E", f"{URLS[1]}+copy.jpg+b.jpg"),
    ("F", "b.jpg"),
]
OTHER_VIEWS = [("A", "a.jpg"), ("D", "b.jpg+missing.jpg"), ("G", "a.jpg+copy.jpg"), ("H", f"{URLS[1]}+{URLS[2]}")]
GONE = ""
NAMES = {"upload": "P010", "search": "P009", "create": "AI39-1"}
PRICES = {
    "P010": 0,
    "P009": 0.2,
    "P060": 0.2,
    "P061": 0.2,
    "AI39-1": 1.5,
    "AI39-2": 0,
    "AI39-submit": 1.5,
    "AI39-report": 0,
}
PLAIN = {"search": {"limit": 3}}
OF_VIEWS = {"search": {"endpoint": "P061", "limit": 3}}
DEEP = {"search": {"depth": 250}}  # three pages, of the 432 hits that the sandbox has for every picture
READ = {**PLAIN, "task": {"report": "wait"}}
SUBMIT = {"method": "submit", "search": {}, "task": {"country": ["US", "EU", "CN", "JP", "KR"]}}
WORDS = [state.word for state in (*SETTLED, *OPEN)]


@dataclass(frozen=True)
class Step:
    """A run of the job as it is then.

    rows      of its manifest: ids, and pictures by URL or path; None for those of before
    shown     the products that files show from now on; "" for a file that is gone
    budget    the most calls of a kind
    money     the most that calls may cost; None for no cap
    cut       the moment at which the run dies; None for one that comes to its end
    aged      whether uploads of earlier runs have ended by now
    run       the run directory
    reuse     whether it takes what the other run directory paid
    """

    rows: list[tuple[str, str]] | None = None
    shown: dict[str, str] = field(default_factory=dict)
    limit: int | None = None
    budget: dict[str, int] = field(default_factory=dict)
    money: float | None = None
    accept: bool = False
    repeat: bool = False
    cut: int | None = None
    aged: bool = False
    run: str = "job"
    reuse: bool = False


def steps_of(rows: list[tuple[str, str]]) -> Any:
    """Draw runs of a job that lists some of these rows."""
    step = st.builds(
        Step,
        rows=st.none() | st.lists(st.sampled_from(rows), min_size=1, max_size=7),
        shown=st.dictionaries(st.sampled_from([*AT_FIRST]), st.sampled_from(["bag-1", "lamp-0", GONE]), max_size=2),
        limit=st.none() | st.integers(1, 4),
        budget=st.dictionaries(st.sampled_from(["upload", "search", "create"]), st.integers(1, 4), max_size=2),
        money=st.none() | st.sampled_from([0, 1.7, 1.9, 3.5, 5, 7.2]),
        accept=st.booleans(),
        repeat=st.booleans(),
        cut=st.none() | st.integers(0, 20),
        aged=st.booleans(),
        run=st.sampled_from(["job", "job", "other"]),
        reuse=st.booleans(),
    )
    return st.lists(step, min_size=2, max_size=4)


STEPS = steps_of(LISTED + OTHERS)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with vendor(tmp_path_factory.mktemp("vendor"), report_after_s=0) as server:
        yield server.url


@fuzzed(STEPS, short=2, long=200 if THOROUGH else 25)
def test_what_is_planned_is_what_is_paid_and_all_places_count_alike(url: str, steps: list[Step]) -> None:
    assert_planned_is_paid_through(url, *steps)


@pytest.mark.proofs
@fuzzed(STEPS, long=60 if THOROUGH else 10)
def test_the_pages_of_a_deep_search_are_planned_as_they_are_paid(url: str, steps: list[Step]) -> None:
    assert_planned_is_paid_through(url, *steps, parts=DEEP)


@pytest.mark.proofs
@fuzzed(steps_of(VIEWS + OTHER_VIEWS), long=80 if THOROUGH else 12)
def test_the_uploads_of_views_are_planned_as_they_are_paid(url: str, steps: list[Step]) -> None:
    assert_planned_is_paid_through(url, *steps, parts=OF_VIEWS)


def assert_planned_is_paid_through(url: str, *steps: Step, parts: dict[str, Any] = PLAIN) -> None:
    """Run a job as the steps say, and hold what is said of it against what it does."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        show(folder, AT_FIRST)
        rows = VIEWS if parts is OF_VIEWS else LISTED
        for step in steps:
            rows = step.rows if step.rows is not None else rows
            take(folder, url, step, rows, parts)


def take(folder: Path, url: str, step: Step, rows: list[tuple[str, str]], parts: dict[str, Any]) -> None:
    run = folder / "runs" / step.run
    show(folder, step.shown)
    if step.aged:
        age(run)
    # One item at a time, so that what fails once fails always.
    api: dict[str, Any] = {"max_in_flight": 1, "budget": {f"{kind}_calls": most for kind, most in step.budget.items()}}
    if step.repeat:
        api["on_in_doubt"] = {"retry": 1, "max_duplicates": 1}
    if step.money is not None:
        api["budget"]["money"] = step.money
    search = parts.get("search")
    if step.reuse and search and "depth" not in search:
        parts = parts | {"search": search | {"reuse": "1h"}}
    parts = parts | {"output": {"run": step.run}}
    path = job(folder, url=url, pictures=0, api=api, prices=PRICES, **parts)
    write(folder, rows)
    loaded = load(path, environment=ACCOUNT)
    options = RunOptions(limit=step.limit, accept_changes=step.accept, environment=ACCOUNT)
    account = account_of(url, loaded.credentials)
    planned = make_plan(loaded.spec, PlannedRun(limit=step.limit, accept_changes=step.accept, account=account))
    if planned.refused:
        with pytest.raises(SpecError) as refused:
            LocalExecutor().run(loaded, options)
        assert planned.refused == list(refused.value.lines)
        return
    with cut_at(step.cut, run) as cut:
        summary = LocalExecutor().run(loaded, options)
    asked = summary.calls_this_run.get("query", 0)
    assert {kind: sent for kind, sent in summary.calls_this_run.items() if kind != "query"} == planned.calls
    assert asked <= planned.questions
    assert planned.cost is not None
    names = NAMES | ({"create": "AI39-submit"} if "method" in parts else {})
    assert planned.cost.amount == sum(Decimal(str(PRICES[name])) * planned.calls[kind] for kind, name in names.items())
    if cut.happened:
        items, known = read_status(run).items, make_plan(loaded.spec).already
        assert {word: known.get(word, 0) for word in WORDS} == {word: items.get(word, 0) for word in WORDS}
    else:
        assert_places_agree(run, summary.items, make_plan(loaded.spec, PlannedRun(account=account)))


def show(folder: Path, products: dict[str, str]) -> None:
    """Let files show these products from now on."""
    for name, product in products.items():
        (folder / name).unlink(missing_ok=True)
        if product != GONE:
            (folder / name).write_bytes((resource("products") / f"{product}.jpg").read_bytes())


def age(run: Path) -> None:
    """Let every upload so far come near its end."""
    if (run / JOURNAL).is_file():
        with closing(connect(run / JOURNAL)) as db:
            db.execute("UPDATE items SET url_expires = ? WHERE url IS NOT NULL", (time.time() + 60,))
            db.execute("UPDATE view_uploads SET expires = ?", (time.time() + 60,))


def write(folder: Path, rows: list[tuple[str, str]]) -> None:
    (folder / "list.csv").write_text(
        "\n".join(["id,url,path,view_1,view_2,view_3", *(cells(*row) for row in rows), ""])
    )


def cells(id_: str, name: str) -> str:
    """Write a row: a picture by its URL or path, or several views with a plus between them."""
    if "+" in name:
        return ",".join([id_, "", "", *name.split("+")])
    return f"{id_},,{name}" if name.endswith(".jpg") and "/" not in name else f"{id_},{name},"


def assert_places_agree(run: Path, items: dict[str, int], planned: Plan) -> None:
    known = {word: items[word] for word in WORDS if items.get(word)}
    assert json.loads((run / "summary.json").read_text())["items"] == items == read_status(run).items
    assert {word: number for word, number in planned.already.items() if word in WORDS} == known
    # An item that is open because its picture changed is among the open ones there; a plan lets it wait again.
    told = {line["item"] for line in lines(run / "open.jsonl") if line["error"]["code"] == "changed"}
    assert [one for one in planned.changed if one.item not in told] == read_status(run).changed
    opened = [line["status"] for line in lines(run / "open.jsonl")]
    assert {word: opened.count(word) for word in set(opened)} == {
        word: number for word, number in known.items() if word in [state.word for state in OPEN]
    }
    page = Page(run / "report.html")
    shown = [word for word in WORDS if items.get(word)]
    assert {word: number for word, number in page.run["counts"].items() if number} == {
        **{word: items[word] for word in shown},
        **({"not_started": items["not_started"]} if items["not_started"] else {}),
    }
    there = Counter(one.status for one in page.products)
    listed = Counter({word: items[word] for word in shown})
    assert there == listed or (items.get("removed") and there >= listed)


# Moments of a run of what is listed at first: before A's upload (0), search (1) and create (2), with its intent (3),
# around its record (4, 5); B (6 to 10) and E (11 to 16) likewise, then around the records of the twins C and D.
HISTORIES = {
    "hits of a picture that was replaced": [Step(cut=2), Step(shown={"a.jpg": "bag-1"}, aged=True), Step()],
    "and is put back": [Step(cut=2), Step(shown={"a.jpg": "bag-1"}, aged=True), Step(shown=AT_FIRST)],
    "hits of a picture that is gone, and its copy is not": [Step(cut=2), Step(shown={"a.jpg": GONE}, aged=True)],
    "an upload of a picture that was replaced": [Step(cut=1), Step(shown={"a.jpg": "bag-1"})],
    "an upload of a picture that is gone": [Step(cut=1), Step(shown={"a.jpg": GONE})],
    "an upload beyond its budget": [Step(cut=1), Step(shown={"a.jpg": "bag-1"}, budget={"upload": 1}), Step()],
    "a doubt about a picture that was replaced": [
        Step(cut=3),
        Step(shown={"a.jpg": "bag-1"}, aged=True, repeat=True),
        Step(repeat=True),
    ],
    "a doubt about a picture that is gone": [
        Step(cut=2),
        Step(cut=2, aged=True),
        Step(shown={"a.jpg": GONE}, repeat=True),
    ],
    "a doubt whose upload lives": [Step(cut=3), Step(shown={"a.jpg": "bag-1"}, repeat=True), Step(repeat=True)],
    "a copy that was replaced by another item's picture": [Step(cut=17), Step(shown={"copy.jpg": "lamp-0"}), Step()],
    "a copy that was replaced": [Step(cut=17), Step(shown={"copy.jpg": "bag-1"}), Step()],
    "a copy that was replaced, beyond the budget": [
        Step(cut=17),
        Step(shown={"copy.jpg": "bag-1"}, budget={"search": 3}),
        Step(),
    ],
    "a copy that was replaced beside a doubt": [Step(cut=3), Step(shown={"copy.jpg": "bag-1"}), Step(repeat=True)],
    "a copy that was replaced beside a doubt that is repeated": [
        Step(cut=3),
        Step(shown={"copy.jpg": "bag-1"}, repeat=True),
    ],
    "a copy and another file replaced alike before anything was sent": [
        Step(cut=0),
        Step(shown={"copy.jpg": "bag-1", "b.jpg": "bag-1"}),
    ],
    "a copy that shows what another file showed before it was replaced": [
        Step(cut=0),
        Step(shown={"copy.jpg": "lamp-0", "b.jpg": "bag-1"}),
    ],
    "what another run paid": [Step(), Step(run="other", reuse=True)],
    "what another run that was cut off paid": [
        Step(cut=9),
        Step(run="other", reuse=True, cut=4),
        Step(run="other", reuse=True),
    ],
    "what another run paid for a picture that was replaced": [
        Step(),
        Step(run="other", reuse=True, shown={"a.jpg": "bag-1"}, budget={"search": 1}),
        Step(run="other", reuse=True),
    ],
    "hits of another run whose upload ended": [
        Step(money=0.4),
        Step(run="other", cut=2, reuse=True, aged=True),
        Step(),
    ],
    "money that is used up, and more of it": [Step(money=3.5), Step(money=3.6), Step(money=5.1), Step(money=9)],
    "money that a death left reserved": [Step(cut=9, money=9), Step(money=5), Step()],
    "both copies replaced alike": [Step(limit=1, rows=LISTED[1:]), Step(shown={"copy.jpg": "bag-1", "a.jpg": "bag-1"})],
}


@pytest.mark.proofs
@pytest.mark.parametrize("history", HISTORIES)
def test_what_is_planned_is_what_is_paid_in_the_history_of(history: str, url: str) -> None:
    assert_planned_is_paid_through(url, *HISTORIES[history])


# Before A's upload (0), its three pages (1, 2, 3) and its create (4), with its intent (5).
DEEP_HISTORIES = {
    "nothing but pages": [Step()],
    "a death before the second page": [Step(cut=2), Step()],
    "a death before the third page": [Step(cut=3), Step()],
    "a death after the last page": [Step(cut=4), Step()],
    "a picture that was replaced between its pages": [Step(cut=2), Step(shown={"a.jpg": "bag-1"}, aged=True), Step()],
    "pages that the budget does not allow": [Step(cut=2), Step(budget={"search": 3}), Step(budget={"search": 4})],
    "a doubt after three pages": [Step(cut=5), Step(repeat=True), Step(repeat=True)],
}


@pytest.mark.proofs
@pytest.mark.parametrize("history", DEEP_HISTORIES)
def test_the_pages_of_a_deep_search_are_planned_as_they_are_paid_in_the_history_of(history: str, url: str) -> None:
    assert_planned_is_paid_through(url, *DEEP_HISTORIES[history], parts=DEEP)


# Before the create of A (2), with its intent (3), around the note of its task (4) and its record (5 and later).
HISTORIES_OF_REPORTS = {
    "a run to its end": [Step()],
    "a death before the task is noted": [Step(cut=3), Step(repeat=True)],
    "a death while reports are awaited": [Step(cut=9), Step()],
    "too few questions": [Step(budget={"query": 2}), Step(budget={"query": 3}), Step()],
}


@pytest.mark.proofs
@pytest.mark.parametrize("history", HISTORIES_OF_REPORTS)
def test_what_is_planned_with_reports_is_what_is_paid_in_the_history_of(history: str, url: str) -> None:
    assert_planned_is_paid_through(url, *HISTORIES_OF_REPORTS[history], parts=READ)


@pytest.mark.proofs
@pytest.mark.parametrize("history", HISTORIES_OF_REPORTS)
def test_submits_are_planned_as_they_are_paid_in_the_history_of(history: str, url: str) -> None:
    assert_planned_is_paid_through(url, *HISTORIES_OF_REPORTS[history], parts=SUBMIT)


# Before the first upload of A (0), its second (1), its search (2), its create (3), with the intent of that (4).
VIEWS_HISTORIES = {
    "nothing but views": [Step()],
    "a death between two views": [Step(cut=1), Step()],
    "a death before the search": [Step(cut=2), Step()],
    "a view that was replaced between the uploads": [Step(cut=1), Step(shown={"a.jpg": "bag-1"}), Step()],
    "a view that was replaced after the search": [Step(cut=3), Step(shown={"b.jpg": "bag-1"}, aged=True), Step()],
    "a view that was replaced after the uploads": [Step(cut=2), Step(shown={"b.jpg": "bag-1"}), Step()],
    "uploads that ended": [Step(cut=2), Step(aged=True), Step()],
    "a doubt about views": [Step(cut=4), Step(repeat=True), Step(repeat=True)],
    "views beyond the budget of uploads": [Step(budget={"upload": 1}), Step(budget={"upload": 2}), Step()],
    "a copy of a view that was replaced": [Step(limit=1), Step(shown={"copy.jpg": "bag-1"}), Step()],
    "both views alike": [Step(cut=2), Step(shown={"a.jpg": "lamp-0"}), Step()],
}


@pytest.mark.proofs
@pytest.mark.parametrize("history", VIEWS_HISTORIES)
def test_the_uploads_of_views_are_planned_as_they_are_paid_in_the_history_of(history: str, url: str) -> None:
    assert_planned_is_paid_through(url, *VIEWS_HISTORIES[history], parts=OF_VIEWS)
