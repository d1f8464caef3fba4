"""The care with the first items of an account: who may begin, what is kept, and who is asked."""

from collections.abc import Sequence

import anyio
import pytest
from anyio.lowlevel import checkpoint

from pipeline.engine.first_items import First, FirstItems
from pipeline.errors import NotConfirmed
from pipeline.models import Calls, Item, Kind, State, Work

pytestmark = pytest.mark.anyio
S, C, U = Kind.SEARCH, Kind.CREATE, Kind.UPLOAD
NEW = {U: 0, S: 0, C: 0}


class Line:
    """Items that want to begin, each with its calls; `begun` are the numbers of those that may."""

    def __init__(self, known: dict[Kind, int], *, answer: bool | None = True) -> None:
        self.kept: list[tuple[Kind, int]] = []
        self.asked: list[First] = []
        self.begun: list[int] = []
        self.first = FirstItems(known, keep=lambda kind, count: self.kept.append((kind, count)), go_on=self._go_on)
        self._answer = answer
        self._works: dict[int, Work] = {}

    async def _go_on(self, first: First) -> bool:
        self.asked.append(first)
        if self._answer is None:
            await anyio.sleep_forever()
        return bool(self._answer)

    async def wait(self, number: int, calls: Sequence[Kind] = (S, C)) -> None:
        self._works[number] = Work(
            number, Item(f"P{number}", "https://x.example/a.jpg", False, "images[0]", {}), Calls()
        )
        await self.first.turn(self._works[number], calls)
        self.begun.append(number)

    async def end(self, number: int, *called: Kind, state: State | None = State.TASKED) -> None:
        for kind in called:
            self._works[number].calls.add(kind)
        self.first.ended(self._works[number], state, sent=bool(called))
        for _ in range(5):
            await checkpoint()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_one_then_two_then_all() -> None:
    line = Line(NEW)
    async with anyio.create_task_group() as tasks:
        await line.wait(0)
        for number in range(1, 9):
            tasks.start_soon(_in_turn, line, number)
        await line.end(0, S, C)
        assert line.begun == [0, 1, 2]
        await line.end(1, S, C)
        assert line.begun == [0, 1, 2]
        await line.end(2, S, C)
        assert sorted(line.begun) == list(range(9))
    assert [first.item for first in line.asked] == ["P0"]
    assert line.kept == [(S, 1), (C, 1), (S, 2), (C, 2), (S, 3), (C, 3)]
    assert line.first.watching  # uploads are still new


async def test_the_first_item_names_the_calls_that_are_new_alone() -> None:
    line = Line({S: 1, C: 0})
    async with anyio.create_task_group() as tasks:
        await line.wait(0)
        tasks.start_soon(line.wait, 1)
        await line.end(0, S, C)
    assert line.asked == [First("P0", State.TASKED, (C,))]


async def _in_turn(line: Line, number: int) -> None:
    """Wait as workers do: one at a time, each behind the one before."""
    while len(line.begun) < number:
        await checkpoint()
    await line.wait(number)


async def test_an_item_that_made_no_call_does_not_count() -> None:
    line = Line(NEW)
    await line.wait(0)
    await line.end(0, state=State.FAILED)
    await line.wait(1)
    with anyio.move_on_after(0.01) as waiting:
        await line.wait(2)
    assert waiting.cancelled_caught
    assert (line.asked, line.kept) == ([], [])


async def test_what_failed_counts_in_this_run_alone_and_is_told() -> None:
    line = Line(NEW)
    for number in range(4):
        await line.wait(number)
        await line.end(number, S, state=State.FAILED)
    await line.wait(4)
    await line.wait(5)
    assert [(first.item, first.state) for first in line.asked] == [("P0", State.FAILED)]
    assert line.kept == []


async def test_a_picture_without_hits_says_nothing_of_creates() -> None:
    line = Line(NEW)
    await line.wait(0)
    await line.end(0, S, state=State.NO_HITS)
    await line.wait(1)
    assert line.kept == [(S, 1)]


async def test_a_run_that_goes_on_after_the_first_item_has_two_at_once_and_asks_nobody() -> None:
    line = Line({S: 1, C: 1, U: 3})
    await line.wait(0)
    await line.wait(1)
    with anyio.move_on_after(0.01) as waiting:
        await line.wait(2)
    assert waiting.cancelled_caught
    await line.end(0, S, C)
    await line.end(1, S, C)
    assert line.asked == []
    assert line.kept == [(S, 2), (C, 2), (S, 3), (C, 3)]
    assert not line.first.watching


async def test_an_item_that_needs_no_new_call_waits_for_nobody() -> None:
    line = Line({C: 0})
    await line.wait(0)
    await line.wait(1, (S,))
    assert line.begun == [0, 1]


async def test_uploads_are_new_when_the_first_local_picture_comes_and_nobody_is_asked_twice() -> None:
    line = Line(NEW)
    for number in range(3):
        await line.wait(number)
        await line.end(number, S, C)
    await line.wait(3, (U, S, C))
    with anyio.move_on_after(0.01) as waiting:
        await line.wait(4, (U, S, C))
    assert waiting.cancelled_caught
    await line.end(3, U, S, C)
    await line.wait(4, (U, S, C))
    assert len(line.asked) == 1
    assert line.kept[-1] == (U, 1)


async def test_no_ends_the_run_and_keeps_nothing() -> None:
    line = Line(NEW, answer=False)
    await line.wait(0)
    await line.end(0, S, C)
    with pytest.raises(NotConfirmed, match="stopped after the first item") as caught:
        await line.wait(1)
    assert caught.value.exit_code == 1
    assert line.kept == []


@pytest.mark.parametrize("after_first", [False, True], ids=["while the first goes on", "while it is asked"])
async def test_the_end_of_the_run_ends_every_wait(after_first: bool) -> None:
    line = Line(NEW, answer=None)
    with anyio.fail_after(60):
        await _until_ended(line, after_first=after_first)
    assert line.begun == [0, 1]  # its worker sees that the run has ended
    assert line.kept == []


async def _until_ended(line: Line, *, after_first: bool) -> None:
    async with anyio.create_task_group() as tasks:
        await line.wait(0)
        tasks.start_soon(line.wait, 1)
        await checkpoint()
        if after_first:
            await line.end(0, S, C)
            assert len(line.asked) == 1
        assert line.begun == [0]
        line.first.end()
