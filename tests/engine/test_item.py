"""One item all the way: what is sent, what is recorded, and what never happens."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import (
    GivenUp,
    HoldAll,
    InDoubt,
    ItemRefused,
    RefreshToken,
    RunPaused,
    RunStopped,
    SlowDown,
    TryAgain,
)
from pipeline.models import UPLOAD_LIFE_S, Kind, Problem, State
from pipeline.sources.pictures import Picture
from tests.support.engine_runs import error, many, problems, run_engine
from tests.support.fakes import (
    NOTHING,
    NOW,
    FakeVendor,
    Lost,
    hits,
    item,
    link_of,
    records,
    states,
    url,
)

pytestmark = pytest.mark.anyio

UPLOAD, SEARCH, CREATE = Kind.UPLOAD, Kind.SEARCH, Kind.CREATE
PICTURE = Picture(b"bytes of a picture", "jpeg", "ab" * 32)


async def test_picture_behind_a_url_is_searched_and_becomes_a_task(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, [item(1)])
    assert vendor.sent == [(SEARCH, url(1)), (CREATE, url(1))]
    (record,) = records(tmp_path)
    assert (record["status"], record["task"]["task_id"]) == ("tasked", "run-task-0")
    assert record["calls"] == {"upload": 0, "search": 1, "create": 1}
    assert record["image"] == {"source": url(1), "url": url(1), "sha256": None, "labels": {}}
    assert vendor.chosen[url(1)].array == hits().array  # the vendor's own bytes


async def test_local_picture_is_uploaded_first(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, [item(1, source="a.jpg", local=True)], pictures={"a.jpg": PICTURE})
    uploaded = vendor.sent[0][1]
    assert vendor.sent == [(UPLOAD, uploaded), (SEARCH, uploaded), (CREATE, uploaded)]
    (record,) = records(tmp_path)
    assert record["calls"] == {"upload": 1, "search": 1, "create": 1}
    assert record["image"] == {"source": "a.jpg", "url": uploaded, "sha256": PICTURE.sha256, "labels": {}}


@pytest.mark.parametrize(
    ("later_s", "uploads"),
    [
        pytest.param(600, 1, id="link-alive"),
        pytest.param(UPLOAD_LIFE_S - 60, 2, id="link-about-to-die"),
        pytest.param(UPLOAD_LIFE_S + 60, 2, id="link-dead"),
    ],
)
async def test_upload_is_used_again_while_its_link_lives(later_s: float, uploads: int, tmp_path: Path) -> None:
    picture = [item(1, source="a.jpg", local=True)]
    link = link_of(PICTURE)
    busy = FakeVendor({(SEARCH, link): [TryAgain("busy", code="67200100")]})
    await run_engine(tmp_path, busy, picture, pictures={"a.jpg": PICTURE})
    again = FakeVendor(now=NOW + later_s)
    await run_engine(tmp_path, again, picture, pictures={"a.jpg": PICTURE}, generation=2)
    assert [kind for kind, _ in busy.sent + again.sent].count(UPLOAD) == uploads
    assert states(tmp_path) == {"SKU-1": State.TASKED}


@pytest.mark.parametrize(
    ("answer", "parts", "state", "calls"),
    [
        pytest.param(NOTHING, {}, State.NO_HITS, [SEARCH], id="nothing-found"),
        pytest.param(hits(0.4, 0.3), {"search": {"min_score": 0.5}}, State.NO_HITS, [SEARCH], id="all-below-min-score"),
        pytest.param(hits(None), {"search": {"min_score": 0.5}}, State.NO_HITS, [SEARCH], id="no-score-sent"),
        pytest.param(hits(0.9), {"task": {"enabled": False}}, State.SEARCH_ONLY, [SEARCH], id="tasks-disabled"),
        pytest.param(NOTHING, {"task": {"enabled": False}}, State.NO_HITS, [SEARCH], id="tasks-disabled-nothing-found"),
        pytest.param(hits(0.5), {"search": {"min_score": 0.5}}, State.TASKED, [SEARCH, CREATE], id="at-min-score"),
        pytest.param(hits(0.9, complete=[False]), {}, State.FAILED, [SEARCH], id="no-complete-hit"),
    ],
)
async def test_what_was_found_decides_what_follows(
    answer: Any, parts: dict[str, Any], state: State, calls: list[Kind], tmp_path: Path
) -> None:
    vendor = FakeVendor({(SEARCH, url(1)): [answer]})
    await run_engine(tmp_path, vendor, [item(1)], **parts)
    assert [kind for kind, _ in vendor.sent] == calls
    assert states(tmp_path) == {"SKU-1": state}
    for record in records(tmp_path):
        assert record["search"]["hits"] == len(answer.scores) == len(record["hits"])


async def test_only_chosen_hits_reach_the_task_and_all_stay_in_the_record(tmp_path: Path) -> None:
    answer = hits(0.9, 0.8, 0.7, 0.6, 0.2, complete=[True, False, True, True, True], total=20783)
    vendor = FakeVendor({(SEARCH, url(1)): [answer]})
    await run_engine(tmp_path, vendor, [item(1)], search={"min_score": 0.5}, task={"max_hits": 2})
    choice = vendor.chosen[url(1)]
    assert (choice.count, choice.dropped) == (2, 1)
    assert b'"patent_id":"0"' in choice.array
    assert b'"patent_id":"1"' not in choice.array
    (record,) = records(tmp_path)
    assert (record["task"]["hits"], record["task"]["hits_dropped"], len(record["hits"])) == (2, 1, 5)
    assert (record["search"]["truncated"], record["search"]["total"]) == (True, 20783)


ENDINGS = {
    # how a call ended: the item's state, whether the next run works on it, whether its hits are kept
    "search may pass": (SEARCH, error(TryAgain), State.FAILED, True, False),
    "search not sent": (SEARCH, error(TryAgain, sent=False), State.FAILED, True, False),
    "search too fast for ever": (SEARCH, error(SlowDown), State.FAILED, True, False),
    "search held for ever": (SEARCH, error(HoldAll), State.FAILED, True, False),
    "search refused by token for ever": (SEARCH, error(RefreshToken), State.FAILED, True, False),
    "search refused": (SEARCH, error(ItemRefused), State.FAILED, False, False),
    "create may pass": (CREATE, error(TryAgain, sent=False), State.FAILED, True, True),
    "create too fast for ever": (CREATE, error(SlowDown), State.FAILED, True, True),
    "create refused": (CREATE, error(ItemRefused), State.FAILED, False, True),
    "create in doubt": (CREATE, error(InDoubt), State.IN_DOUBT, False, True),
    "create lost": (CREATE, Lost(), State.IN_DOUBT, False, True),
    "search pauses the run": (SEARCH, error(RunPaused), State.PENDING, True, False),
    "search stops the run": (SEARCH, error(RunStopped), State.PENDING, True, False),
    "create pauses the run": (CREATE, error(RunPaused), State.SEARCHED, True, True),
    "create stops the run": (CREATE, error(RunStopped, sent=False), State.SEARCHED, True, True),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_call_that_fails_leaves_the_item_where_its_consequence_says(ending: str, tmp_path: Path) -> None:
    kind, answer, state, again, kept = ENDINGS[ending]
    vendor = FakeVendor({(kind, url(1)): [answer]})
    engine = await run_engine(tmp_path, vendor, [item(1)])
    assert states(tmp_path) == {"SKU-1": state}
    assert records(tmp_path) == []
    if state is State.FAILED or state is State.IN_DOUBT:
        problem = problems(tmp_path)["SKU-1"]
        assert (problem.stage, problem.retryable) == (str(kind), again)
        assert engine.ended_by is None
    else:
        assert engine.ended_by is answer
    next_run = FakeVendor(run="next")
    await run_engine(tmp_path, next_run, [item(1)], generation=2)
    searches_again = [] if kept else [(SEARCH, url(1))]
    assert next_run.sent == ([*searches_again, (CREATE, url(1))] if again else [])
    assert states(tmp_path) == {"SKU-1": State.TASKED if again else state}


async def test_a_doubt_that_ends_the_run_is_recorded_first(tmp_path: Path) -> None:
    end = error(RunStopped)
    vendor = FakeVendor({(CREATE, url(1)): [GivenUp(error(InDoubt), end)]})
    engine = await run_engine(tmp_path, vendor, many(9), api={"max_in_flight": 1})
    assert states(tmp_path)["SKU-1"] is State.IN_DOUBT
    assert engine.ended_by is end
    assert vendor.sent == [(SEARCH, url(1)), (CREATE, url(1))]


async def test_calls_are_counted_over_all_runs_of_an_item(tmp_path: Path) -> None:
    await run_engine(tmp_path, FakeVendor({(SEARCH, url(1)): [error(TryAgain)]}), [item(1)])
    await run_engine(tmp_path, FakeVendor({(CREATE, url(1)): [error(RunPaused)]}), [item(1)], generation=2)
    await run_engine(tmp_path, FakeVendor(), [item(1)], generation=3)
    assert records(tmp_path)[0]["calls"] == {"upload": 0, "search": 2, "create": 2}


async def test_unreadable_picture_fails_before_anything_is_paid_and_may_be_mended(tmp_path: Path) -> None:
    class Unreadable(dict[str, Picture]):
        def __missing__(self, source: str) -> Picture:
            raise ItemRefused("the picture is no readable JPG", code="picture", sent=False)

    picture = [item(1, source="a.jpg", local=True)]
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, picture, pictures=Unreadable({"b.jpg": PICTURE}))
    assert (vendor.sent, problems(tmp_path)["SKU-1"].stage) == ([], "read")
    await run_engine(tmp_path, vendor, picture, pictures={"a.jpg": PICTURE}, generation=2)
    assert states(tmp_path) == {"SKU-1": State.TASKED}


async def test_item_that_could_not_be_read_is_never_sent(tmp_path: Path) -> None:
    problem = Problem("read", "bad_row", "list.csv:2: no url", "fail", False)
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, [item(1, problem=problem)])
    assert (vendor.sent, problems(tmp_path)) == ([], {"SKU-1": problem})


async def test_unsent_calls_are_given_back_to_the_budget(tmp_path: Path) -> None:
    vendor = FakeVendor({(SEARCH, url(n)): [error(TryAgain, sent=False)] for n in (1, 2, 3)})
    engine = await run_engine(tmp_path, vendor, many(4), budgets={SEARCH: 1}, api={"max_in_flight": 1})
    assert (vendor.sent, engine.ended_by) == ([(SEARCH, url(4)), (CREATE, url(4))], None)
