"""Many items at once, and a run that ends early."""

import asyncio
import errno
import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from pipeline.endpoints.interface import Creation
from pipeline.engine import intake as intake_module
from pipeline.engine.engine import Engine
from pipeline.errors import (
    CallError,
    Code,
    InDoubt,
    Interrupted,
    ItemRefused,
    JournalError,
    RunPaused,
    RunStopped,
    SpecError,
    SystemLimit,
    TryAgain,
)
from pipeline.journal.journal import Journal
from pipeline.journal.kept_lines import kept_in
from pipeline.journal.places import RESULTS
from pipeline.models import Item, Kind, State, Task
from pipeline.ports import Meter
from pipeline.sources.pictures import Picture
from tests.support.engine_runs import all_refused, many, problems, run_engine
from tests.support.fakes import (
    FakeVendor,
    engine_of,
    hits,
    item,
    job,
    look,
    open_journal,
    records,
    states,
    url,
)

pytestmark = pytest.mark.anyio

UPLOAD, SEARCH, CREATE = Kind.UPLOAD, Kind.SEARCH, Kind.CREATE
PICTURE = Picture(b"bytes of a picture", "jpeg", "ab" * 32)


async def test_every_item_is_settled_once(tmp_path: Path) -> None:
    vendor = FakeVendor()
    engine = await run_engine(tmp_path, vendor, many(300))
    assert engine.ended_by is None
    assert set(states(tmp_path).values()) == {State.TASKED}
    assert len(vendor.executed) == len({url for url, _ in vendor.executed}) == 300


async def step(kind: Kind, url: str) -> None:
    """An answer that takes a few turns of the loop."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("most", [1, 3, 40])
async def test_items_in_flight_reach_their_limit_and_never_exceed_it(most: int, tmp_path: Path) -> None:
    """The vendor answers nobody before `most` calls wait for it, and then gives any further one time to come."""
    full = anyio.Event()
    waiting = 0

    async def answering(kind: Kind, picture: str) -> None:
        nonlocal waiting
        waiting += 1
        if waiting == most:
            await anyio.sleep(0.05)
            full.set()
        await full.wait()

    vendor = FakeVendor(pause=answering)
    seen: list[int] = []

    async def watch(engine: Engine) -> None:
        while True:
            seen.append(engine.in_flight)
            await asyncio.sleep(0)

    await run_engine(tmp_path, vendor, many(50), during=watch, api={"max_in_flight": most})
    assert vendor.most_under_way == most
    assert max(seen) == most


async def test_first_items_are_worked_on_while_the_rest_is_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest of a million rows must not be read to its end before the first call."""
    monkeypatch.setattr(intake_module, "BATCH", 2)
    created = threading.Event()

    def slow_source() -> Iterator[Item]:
        yield from many(2)
        assert created.wait(60), "nothing was created while the items were still being read"
        yield from many(3, start=3)

    async def answering(kind: Kind, url: str) -> None:
        if kind is CREATE:
            created.set()

    await run_engine(tmp_path, FakeVendor(pause=answering), slow_source())
    assert list(states(tmp_path).values()) == [State.TASKED] * 5


async def test_manifest_that_breaks_off_ends_the_run_and_finishes_what_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "BATCH", 2)

    def breaking_source() -> Iterator[Item]:
        yield from many(2)
        raise SpecError("list.csv:3: not UTF-8")

    engine = await run_engine(tmp_path, FakeVendor(), breaking_source())
    assert isinstance(engine.ended_by, SpecError)
    assert set(states(tmp_path).values()) <= {State.TASKED, State.PENDING}
    await run_engine(tmp_path, FakeVendor(run="next"), many(3), generation=2)
    assert list(states(tmp_path).values()) == [State.TASKED] * 3


