"""What changed since the run before, on the page: hits, products, and decisions that hold no more."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.results.before import UNREADABLE, Before
from pipeline.results.decisions import Decision
from pipeline.results.earlier_runs import KnownRun
from pipeline.results.reading import read_line
from pipeline.results.since import Earlier
from pipeline.results.standing import Standing
from tests.support.pages import AGAIN, GONE, NEW, NOT_THEN, OTHERWISE, RISEN, Page
from tests.support.report_records import hit, page, record, run

ASKED = {"endpoint": "P009", "params": {"limit": 100}, "total": 3, "hits": 3, "truncated": False}
BEFORE = KnownRun(
    job="watch", run="watch-2026-10", started_at="2026-10-30T00:00:00Z", finished_at="2026-10-30T09:00:00Z"
)


def found(item: str, *scored: tuple[str, float], **search: Any) -> dict[str, Any]:
    hits = [hit(score, patent_pn=number, patent_id=f"id-{number}") for number, score in scored]
    whole = {**ASKED, "hits": len(hits), **search}
    return record(item, search=whole, hits=hits, task={"task_id": "t", "hits": 0, "expires_at": ""})


def before(*records: dict[str, Any]) -> Before:
    earlier = Earlier(BEFORE.run)
    for one in records:
        earlier.take(read_line(msgspec.json.encode(one)))
    return Before(run=BEFORE, earlier=earlier, why_not="")


def month(tmp_path: Path, **changes: Any) -> Page:
    """A page with one product of each kind."""
    then = before(
        found("A", ("US1", 0.95), ("US2", 0.90), ("US3", 0.5)),
        found("B", ("US1", 0.99), ("US5", 0.4)),
        found("C", ("US1", 0.95), params={"limit": 10}),
    )
    now = [
        found("A", ("US9", 0.97), ("US1", 0.95), ("US2", 0.9201)),
        found("B", ("US5", 0.41)),
        found("C", ("US1", 0.95)),
        found("D", ("US1", 0.93)),
    ]
    return page(tmp_path, *now, view=run(before=then, **changes))


def test_hits_are_new_or_have_risen_from_a_score(tmp_path: Path) -> None:
    product = month(tmp_path).product("A")
    assert [(one.number, one.marks, one.before) for one in product.hits] == [
        ("US9", NEW, -1),
        ("US1", 0, -1),
        ("US2", RISEN, 9000),
    ]
    assert (product.best_new, product.marks, product.rest["g"]) == (9700, GONE, [["US3", 5000]])


def test_products_say_what_is_gone_and_which_are_not_compared(tmp_path: Path) -> None:
    made = month(tmp_path)
    marks = {one.item: (one.marks, one.best_new) for one in made.products}
    assert marks == {"A": (GONE, 9700), "B": (GONE, -1), "C": (OTHERWISE, 9500), "D": (NOT_THEN, 9300)}
    assert made.product("B").rest["g"] == [["US1", 9900]]
    assert all(not one.marks for item in "CD" for one in made.product(item).hits)
    [phrase] = [one for one in made.run["notLookedAt"] if one[2] == "otherwise"]
    assert phrase[0] == "changes of 1 product that the run before searched otherwise"


def test_the_page_names_the_run_before_and_its_day(tmp_path: Path) -> None:
    made = month(tmp_path)
    assert made.run["since"] == {"name": "watch-2026-10", "at": "2026-10-30T09:00:00Z"}
    assert made.run["notCompared"] == ""
    alone = page(tmp_path, found("A", ("US1", 0.9)))
    assert (alone.run["since"], alone.run["notCompared"]) == (None, "no_earlier")
    assert len(alone.index["rows"][0]) == 11
    lost = page(tmp_path, found("A", ("US1", 0.9)), view=run(before=Before(run=BEFORE, why_not=UNREADABLE)))
    assert (lost.run["since"], lost.run["notCompared"]) == (None, UNREADABLE)


def test_a_clients_page_names_no_other_run(tmp_path: Path) -> None:
    made = month(tmp_path, client="acme")
    assert made.run["since"] == {"name": "", "at": "2026-10-30T09:00:00Z"}
    assert "watch-2026-10" not in made.text


@pytest.mark.parametrize(("score", "shown"), [(0.905, True), (0.89, False)])
def test_a_new_hit_above_the_line_is_shown_even_if_five_are_better(tmp_path: Path, score: float, shown: bool) -> None:
    known = [(f"US{number}", 0.99 - number / 1000) for number in range(7)]
    made = page(tmp_path, found("A", *known, ("CN1", score)), view=run(before=before(found("A", *known))))
    product = made.product("A")
    assert [one.number for one in product.hits] == ["US0", "US1", "US2", "US3", "CN1" if shown else "US4"]
    assert product.best_new == round(score * 10_000)


def test_at_most_two_new_hits_take_the_place_of_better_ones(tmp_path: Path) -> None:
    known = [(f"US{number}", 0.99 - number / 1000) for number in range(6)]
    new = [(f"CN{number}", 0.95 - number / 1000) for number in range(4)]
    made = page(tmp_path, found("A", *known, *new), view=run(before=before(found("A", *known))))
    assert [one.number for one in made.product("A").hits] == ["US0", "US1", "US2", "CN0", "CN1"]


def test_a_dismissed_hit_that_rose_since_has_the_score_of_then(tmp_path: Path) -> None:
    then = before(found("A", ("US1", 0.92), ("US2", 0.95)))
    decided = [
        Decision(item="A", patent_pn=number, decision="dismiss", at="2026-10-01", run="sep")
        for number in ("US1", "US2")
    ]
    september = Earlier("sep")
    september.take(read_line(msgspec.json.encode(found("A", ("US1", 0.9), ("US2", 0.95)))))
    standing = Standing({one.key: one for one in decided}, {one.key: september for one in decided})
    view = run(before=then, standing=standing, decisions=tuple(decided))
    hits = page(tmp_path, found("A", ("US1", 0.93), ("US2", 0.95)), view=view).product("A").hits
    assert {one.number: (one.marks, one.decided) for one in hits} == {"US1": (AGAIN, 9000), "US2": (0, -1)}


def test_a_page_without_an_earlier_run_knows_dismissals_of_one_that_is_gone(tmp_path: Path) -> None:
    one = Decision(item="A", decision="dismiss", at="2026-10-01", run="sep")
    september = Earlier("sep")
    september.take(read_line(msgspec.json.encode(found("A", ("US1", 0.9)))))
    view = run(standing=Standing({one.key: one}, {one.key: september}), decisions=(one,))
    hits = page(tmp_path, found("A", ("US1", 0.9), ("US2", 0.95)), view=view).product("A").hits
    assert {one.number: one.marks for one in hits} == {"US1": 0, "US2": AGAIN}
