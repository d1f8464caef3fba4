"""Items come in while the first are worked on; what is known shows no other picture unnoticed."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.engine import intake as intake_module
from pipeline.engine.intake import Intake
from pipeline.errors import SpecError
from pipeline.journal.journal import Journal
from pipeline.models import Calls, Item, Problem, State
from tests.support.fakes import item, look, open_journal, states, work_of
from tests.support.processes import PATIENCE_S

pytestmark = pytest.mark.anyio

BAD_ROW = Problem("read", "bad_row", "list.csv:2: no url", "fail", False)
OTHER = "https://cdn.example/other.jpg"


def many(*numbers: int, **changes: Any) -> list[Item]:
    return [item(n, **changes) for n in numbers]


def intake(items: Any, journal: Journal, *, generation: int = 1, accept: bool = False) -> Intake:
    return Intake(items, journal, generation=generation, fingerprint="print", accept_changes=accept)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "BATCH", 2)


async def test_items_are_counted_as_they_come_in_and_the_end_is_remembered(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        reading = intake([*many(1, 2), item(1), item(3, problem=BAD_ROW)], journal, generation=4)
        assert not reading.done
        await reading.run()
        assert reading.tally == {State.PENDING: 2, State.FAILED: 1}
        assert (reading.repeated, reading.done) == (1, True)
        assert await journal.recall(["generation", "admitted"]) == {"generation": "4", "admitted": "print"}


@pytest.mark.usefixtures("small_batches")
async def test_items_are_read_lazily_and_told_of_batch_by_batch(tmp_path: Path) -> None:
    read: list[int] = []
    heard: list[dict[str, State]] = []

    def source() -> Iterator[Item]:
        for number in range(1, 6):
            read.append(number)
            yield item(number)

    async with open_journal(tmp_path) as journal:
        reading = intake(source(), journal)
        assert read == []

        async def listen() -> None:
            while not reading.done:
                await reading.more()
                heard.append(states(tmp_path))

        async with anyio.create_task_group() as both:
            both.start_soon(listen)
            both.start_soon(reading.run)
    assert [len(known) for known in heard][-1] == 5
    assert {len(known) for known in heard} <= {2, 4, 5}


async def test_nobody_waits_for_more_once_all_are_in(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        known = intake([], journal)
        known.skip()
        with anyio.fail_after(PATIENCE_S):
            await known.more()
        assert known.done


@pytest.mark.usefixtures("small_batches")
async def test_stopped_intake_leaves_the_rest_to_the_next_run(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:

        def source() -> Iterator[Item]:
            yield from many(1, 2)
            reading.stop()
            yield from many(3, 4, 5, 6)

        reading = intake(source(), journal)
        await reading.run()
        assert reading.done
        assert (await journal.recall(["admitted"]))["admitted"] is None
        assert len(states(tmp_path)) == 4
        await intake(many(1, 2, 3, 4, 5, 6), journal, generation=2).run()
        assert (await journal.recall(["admitted"]))["admitted"] == "print"
    assert len(states(tmp_path)) == 6


@pytest.mark.usefixtures("small_batches")
async def test_source_that_breaks_off_keeps_what_came_before_and_is_not_taken_for_whole(tmp_path: Path) -> None:
    def source() -> Iterator[Item]:
        yield from many(1, 2, 3)
        raise SpecError("list.csv:4: not UTF-8")

    async with open_journal(tmp_path) as journal:
        reading = intake(source(), journal)
        with pytest.raises(SpecError, match=r"list\.csv:4"):
            await reading.run()
        assert reading.done
        assert (await journal.recall(["admitted"]))["admitted"] is None
    assert list(states(tmp_path)) == ["SKU-1", "SKU-2"]


@pytest.mark.usefixtures("small_batches")
async def test_other_pictures_behind_known_ids_are_refused_all_at_once(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await intake(many(1, 2, 3), journal).run()
        changed = [item(1, source=OTHER), item(2), item(3, source=OTHER)]
        with pytest.raises(SpecError) as caught:
            await intake(changed, journal, generation=2).run()
        assert (await journal.recall(["generation"]))["generation"] == "1"
    [fault] = caught.value.lines
    assert f"'SKU-1' was {item(1).source}, is now {OTHER}; 'SKU-3' was {item(3).source}, is now {OTHER}." in fault
    assert "nothing was sent" in fault
    assert "--accept-changes" in fault


@pytest.mark.usefixtures("small_batches")
async def test_long_list_of_changes_is_cut(tmp_path: Path) -> None:
    numbers = range(1, 31)
    async with open_journal(tmp_path) as journal:
        await intake(many(*numbers), journal).run()
        with pytest.raises(SpecError) as caught:
            await intake(many(*numbers, source=OTHER), journal, generation=2).run()
    [fault] = caught.value.lines
    assert fault.count(f", is now {OTHER}") == 3
    assert f"'SKU-3' was {item(3).source}, is now {OTHER} and more." in fault


async def test_accepted_changes_go_on_and_what_is_paid_keeps_its_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_journal(tmp_path) as journal:
        await intake(many(1, 2), journal).run()
        await journal.steps.settle(work_of(1, calls=Calls(0, 1, 0)), State.NO_HITS, b'{"item":"SKU-1"}\n', None)
        with caplog.at_level(logging.WARNING):
            await intake(many(1, 2, source=OTHER), journal, generation=2, accept=True).run()
        sources = await look(journal, lambda disk: disk.db.do("SELECT id, source FROM items").fetchall())
        assert dict(sources) == {"SKU-1": item(1).source, "SKU-2": OTHER}
        assert await journal.finish() == ({State.NO_HITS: 1, State.PENDING: 1}, 0)
    assert "item.picture_kept item=SKU-1" in caplog.text
    assert "SKU-2" not in caplog.text