async def test_limit_closes_the_intake_only_once_there_is_more_than_it_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a batch of known items at the limit would end it, and the run would say that all items are settled."""
    monkeypatch.setattr("pipeline.engine.intake.BATCH", 3)
    await run_engine(tmp_path, FakeVendor(), [*many(3), *many(3), *many(6)[3:]], limit=3)
    assert list(states(tmp_path).values()) == [State.TASKED] * 3 + [State.PENDING] * 3


@pytest.mark.parametrize("limit", [0, 1, 7, 20, 99])
async def test_limit_begins_so_many_items_and_the_next_run_goes_on(limit: int, tmp_path: Path) -> None:
    vendor = FakeVendor()
    engine = await run_engine(tmp_path, vendor, many(20), limit=limit)
    assert engine.ended_by is None
    assert len(vendor.executed) == min(limit, 20)
    assert {picture for picture, _ in vendor.executed} == {url(n) for n in range(1, min(limit, 20) + 1)}
    await run_engine(tmp_path, vendor, many(20), generation=2)
    assert len(vendor.executed) == 20
    assert list(states(tmp_path).values()) == [State.TASKED] * 20


async def test_no_more_items_are_in_flight_than_the_system_allows_whatever_the_job_says(tmp_path: Path) -> None:
    vendor = FakeVendor(pause=step)
    async with open_journal(tmp_path) as journal:
        spec = job(tmp_path, api={"max_in_flight": 50})
        await (await engine_of(spec, journal, vendor, many(12), most=2)).run()
    assert vendor.most_under_way == 2
    assert set(states(tmp_path).values()) == {State.TASKED}


async def test_only_four_pictures_are_read_at_once_however_many_items_are_begun(tmp_path: Path) -> None:
    """Each may hold 100 million pixels."""
    at_once = most = 0
    counting, fifth = threading.Lock(), threading.Event()

    class Files(dict[str, Picture]):
        def __missing__(self, name: str) -> Picture:
            nonlocal at_once, most
            with counting:
                at_once += 1
                most = max(most, at_once)
                if at_once > 4:
                    fifth.set()
            fifth.wait(0.1)  # for one too many
            with counting:
                at_once -= 1
            return PICTURE

    items = [item(n, source=f"{n}.jpg", local=True) for n in range(1, 7)]
    await run_engine(tmp_path, FakeVendor(), items, pictures=Files({"another.jpg": PICTURE}))
    assert 1 <= most <= 4


async def test_broken_journal_ends_the_run_and_nothing_more_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first failed sync on no create leaves: its outcome could not be kept."""
    vendor = FakeVendor(pause=step)
    sync = os.fdatasync
    sent_at_failure: list[int] = []

    def fails(fd: int) -> None:
        if len(vendor.executed) >= 5:
            sent_at_failure.append(len(vendor.sent))
            raise OSError(errno.EIO, "Input/output error")
        sync(fd)

    monkeypatch.setattr(os, "fdatasync", fails)
    with suppress(JournalError):  # closing a broken journal says so once more
        async with open_journal(tmp_path) as journal:
            engine = await engine_of(job(tmp_path, api={"max_in_flight": 3}), journal, vendor, many(40))
            with pytest.raises(JournalError, match="Input/output error"):
                await engine.run()
    assert len(sent_at_failure) == 1
    assert len(vendor.sent) <= sent_at_failure[0] + 3  # those whose intent was durable already
    assert vendor.stopped == set(Kind)  # nobody goes on waiting for a retry, or for the day's limit
    # What was made and could not be recorded is kept beside the journal.
    told = list(kept_in(tmp_path.glob("emergency-*.jsonl")))
    kept = [line for line in told if isinstance(line, bytes)]
    assert {task for _, task in vendor.executed} <= {
        json.loads(line)["task"]["task_id"] for line in (*kept, *(tmp_path / RESULTS).read_bytes().splitlines())
    }
    # What never left is not in doubt, though its intent may be on the disk.
    monkeypatch.setattr(os, "fdatasync", sync)
    async with open_journal(tmp_path) as again:
        assert (await again.begin()).get(State.IN_DOUBT, 0) == 0


