"""One item all the way, and many at once: what is sent, what is recorded, and what never happens."""

import asyncio
import errno
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.engine import intake as intake_module
from pipeline.engine.engine import Engine
from pipeline.errors import (
    CallError,
    GivenUp,
    HoldAll,
    InDoubt,
    Interrupted,
    ItemRefused,
    JournalError,
    RefreshToken,
    RunPaused,
    RunStopped,
    SlowDown,
    SpecError,
    TryAgain,
)
from pipeline.journal.sql.items import counts, open_items
from pipeline.journal.storage import RESULTS, reading_only
from pipeline.models import UPLOAD_LIFE_S, Calls, Item, Kind, Problem, State
from pipeline.sources.pictures import Picture
from tests.support.fakes import (
    NOTHING,
    NOW,
    FakeVendor,
    Lost,
    admitted,
    assert_index_matches,
    assert_settled_once,
    engine_of,
    hits,
    item,
    job,
    link_of,
    look,
    open_journal,
    records,
    states,
    url,
    work_of,
)

pytestmark = pytest.mark.anyio

UPLOAD, SEARCH, CREATE = Kind.UPLOAD, Kind.SEARCH, Kind.CREATE
PICTURE = Picture(b"bytes of a picture", "jpeg", "ab" * 32)


async def run(
    folder: Path,
    vendor: FakeVendor,
    items: Iterable[Item],
    *,
    limit: int | None = None,
    pictures: dict[str, Picture] | None = None,
    budgets: dict[Kind, int] | None = None,
    generation: int = 1,
    during: Callable[[Engine], Any] | None = None,
    **parts: Any,
) -> Engine:
    """One run of a job with these items, resumed when the folder knows some; the engine's counts must add up."""
    async with open_journal(folder, budgets=budgets) as journal:
        await journal.requeue_failed()
        engine = await engine_of(job(folder, **parts), journal, vendor, items, pictures=pictures, generation=generation)
        async with anyio.create_task_group() as around:
            if during is not None:
                around.start_soon(during, engine)
            await engine.run(limit=limit)
            around.cancel_scope.cancel()
        counted = await look(journal, lambda disk: counts(disk.db))
        assert {state: count for state, count in engine.items().items() if count} == counted
        assert engine.in_flight == 0
        await journal.finish(generation)
    assert_index_matches(folder)
    assert_settled_once(folder)
    return engine


def problems(folder: Path) -> dict[str, Problem]:
    """Why the open items are open."""
    with reading_only(folder) as db:
        return {work.item.id: problem for work, _, problem in open_items(db, after=0, limit=999)}


def many(count: int, *, start: int = 1) -> list[Item]:
    return [item(n) for n in range(start, start + count)]


def all_refused(code: str, numbers: Iterable[int]) -> dict[tuple[Kind, str], list[CallError]]:
    return {(SEARCH, url(n)): [ItemRefused("the vendor calls a parameter invalid", code=code)] for n in numbers}


# --- one item ---


