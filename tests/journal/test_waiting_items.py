"""Waiting items, with the hits that are paid for them as long as these can be used."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pipeline.journal import waiting_items
from pipeline.journal.journal import Journal
from pipeline.journal.places import SPOOL
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, Calls, State, Task, Work
from tests.support.fakes import (
    NOW,
    admitted,
    dead_copy,
    hits,
    look,
    open_journal,
    work_of,
)

pytestmark = pytest.mark.anyio


async def paid_and_dead(tmp_path: Path, *, at: float = NOW) -> Path:
    """A directory in which the hits of item 1 are paid and the process died."""
    async with open_journal(tmp_path / "run") as journal:
        await admitted(journal, 1)
        journal.steps.put_back(work_of(1, calls=Calls(0, 1, 0)), hits(at=at))
        await look(journal, lambda disk: None)
        return dead_copy(tmp_path / "run", tmp_path / "dead")


async def test_hits_survive_a_death(tmp_path: Path) -> None:
    async with open_journal(await paid_and_dead(tmp_path)) as journal:
        (work,) = await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert (work.hits, work.calls) == (hits(), Calls(0, 1, 0))
        await journal.steps.settle(work, State.NO_HITS, b'{"item":"SKU-1"}\n', None)
    assert list((tmp_path / "dead" / "spool").iterdir()) == []


LAST_MOMENT = NOW + HITS_LIFE_S - EXPIRY_MARGIN_S


@pytest.mark.parametrize(("now", "usable"), [(LAST_MOMENT, True), (LAST_MOMENT + 1, False)], ids=["young", "old"])
async def test_hits_too_old_for_a_task_are_forgotten_and_searched_again(
    now: float, usable: bool, tmp_path: Path
) -> None:
    dead = await paid_and_dead(tmp_path)
    async with open_journal(dead) as journal:
        (work,) = await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=now)
        assert (work.hits is not None) is usable
        pending = await journal.waiting.take(State.PENDING, after=0, generation=1, now=now)
        assert [again.calls for again in pending] == ([] if usable else [Calls(0, 1, 0)])
        assert (dead / "spool" / "00000001.spool").exists() is usable


@pytest.mark.parametrize("loss", ["no file", "half a file"])
async def test_hits_that_a_power_loss_took_are_searched_again(loss: str, tmp_path: Path) -> None:
    dead = await paid_and_dead(tmp_path)
    segment = dead / "spool" / "00000001.spool"
    segment.unlink() if loss == "no file" else segment.write_bytes(segment.read_bytes()[:20])
    async with open_journal(dead) as journal:
        (work,) = await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=NOW)
        assert work.hits is None
        assert len(await journal.waiting.take(State.PENDING, after=0, generation=1, now=NOW)) == 1


async def _settled(journal: Journal, work: Work) -> None:
    await journal.steps.intend(work, hits(), request_id="asked", at=NOW)
    await journal.steps.settle(work, State.TASKED, b'{"item":"SKU-1"}\n', Task("t-1", NOW))


async def _forgotten(journal: Journal, work: Work) -> None:
    journal.steps.forget(work)


async def _nothing(journal: Journal, work: Work) -> None:
    pass


@pytest.mark.parametrize(
    ("then", "later_s", "left"),
    [
        pytest.param(_settled, 0, 0, id="settled"),
        pytest.param(_forgotten, 0, 0, id="forgotten"),
        pytest.param(_nothing, HITS_LIFE_S, 0, id="too old"),
        pytest.param(_nothing, 0, 1, id="still needed"),
    ],
)
async def test_hits_leave_the_disk_with_the_last_item_that_needs_them(
    then: Callable[[Journal, Work], Awaitable[None]], later_s: float, left: int, tmp_path: Path
) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        journal.steps.put_back(work_of(1), hits())
    async with open_journal(tmp_path) as journal:
        [work] = await journal.waiting.take(State.SEARCHED, after=0, generation=1, now=NOW + later_s)
        await then(journal, work)
        await look(journal, lambda disk: None)
        assert len(list((tmp_path / SPOOL).iterdir())) == left


async def test_work_is_taken_in_batches_in_the_jobs_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_items, "BATCH", {State.PENDING: 2, State.SEARCHED: 2})
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 4, 5, 6)
        first = await journal.waiting.take(State.PENDING, after=0, generation=1, now=NOW)
        rest = await journal.waiting.take(State.PENDING, after=first[-1].ord, generation=1, now=NOW)
        assert [w.item.id for w in (*first, *rest)] == ["SKU-4", "SKU-5", "SKU-6"]


async def test_twins_are_taken_with_the_item_they_follow(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        await admitted(journal, 2, source=work_of(1).item.source)
        assert [(work.ord, first) for work, first in await journal.waiting.take_twins(after=0, generation=1)] == [
            (2, 1)
        ]