class BreaksJournal(FakeVendor):
    """Sees the journal break while a create waits for its permit, its intent durable."""

    journal: Journal

    async def _create(self, asked: Creation, meter: Meter) -> Task:
        await meter.before(CREATE, "asked")
        with pytest.raises(JournalError):
            await look(self.journal, lambda disk: disk.db.do("no SQL"))
        meter.sent(CREATE)
        raise AssertionError("it left, though its outcome can be kept nowhere")


async def test_create_that_had_not_left_when_the_journal_broke_is_made_by_the_next_run_and_not_in_doubt(
    tmp_path: Path,
) -> None:
    vendor = BreaksJournal()
    with suppress(JournalError):  # closing a broken journal says so once more
        async with open_journal(tmp_path) as vendor.journal:
            engine = await engine_of(job(tmp_path), vendor.journal, vendor, [item(1)])
            await engine.run()
    assert isinstance(engine.ended_by, JournalError)
    assert states(tmp_path) == {"SKU-1": State.CREATING}
    again = FakeVendor(run="again")
    await run_engine(tmp_path, again, [item(1)], generation=2)
    assert again.sent == [(CREATE, url(1))]
    assert states(tmp_path) == {"SKU-1": State.TASKED}


# --- the end comes early ---


async def test_pause_puts_items_back_and_records_what_is_in_flight(tmp_path: Path) -> None:
    """Item 3 hears that the balance is used up while 1 and 2 are being created and 4 is being searched."""
    heard = anyio.Event()
    arrived: list[tuple[Kind, str]] = []

    async def answering(kind: Kind, picture: str) -> None:
        arrived.append((kind, picture))
        if (kind, picture) == (CREATE, url(3)):
            while len(arrived) < 7:  # 4 searches and 3 creates, but for item 4's create
                await asyncio.sleep(0)
            heard.set()
        elif (kind, picture) in [(CREATE, url(1)), (CREATE, url(2)), (SEARCH, url(4))]:
            await heard.wait()
            await step(kind, picture)

    balance = RunPaused("the balance is used up", code="67200005")
    vendor = FakeVendor({(CREATE, url(3)): [balance]}, answering)
    engine = await run_engine(tmp_path, vendor, many(9), api={"max_in_flight": 4})
    assert engine.ended_by is balance
    assert vendor.stopped == set(Kind)
    assert len(vendor.sent) == 7
    assert [state.word for state in states(tmp_path).values()] == ["tasked"] * 2 + ["searched"] * 2 + ["pending"] * 5

    again = FakeVendor(run="again")
    await run_engine(tmp_path, again, many(9), generation=2)
    assert sorted(picture for kind, picture in again.sent if kind is SEARCH) == [url(n) for n in range(5, 10)]
    assert list(states(tmp_path).values()) == [State.TASKED] * 9
    assert not {picture for picture, _ in vendor.executed} & {picture for picture, _ in again.executed}


async def test_nothing_is_searched_that_the_budget_will_not_make_a_task_of_and_the_run_ends(tmp_path: Path) -> None:
    vendor = FakeVendor(pause=step)
    engine = await run_engine(tmp_path, vendor, many(10), budgets={CREATE: 3}, api={"max_in_flight": 5})
    assert isinstance(engine.ended_by, RunPaused)
    assert engine.ended_by.code == "budget"
    assert len(vendor.executed) == 3
    assert [kind for kind, _ in vendor.sent].count(SEARCH) == 3
    assert State.IN_DOUBT not in states(tmp_path).values()
    await run_engine(tmp_path, vendor, many(10), budgets={CREATE: 10}, generation=2)
    assert list(states(tmp_path).values()) == [State.TASKED] * 10
    assert len(vendor.executed) == 10