async def test_picture_behind_a_url_is_searched_and_becomes_a_task(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run(tmp_path, vendor, [item(1)])
    assert vendor.sent == [(SEARCH, url(1)), (CREATE, url(1))]
    (record,) = records(tmp_path)
    assert (record["status"], record["task"]["task_id"]) == ("tasked", "run-task-0")
    assert record["calls"] == {"upload": 0, "search": 1, "create": 1}
    assert record["image"] == {"source": url(1), "url": url(1), "sha256": None, "labels": {}}
    assert vendor.chosen[url(1)].array == hits().array  # the vendor's own bytes


async def test_local_picture_is_uploaded_first(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run(tmp_path, vendor, [item(1, source="a.jpg", local=True)], pictures={"a.jpg": PICTURE})
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
    await run(tmp_path, busy, picture, pictures={"a.jpg": PICTURE})
    again = FakeVendor(now=NOW + later_s)
    await run(tmp_path, again, picture, pictures={"a.jpg": PICTURE}, generation=2)
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
    await run(tmp_path, vendor, [item(1)], **parts)
    assert [kind for kind, _ in vendor.sent] == calls
    assert states(tmp_path) == {"SKU-1": state}
    for record in records(tmp_path):
        assert record["search"]["hits"] == len(answer.scores) == len(record["hits"])


async def test_only_chosen_hits_reach_the_task_and_all_stay_in_the_record(tmp_path: Path) -> None:
    answer = hits(0.9, 0.8, 0.7, 0.6, 0.2, complete=[True, False, True, True, True], total=20783)
    vendor = FakeVendor({(SEARCH, url(1)): [answer]})
    await run(tmp_path, vendor, [item(1)], search={"min_score": 0.5}, task={"max_hits": 2})
    choice = vendor.chosen[url(1)]
    assert (choice.count, choice.dropped) == (2, 1)
    assert b'"patent_id":"0"' in choice.array
    assert b'"patent_id":"1"' not in choice.array
    (record,) = records(tmp_path)
    assert (record["task"]["hits"], record["task"]["hits_dropped"], len(record["hits"])) == (2, 1, 5)
    assert (record["search"]["truncated"], record["search"]["total"]) == (True, 20783)


def error(kind: type[CallError], *, sent: bool = True) -> CallError:
    return kind("it did not work", code="code", sent=sent)


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
    engine = await run(tmp_path, vendor, [item(1)])
    assert states(tmp_path) == {"SKU-1": state}
    assert records(tmp_path) == []
    if state is State.FAILED or state is State.IN_DOUBT:
        problem = problems(tmp_path)["SKU-1"]
        assert (problem.stage, problem.retryable) == (str(kind), again)
        assert engine.ended_by is None
    else:
        assert engine.ended_by is answer
    next_run = FakeVendor(run="next")
    await run(tmp_path, next_run, [item(1)], generation=2)
    searches_again = [] if kept else [(SEARCH, url(1))]
    assert next_run.sent == ([*searches_again, (CREATE, url(1))] if again else [])
    assert states(tmp_path) == {"SKU-1": State.TASKED if again else state}


async def test_a_doubt_that_ends_the_run_is_recorded_first(tmp_path: Path) -> None:
    end = error(RunStopped)
    vendor = FakeVendor({(CREATE, url(1)): [GivenUp(error(InDoubt), end)]})
    engine = await run(tmp_path, vendor, many(9), api={"max_in_flight": 1})
    assert states(tmp_path)["SKU-1"] is State.IN_DOUBT
    assert engine.ended_by is end
    assert vendor.sent == [(SEARCH, url(1)), (CREATE, url(1))]


async def test_calls_are_counted_over_all_runs_of_an_item(tmp_path: Path) -> None:
    await run(tmp_path, FakeVendor({(SEARCH, url(1)): [error(TryAgain)]}), [item(1)])
    await run(tmp_path, FakeVendor({(CREATE, url(1)): [error(RunPaused)]}), [item(1)], generation=2)
    await run(tmp_path, FakeVendor(), [item(1)], generation=3)
    assert records(tmp_path)[0]["calls"] == {"upload": 0, "search": 2, "create": 2}


async def test_unreadable_picture_fails_before_anything_is_paid_and_may_be_mended(tmp_path: Path) -> None:
    class Unreadable(dict[str, Picture]):
        def __missing__(self, source: str) -> Picture:
            raise ItemRefused("the picture is no readable JPG", code="picture", sent=False)

    picture = [item(1, source="a.jpg", local=True)]
    vendor = FakeVendor()
    await run(tmp_path, vendor, picture, pictures=Unreadable({"b.jpg": PICTURE}))
    assert (vendor.sent, problems(tmp_path)["SKU-1"].stage) == ([], "read")
    await run(tmp_path, vendor, picture, pictures={"a.jpg": PICTURE}, generation=2)
    assert states(tmp_path) == {"SKU-1": State.TASKED}


async def test_item_that_could_not_be_read_is_never_sent(tmp_path: Path) -> None:
    problem = Problem("read", "bad_row", "list.csv:2: no url", "fail", False)
    vendor = FakeVendor()
    await run(tmp_path, vendor, [item(1, problem=problem)])
    assert (vendor.sent, problems(tmp_path)) == ([], {"SKU-1": problem})


async def test_unsent_calls_are_given_back_to_the_budget(tmp_path: Path) -> None:
    vendor = FakeVendor({(SEARCH, url(n)): [error(TryAgain, sent=False)] for n in (1, 2, 3)})
    engine = await run(tmp_path, vendor, many(4), budgets={SEARCH: 1}, api={"max_in_flight": 1})
    assert (vendor.sent, engine.ended_by) == ([(SEARCH, url(4)), (CREATE, url(4))], None)


# --- many at once ---


async def test_every_item_is_settled_once(tmp_path: Path) -> None:
    vendor = FakeVendor()
    engine = await run(tmp_path, vendor, many(300))
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

    await run(tmp_path, vendor, many(50), during=watch, api={"max_in_flight": most})
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
        assert created.wait(10), "nothing was created while the items were still being read"
        yield from many(3, start=3)

    async def answering(kind: Kind, url: str) -> None:
        if kind is CREATE:
            created.set()

    await run(tmp_path, FakeVendor(pause=answering), slow_source())
    assert list(states(tmp_path).values()) == [State.TASKED] * 5


async def test_manifest_that_breaks_off_ends_the_run_and_finishes_what_is_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "BATCH", 2)

    def breaking_source() -> Iterator[Item]:
        yield from many(2)
        raise SpecError("list.csv:3: not UTF-8")

    engine = await run(tmp_path, FakeVendor(), breaking_source())
    assert isinstance(engine.ended_by, SpecError)
    assert set(states(tmp_path).values()) <= {State.TASKED, State.PENDING}
    await run(tmp_path, FakeVendor(run="next"), many(3), generation=2)
    assert list(states(tmp_path).values()) == [State.TASKED] * 3


async def test_limit_closes_the_intake_only_once_there_is_more_than_it_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a batch of known items at the limit would end it, and the run would say that all items are settled."""
    monkeypatch.setattr("pipeline.engine.intake.BATCH", 3)
    await run(tmp_path, FakeVendor(), [*many(3), *many(3), *many(6)[3:]], limit=3)
    assert list(states(tmp_path).values()) == [State.TASKED] * 3 + [State.PENDING] * 3


@pytest.mark.parametrize("limit", [0, 1, 7, 20, 99])
async def test_limit_begins_so_many_items_and_the_next_run_goes_on(limit: int, tmp_path: Path) -> None:
    vendor = FakeVendor()
    engine = await run(tmp_path, vendor, many(20), limit=limit)
    assert engine.ended_by is None
    assert len(vendor.executed) == min(limit, 20)
    assert {picture for picture, _ in vendor.executed} == {url(n) for n in range(1, min(limit, 20) + 1)}
    await run(tmp_path, vendor, many(20), generation=2)
    assert len(vendor.executed) == 20
    assert list(states(tmp_path).values()) == [State.TASKED] * 20


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
    async with AsyncExitStack() as closing:
        closing.push(lambda *error: True)  # closing a broken journal says so once more
        journal = await closing.enter_async_context(open_journal(tmp_path))
        engine = await engine_of(job(tmp_path, api={"max_in_flight": 3}), journal, vendor, many(40))
        with pytest.raises(JournalError, match="Input/output error"):
            await engine.run()
    assert len(sent_at_failure) == 1
    assert len(vendor.sent) <= sent_at_failure[0] + 3  # those whose intent was durable already
    # What was made and could not be recorded is kept beside the journal.
    kept = [line for path in tmp_path.glob("emergency-*.jsonl") for line in path.read_bytes().splitlines()]
    assert {task for _, task in vendor.executed} <= {
        json.loads(line)["task"]["task_id"] for line in (*kept, *(tmp_path / RESULTS).read_bytes().splitlines())
    }


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
    engine = await run(tmp_path, vendor, many(9), api={"max_in_flight": 4})
    assert engine.ended_by is balance
    assert vendor.stopped == set(Kind)
    assert len(vendor.sent) == 7
    assert [state.word for state in states(tmp_path).values()] == ["tasked"] * 2 + ["searched"] * 2 + ["pending"] * 5

    again = FakeVendor(run="again")
    await run(tmp_path, again, many(9), generation=2)
    assert [picture for kind, picture in again.sent if kind is SEARCH] == [url(n) for n in range(5, 10)]
    assert list(states(tmp_path).values()) == [State.TASKED] * 9
    assert not {picture for picture, _ in vendor.executed} & {picture for picture, _ in again.executed}


async def test_used_up_budget_lets_through_what_was_reserved_and_ends_the_run(tmp_path: Path) -> None:
    vendor = FakeVendor(pause=step)
    engine = await run(tmp_path, vendor, many(10), budgets={CREATE: 3}, api={"max_in_flight": 5})
    assert isinstance(engine.ended_by, RunPaused)
    assert engine.ended_by.code == "budget"
    assert len(vendor.executed) == 3
    assert State.IN_DOUBT not in states(tmp_path).values()
    await run(tmp_path, vendor, many(10), budgets={CREATE: 10}, generation=2)
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
    engine = await run(tmp_path, vendor, many(9), during=note, api={"max_in_flight": 3})
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
    engine = await run(tmp_path, vendor, items, during=note, pictures={"a.jpg": PICTURE}, api={"max_in_flight": 2})
    assert engine.ended_by is reason
    assert [kind for kind, _ in vendor.sent] == [SEARCH, UPLOAD, CREATE]
    assert [state.word for state in states(tmp_path).values()] == ["tasked", "pending", "pending"]
    again = FakeVendor(run="again")
    await run(tmp_path, again, items, generation=2)
    assert sorted(kind for kind, _ in again.sent) == [CREATE, CREATE, SEARCH, SEARCH]  # the upload still lives
    assert list(states(tmp_path).values()) == [State.TASKED] * 3


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
        listed, removed = await journal.finish(1)
        assert (listed, removed) == ({State.TASKED: 2, State.IN_DOUBT: 1}, 0)
    assert problems(tmp_path)["SKU-2"].request_id == f"run-create-{url(2)}"
    again = FakeVendor(run="again")
    await run(tmp_path, again, many(3), generation=2)
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
        listed, _ = await journal.finish(1)
    assert listed == {State.TASKED: 1}


# --- every picture is refused ---


async def test_job_whose_first_pictures_are_all_refused_alike_is_stopped(tmp_path: Path) -> None:
    vendor = FakeVendor(all_refused("68300004", range(1, 61)))
    engine = await run(tmp_path, vendor, many(60), api={"max_in_flight": 1})
    assert isinstance(engine.ended_by, RunStopped)
    assert "10 of the first 10 pictures were refused alike" in str(engine.ended_by)
    assert len(vendor.sent) == 10


async def test_job_of_which_half_is_refused_alike_is_stopped_within_the_first_fifty(tmp_path: Path) -> None:
    vendor = FakeVendor(all_refused("68300004", range(2, 61, 2)))
    engine = await run(tmp_path, vendor, many(60), api={"max_in_flight": 1})
    assert isinstance(engine.ended_by, RunStopped)
    assert "10 of the first 20 pictures" in str(engine.ended_by)


async def test_twenty_alike_in_a_row_stop_the_run_also_later(tmp_path: Path) -> None:
    vendor = FakeVendor(all_refused("68300004", range(61, 100)))
    engine = await run(tmp_path, vendor, many(99), api={"max_in_flight": 1})
    assert isinstance(engine.ended_by, RunStopped)
    assert list(states(tmp_path).values()) == [State.TASKED] * 60 + [State.FAILED] * 20 + [State.PENDING] * 19


@pytest.mark.parametrize("code", ["68300010", "picture"])
async def test_pictures_that_are_refused_for_their_own_sake_stop_nothing(code: str, tmp_path: Path) -> None:
    vendor = FakeVendor(all_refused(code, range(1, 61)))
    engine = await run(tmp_path, vendor, many(61), api={"max_in_flight": 1})
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
    engine = await run(tmp_path, vendor, many(61), api={"max_in_flight": 1, "errors": rows})
    assert isinstance(engine.ended_by, RunStopped) is stops
    assert len(vendor.sent) == (10 if stops else 62)


async def test_searches_without_one_complete_hit_stop_nothing(tmp_path: Path) -> None:
    vendor = FakeVendor({(SEARCH, url(n)): [hits(0.9, complete=[False])] for n in range(1, 31)})
    engine = await run(tmp_path, vendor, many(30))
    assert engine.ended_by is None
    assert {problem.code for problem in problems(tmp_path).values()} == {"incomplete_hits"}


async def test_refusals_that_differ_stop_nothing(tmp_path: Path) -> None:
    codes = ["68300004", "68300007", "67200012"]
    scripts = {key: value for n in range(1, 31) for key, value in all_refused(codes[n % 3], [n]).items()}
    engine = await run(tmp_path, FakeVendor(scripts), many(60), api={"max_in_flight": 1})
    assert engine.ended_by is None


# --- the same picture twice ---


def same_as(first: int, number: int, **changes: Any) -> Item:
    return item(number, source=url(first), **changes)


async def test_items_of_one_picture_share_its_hits_and_its_task_without_a_call(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run(tmp_path, vendor, [item(1), same_as(1, 2, labels={"client": "acme"}), item(3), same_as(1, 4)])
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
    await run(tmp_path, vendor, [item(1), same_as(1, 2)], task={"enabled": False})
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
    await run(tmp_path, vendor, pair)
    assert states(tmp_path) == {"SKU-1": state, "SKU-2": State.FAILED}
    problem = problems(tmp_path)["SKU-2"]
    assert (problem.code, problem.retryable) == ("same_picture", True)
    assert "'SKU-1', which is open" in problem.message
    sent = list(vendor.sent)
    await run(tmp_path, vendor, pair, generation=2)
    assert vendor.sent == sent, "nothing is paid for a picture that is refused or in doubt"
    assert states(tmp_path) == {"SKU-1": state, "SKU-2": State.FAILED}


async def test_item_of_a_picture_that_failed_in_passing_is_settled_with_it_by_the_next_run(tmp_path: Path) -> None:
    pair = [item(1), same_as(1, 2)]
    await run(tmp_path, FakeVendor({(SEARCH, url(1)): [error(TryAgain)]}), pair)
    again = FakeVendor()
    await run(tmp_path, again, pair, generation=2)
    assert again.sent == [(SEARCH, url(1)), (CREATE, url(1))]
    assert list(states(tmp_path).values()) == [State.TASKED] * 2


async def test_item_of_one_picture_waits_when_the_run_ends_before_the_first_is_settled(tmp_path: Path) -> None:
    pair = [item(1), same_as(1, 2)]
    await run(tmp_path, FakeVendor({(CREATE, url(1)): [error(RunPaused)]}), pair)
    assert list(states(tmp_path).values()) == [State.SEARCHED, State.PENDING]
    again = FakeVendor()
    await run(tmp_path, again, pair, generation=2)
    assert again.sent == [(CREATE, url(1))]
    assert list(states(tmp_path).values()) == [State.TASKED] * 2


async def test_new_item_of_a_picture_settled_long_ago_costs_nothing(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run(tmp_path, vendor, [item(1)])
    await run(tmp_path, vendor, [same_as(1, 2)], generation=2)
    assert len(vendor.sent) == 2
    assert [record["item"] for record in records(tmp_path)] == ["SKU-1", "SKU-2"]


async def test_item_takes_over_from_one_of_its_picture_that_left_the_job_unsettled(tmp_path: Path) -> None:
    await run(tmp_path, FakeVendor({(SEARCH, url(1)): [error(TryAgain)]}), [item(1), same_as(1, 2)])
    vendor = FakeVendor()
    async with open_journal(tmp_path) as journal:  # all items are read before anything is sent: the job has changed
        await journal.requeue_failed()
        engine = await engine_of(job(tmp_path), journal, vendor, [same_as(1, 2), same_as(1, 3)], generation=2)
        await engine._intake.run()
        await engine.run()
        assert await journal.finish(2) == ({State.TASKED: 2}, 1)
    assert vendor.sent == [(SEARCH, url(1)), (CREATE, url(1))]
    assert states(tmp_path) == {"SKU-1": State.PENDING, "SKU-2": State.TASKED, "SKU-3": State.TASKED}


async def test_many_items_of_one_picture_cost_one_search(tmp_path: Path) -> None:
    vendor = FakeVendor()
    await run(tmp_path, vendor, [item(1), *(same_as(1, n) for n in range(2, 102))])
    assert len(vendor.sent) == 2
    assert len(records(tmp_path)) == 101


# --- going on ---


async def test_paid_searches_come_first(tmp_path: Path) -> None:
    """Their hits die after nine hours."""
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, 2, 3)
        journal.steps.put_back(work_of(3, calls=Calls(0, 1, 0)), hits())
        await look(journal, lambda disk: None)
    vendor = FakeVendor()
    engine = await run(tmp_path, vendor, many(3), api={"max_in_flight": 1}, generation=1)
    assert engine.ended_by is None
    assert vendor.sent[0] == (CREATE, url(3))
    assert (SEARCH, url(3)) not in vendor.sent


async def test_paid_searches_are_found_also_when_the_last_run_ended_before_all_items_were_in(tmp_path: Path) -> None:
    """All items are read again then, and which of them are still listed is only known in the end."""
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1, 2, 3)
        journal.steps.put_back(work_of(2, calls=Calls(0, 1, 0)), hits())
        await look(journal, lambda disk: None)
    vendor = FakeVendor()
    await run(tmp_path, vendor, many(5), generation=2)
    assert list(states(tmp_path).values()) == [State.TASKED] * 5
    assert (SEARCH, url(2)) not in vendor.sent


async def test_hits_too_old_for_a_task_are_searched_again_in_the_same_run(tmp_path: Path) -> None:
    await run(tmp_path, FakeVendor({(CREATE, url(1)): [error(RunPaused)]}), [item(1)])
    late = FakeVendor(now=NOW + 9 * 3600)
    await run(tmp_path, late, [item(1)], generation=2)
    assert late.sent == [(SEARCH, url(1)), (CREATE, url(1))]
    assert records(tmp_path)[0]["calls"] == {"upload": 0, "search": 2, "create": 2}


async def test_settled_items_are_never_sent_again(tmp_path: Path) -> None:
    vendor = FakeVendor()
    for generation in (1, 2, 3):
        await run(tmp_path, vendor, many(5), generation=generation)
    assert len(vendor.sent) == 10
    assert len(records(tmp_path)) == 5
