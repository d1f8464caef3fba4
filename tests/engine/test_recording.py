"""Items that show the same picture share its outcome, without a call."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import (
    ItemRefused,
    RunPaused,
    TryAgain,
)
from pipeline.models import Item, Kind, State
from pipeline.sources.pictures import Picture
from tests.support.engine_runs import error, problems, run_engine
from tests.support.fakes import (
    NOTHING,
    FakeVendor,
    Lost,
    engine_of,
    hits,
    item,
    job,
    open_journal,
    records,
    states,
    url,
)

pytestmark = pytest.mark.anyio

UPLOAD, SEARCH, CREATE = Kind.UPLOAD, Kind.SEARCH, Kind.CREATE
PICTURE = Picture(b"bytes of a picture", "jpeg", "ab" * 32)


def same_as(first: int, number: int, **changes: Any) -> Item:
    return item(number, source=url(first), **changes)


async def test_items_of_one_picture_share_its_hits_and_its_task_without_a_call(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, [item(1), same_as(1, 2, labels={"client": "acme"}), item(3), same_as(1, 4)])
    assert vendor.sent.count((SEARCH, url(1))) == vendor.sent.count((CREATE, url(1))) == 1
    by_id = {record["item"]: record for record in records(tmp_path)}
    first, twin = by_id["SKU-1"], by_id["SKU-2"]
    assert twin["same_as"] == by_id["SKU-4"]["same_as"] == "SKU-1"
    assert "same_as" not in first
    assert twin["calls"] == {"upload": 0, "search": 0, "create": 0}
    assert twin["image"]["labels"] == {"client": "acme"}
    assert {key: twin[key] for key in ("status", "task", "search", "hits")} == {
        key: first[key] for key in ("status", "task", "search", "hits")
    }


@pytest.mark.parametrize("answer", [NOTHING, hits(0.9)], ids=["no_hits", "searched"])
async def test_items_of_one_picture_share_every_kind_of_outcome(answer: Any, tmp_path: Path) -> None:
    vendor = FakeVendor({(SEARCH, url(1)): [answer]})
    await run_engine(tmp_path, vendor, [item(1), same_as(1, 2)], task={"enabled": False})
    first, twin = states(tmp_path).values()
    assert first is twin
    assert len(vendor.sent) == 1


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        pytest.param(ItemRefused("no", code="68300010"), State.FAILED, id="refused"),
        pytest.param(Lost(), State.IN_DOUBT, id="in-doubt"),
    ],
)
async def test_item_of_an_open_items_picture_is_open_and_says_whose(answer: Any, state: State, tmp_path: Path) -> None:
    kind = CREATE if isinstance(answer, Lost) else SEARCH
    vendor = FakeVendor({(kind, url(1)): [answer]})
    pair = [item(1), same_as(1, 2)]
    await run_engine(tmp_path, vendor, pair)
    assert states(tmp_path) == {"SKU-1": state, "SKU-2": State.FAILED}
    problem = problems(tmp_path)["SKU-2"]
    assert (problem.code, problem.retryable) == ("same_picture", True)
    assert "'SKU-1', which is open" in problem.message
    sent = list(vendor.sent)
    await run_engine(tmp_path, vendor, pair, generation=2)
    assert vendor.sent == sent, "nothing is paid for a picture that is refused or in doubt"
    assert states(tmp_path) == {"SKU-1": state, "SKU-2": State.FAILED}


async def test_item_of_a_picture_that_failed_in_passing_is_settled_with_it_by_the_next_run(tmp_path: Path) -> None:
    pair = [item(1), same_as(1, 2)]
    await run_engine(tmp_path, FakeVendor({(SEARCH, url(1)): [error(TryAgain)]}), pair)
    again = FakeVendor()
    await run_engine(tmp_path, again, pair, generation=2)
    assert again.sent == [(SEARCH, url(1)), (CREATE, url(1))]
    assert list(states(tmp_path).values()) == [State.TASKED] * 2


async def test_item_of_one_picture_waits_when_the_run_ends_before_the_first_is_settled(tmp_path: Path) -> None:
    pair = [item(1), same_as(1, 2)]
    await run_engine(tmp_path, FakeVendor({(CREATE, url(1)): [error(RunPaused)]}), pair)
    assert list(states(tmp_path).values()) == [State.SEARCHED, State.PENDING]
    again = FakeVendor()
    await run_engine(tmp_path, again, pair, generation=2)
    assert again.sent == [(CREATE, url(1))]
    assert list(states(tmp_path).values()) == [State.TASKED] * 2


async def test_new_item_of_a_picture_settled_long_ago_costs_nothing(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, [item(1)])
    await run_engine(tmp_path, vendor, [same_as(1, 2)], generation=2)
    assert len(vendor.sent) == 2
    assert [record["item"] for record in records(tmp_path)] == ["SKU-1", "SKU-2"]


async def test_item_takes_over_from_one_of_its_picture_that_left_the_job_unsettled(tmp_path: Path) -> None:
    await run_engine(tmp_path, FakeVendor({(SEARCH, url(1)): [error(TryAgain)]}), [item(1), same_as(1, 2)])
    vendor = FakeVendor()
    async with open_journal(tmp_path) as journal:  # all items are read before anything is sent: the job has changed
        await journal.requeue_failed()
        engine = await engine_of(job(tmp_path), journal, vendor, [same_as(1, 2), same_as(1, 3)], generation=2)
        await engine._intake.run()
        await engine.run()
        assert await journal.finish() == ({State.TASKED: 2}, 0), "nothing came of it, and it is no longer listed"
    assert vendor.sent == [(SEARCH, url(1)), (CREATE, url(1))]
    assert states(tmp_path) == {"SKU-1": State.PENDING, "SKU-2": State.TASKED, "SKU-3": State.TASKED}


async def test_many_items_of_one_picture_cost_one_search(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run_engine(tmp_path, vendor, [item(1), *(same_as(1, n) for n in range(2, 102))])
    assert len(vendor.sent) == 2
    assert len(records(tmp_path)) == 101