async def test_stopped_intake_finishes_what_is_in_flight_and_begins_nothing(tmp_path: Path) -> None:
    """A manifest that broke off, say: what is begun goes all its way."""
    reason = Interrupted("stopped by SIGINT", signal_number=2)
    engines: list[Engine] = []

    async def answering(kind: Kind, picture: str) -> None:
        if kind is SEARCH and picture == url(2):
            engines[0].stop_intake(reason)
        await step(kind, picture)

    async def note(engine: Engine) -> None:
        engines.append(engine)

    vendor = FakeVendor(pause=answering)
    engine = await run_engine(tmp_path, vendor, many(9), during=note, api={"max_in_flight": 3})
    assert engine.ended_by is reason
    assert not vendor.stopped
    after = states(tmp_path)
    assert set(after.values()) == {State.TASKED, State.PENDING}
    assert 2 <= len(vendor.executed) <= 4
    assert len(vendor.sent) == 2 * len(vendor.executed)


async def test_drained_run_searches_nothing_more_and_lets_paid_searches_become_tasks(tmp_path: Path) -> None:
    """A first Ctrl-C, while item 1 is being searched and item 2 is being uploaded."""
    reason = Interrupted("stopped by SIGINT", signal_number=2)
    engines: list[Engine] = []
    uploading = anyio.Event()

    async def answering(kind: Kind, picture: str) -> None:
        if kind is UPLOAD:
            engines[0].drain(reason)
            uploading.set()
        elif kind is SEARCH:
            await uploading.wait()

    async def note(engine: Engine) -> None:
        engines.append(engine)

    items = [item(1), item(2, source="a.jpg", local=True), item(3)]
    vendor = FakeVendor(pause=answering)
    engine = await run_engine(
        tmp_path, vendor, items, during=note, pictures={"a.jpg": PICTURE}, api={"max_in_flight": 2}
    )
    assert engine.ended_by is reason
    assert [kind for kind, _ in vendor.sent] == [SEARCH, UPLOAD, CREATE]
    assert [state.word for state in states(tmp_path).values()] == ["tasked", "pending", "pending"]
    again = FakeVendor(run="again")
    await run_engine(tmp_path, again, items, generation=2)
    assert sorted(kind for kind, _ in again.sent) == [CREATE, CREATE, SEARCH, SEARCH]  # the upload still lives
    assert list(states(tmp_path).values()) == [State.TASKED] * 3


async def test_limit_of_this_machine_ends_the_searches_and_lets_paid_ones_become_tasks(tmp_path: Path) -> None:
    """The connections that are open may suffice for their creates."""
    engines: list[Engine] = []

    async def answering(kind: Kind, picture: str) -> None:
        while (kind, picture) == (SEARCH, url(1)) and engines[0].ended_by is None:
            await checkpoint()

    async def note(engine: Engine) -> None:
        engines.append(engine)

    no_files = SystemLimit("too many open files", code=Code.SYSTEM_LIMIT, sent=False)
    vendor = FakeVendor(scripts={(SEARCH, url(2)): [no_files]}, pause=answering)
    engine = await run_engine(tmp_path, vendor, many(3), during=note, api={"max_in_flight": 2})
    assert engine.ended_by is no_files
    assert [picture for picture, _ in vendor.executed] == [url(1)]
    assert [state.word for state in states(tmp_path).values()] == ["tasked", "pending", "pending"]


async def test_create_cut_short_by_the_second_signal_is_in_doubt(tmp_path: Path) -> None:
    """Its answer never came; the others are recorded or put back, and the next run does not create it again."""
    async with open_journal(tmp_path) as journal:
        under_way = anyio.Event()

        async def answering(kind: Kind, picture: str) -> None:
            if (kind, picture) == (CREATE, url(2)):
                under_way.set()
                await anyio.sleep_forever()

        vendor = FakeVendor(pause=answering)
        engine = await engine_of(job(tmp_path), journal, vendor, many(3))
        async with anyio.create_task_group() as around:
            with anyio.CancelScope() as work:

                async def second_signal() -> None:
                    await under_way.wait()
                    while len(records(tmp_path)) < 2:
                        await anyio.sleep(0.001)
                    work.cancel()

                around.start_soon(second_signal)
                await engine.run()
        listed, removed = await journal.finish()
        assert (listed, removed) == ({State.TASKED: 2, State.IN_DOUBT: 1}, 0)
    assert problems(tmp_path)["SKU-2"].request_id == f"run-create-{url(2)}"
    again = FakeVendor(run="again")
    await run_engine(tmp_path, again, many(3), generation=2)
    assert again.sent == []


async def test_answer_that_is_there_when_the_second_signal_comes_is_recorded(tmp_path: Path) -> None:
    """The create was answered; only its record was still to be written."""
    async with open_journal(tmp_path) as journal:
        scopes: list[anyio.CancelScope] = []

        async def answering(kind: Kind, picture: str) -> None:
            if kind is CREATE:
                scopes[0].cancel()  # heard while this answer arrives

        vendor = FakeVendor(pause=answering)
        engine = await engine_of(job(tmp_path), journal, vendor, [item(1)])
        with anyio.CancelScope() as work:
            scopes.append(work)
            await engine.run()
        assert len(vendor.executed) == 1
        assert engine.items()[State.TASKED] == 1
        listed, _ = await journal.finish()
    assert listed == {State.TASKED: 1}


# --- every picture is refused ---


async def test_job_whose_first_pictures_are_all_refused_alike_is_stopped(tmp_path: Path) -> None:
    vendor = FakeVendor(all_refused("68300004", range(1, 61)))
    engine = await run_engine(tmp_path, vendor, many(60), api={"max_in_flight": 1})
    assert isinstance(engine.ended_by, RunStopped)
    assert "10 of the first 10 pictures were refused alike" in str(engine.ended_by)
    assert len(vendor.sent) == 10


async def test_job_whose_answers_all_break_the_contract_is_stopped_before_each_picture_is_paid(tmp_path: Path) -> None:
    broken = {
        (SEARCH, url(n)): [TryAgain("success without data", code="no_data", condition="no_data")] for n in range(1, 41)
    }
    engine = await run_engine(tmp_path, FakeVendor(broken), many(40), api={"max_in_flight": 1})
    assert isinstance(engine.ended_by, RunStopped)
    assert "10 of the first 10 pictures were refused alike" in str(engine.ended_by)
    assert "ask the vendor, then run again" in str(engine.ended_by)
    assert engine.items()[State.FAILED] == 10


async def test_job_of_which_half_is_refused_alike_is_stopped_within_the_first_fifty(tmp_path: Path) -> None:
    vendor = FakeVendor(all_refused("68300004", range(2, 61, 2)))
    engine = await run_engine(tmp_path, vendor, many(60), api={"max_in_flight": 1})
    assert isinstance(engine.ended_by, RunStopped)
    assert "10 of the first 20 pictures" in str(engine.ended_by)


async def test_twenty_alike_in_a_row_stop_the_run_also_later(tmp_path: Path) -> None:
    vendor = FakeVendor(all_refused("68300004", range(61, 100)))
    engine = await run_engine(tmp_path, vendor, many(99), api={"max_in_flight": 1})
    assert isinstance(engine.ended_by, RunStopped)
    assert list(states(tmp_path).values()) == [State.TASKED] * 60 + [State.FAILED] * 20 + [State.PENDING] * 19


@pytest.mark.parametrize("code", ["68300010", "picture"])
async def test_pictures_that_are_refused_for_their_own_sake_stop_nothing(code: str, tmp_path: Path) -> None:
    vendor = FakeVendor(all_refused(code, range(1, 61)))
    engine = await run_engine(tmp_path, vendor, many(61), api={"max_in_flight": 1})
    assert engine.ended_by is None
    assert list(states(tmp_path).values()) == [State.FAILED] * 60 + [State.TASKED]


@pytest.mark.parametrize(
    ("rows", "refused", "stops"),
    [
        pytest.param(
            {"68300011": {"search": "fail", "about_picture": True}}, "68300011", False, id="a code of tomorrow"
        ),
        pytest.param({"68300011": {"search": "fail"}}, "68300011", True, id="a code that says nothing of pictures"),
        pytest.param({"68300010": {"about_picture": False}}, "68300010", True, id="a code that the job takes back"),
        pytest.param({"68300011": {"about_picture": True}}, "68300004", True, id="another code"),
    ],
)
async def test_a_job_says_which_codes_are_about_the_picture(
    rows: dict[str, Any], refused: str, stops: bool, tmp_path: Path
) -> None:
    vendor = FakeVendor(all_refused(refused, range(1, 61)))
    engine = await run_engine(tmp_path, vendor, many(61), api={"max_in_flight": 1, "errors": rows})
    assert isinstance(engine.ended_by, RunStopped) is stops
    assert len(vendor.sent) == (10 if stops else 62)


async def test_searches_without_one_complete_hit_stop_nothing(tmp_path: Path) -> None:
    vendor = FakeVendor({(SEARCH, url(n)): [hits(0.9, complete=[False])] for n in range(1, 31)})
    engine = await run_engine(tmp_path, vendor, many(30))
    assert engine.ended_by is None
    assert {problem.code for problem in problems(tmp_path).values()} == {"incomplete_hits"}


async def test_refusals_that_differ_stop_nothing(tmp_path: Path) -> None:
    codes = ["68300004", "68300007", "67200012"]
    scripts = {key: value for n in range(1, 31) for key, value in all_refused(codes[n % 3], [n]).items()}
    engine = await run_engine(tmp_path, FakeVendor(scripts), many(60), api={"max_in_flight": 1})
    assert engine.ended_by is None


# --- the vendor names no task, or one task for many items ---


@pytest.mark.parametrize(
    ("fifth", "stopped"),
    [
        pytest.param(InDoubt("no task id", code="no_task_id", condition="no_task_id"), True, id="in doubt too"),
        pytest.param(ItemRefused("refused", code="68300004"), False, id="refused: the vendor does answer well"),
        pytest.param(ItemRefused("no hit is complete", code="hits", sent=False), True, id="never sent: says nothing"),
        pytest.param(None, False, id="a task"),
    ],
)
async def test_only_an_answer_with_a_known_outcome_ends_a_row_of_creates_without_a_task(
    fifth: CallError | None, stopped: bool, tmp_path: Path
) -> None:
    nameless = InDoubt("no task id", code="no_task_id", condition="no_task_id")
    answers = [nameless] * 4 + [fifth] + [nameless] * 4
    vendor = FakeVendor({(CREATE, url(n)): [answer] for n, answer in enumerate(answers, 1)})
    engine = await run_engine(tmp_path, vendor, many(9), api={"max_in_flight": 1})
    assert isinstance(engine.ended_by, RunStopped) == stopped


class OneTaskForAll(FakeVendor):
    """Answers every create with the same task."""

    async def _create(self, asked: Creation, meter: Meter) -> Task:
        await super()._create(asked, meter)
        return Task("the-same", self.now)


async def test_a_task_that_another_item_has_leaves_the_item_in_doubt_and_five_of_them_stop_the_run(
    tmp_path: Path,
) -> None:
    engine = await run_engine(tmp_path, OneTaskForAll(), many(20), api={"max_in_flight": 1})
    assert isinstance(engine.ended_by, RunStopped)
    assert "5 creates in a row were called a success without a task id of their own" in str(engine.ended_by)
    counted = list(states(tmp_path).values())
    assert (counted.count(State.TASKED), counted.count(State.IN_DOUBT)) == (1, 5)
    assert {problem.code for problem in problems(tmp_path).values()} == {"task_twice"}
    for problem in problems(tmp_path).values():
        assert "names the task the-same, which it named for 'SKU-1' before" in problem.message
        assert problem.request_id is not None
