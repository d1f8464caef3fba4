"""The meter of one item's calls: durable before the first byte, given back only when the vendor did nothing."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.engine.meter import ItemMeter
from pipeline.engine.parts import Ports
from pipeline.errors import Code, ItemRefused, JournalError, RunPaused
from pipeline.journal.journal import Journal
from pipeline.journal.kept_lines import NotExecuted, kept_in
from pipeline.journal.storage import Disk
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, Calls, Kind, State, Work
from tests.support.fakes import (
    NOW,
    FakeVendor,
    admitted,
    endpoints_of,
    hits,
    job,
    look,
    open_journal,
    rows,
    states,
    work_of,
)

pytestmark = pytest.mark.anyio

SEARCH, CREATE, UPLOAD = Kind.SEARCH, Kind.CREATE, Kind.UPLOAD


class Clock:
    """A wall clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def meter_of(work: Work, journal: Journal, folder: Path, clock: Clock) -> ItemMeter:
    spec = job(folder)
    nothing: Any = None
    return ItemMeter(work, Ports(spec, endpoints_of(spec), FakeVendor(), journal, nothing, now=clock, steady=clock))


async def written(journal: Journal) -> None:
    """Wait until everything that was posted is on disk."""
    await look(journal, lambda disk: None)


async def test_create_is_counted_and_its_intent_durable_before_it_is_sent(tmp_path: Path) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        work = work_of(1, hits=hits())
        meter = meter_of(work, journal, tmp_path, Clock())
        await meter.before(CREATE, "asked")
        assert states(tmp_path) == {"SKU-1": State.CREATING}
        assert (journal.budget.calls[CREATE].used, journal.budget.calls[CREATE].sent) == (1, 0)
        assert (meter.has_sent, meter.sent_at, work.calls) == (False, None, Calls())
        meter.sent(CREATE)
        assert (meter.has_sent, meter.sent_at, work.calls) == (True, NOW, Calls(create=1))
        assert journal.budget.calls[CREATE].sent == 1


async def test_create_that_the_budget_forbids_has_no_intent(tmp_path: Path) -> None:
    """A kill in that moment must not put in doubt what could never be sent."""
    async with open_journal(tmp_path, budgets={CREATE: 0}) as journal:
        await admitted(journal, 1)
        with pytest.raises(RunPaused):
            await meter_of(work_of(1, hits=hits()), journal, tmp_path, Clock()).before(CREATE, "asked")
        await written(journal)
        assert rows(tmp_path, "state, intent") == [(State.PENDING, None)]


async def test_attempt_that_reserved_nothing_gives_nothing_back(tmp_path: Path) -> None:
    """The second one of a call finds nobody to connect to, say, before it comes to its reservation."""
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        meter = meter_of(work_of(1), journal, tmp_path, Clock())
        await journal.budget.reserve(SEARCH)  # another item's
        await meter.before(SEARCH, "asked")
        for _ in range(3):
            meter.not_executed(SEARCH)
        assert journal.budget.calls[SEARCH].used == 1


@pytest.mark.parametrize("sent", [False, True], ids=["not sent", "sent"])
async def test_create_that_was_not_executed_gives_its_intent_back_and_its_call_if_it_was_not_sent(
    sent: bool, tmp_path: Path
) -> None:
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        meter = meter_of(work_of(1, hits=hits()), journal, tmp_path, Clock())
        await meter.before(CREATE, "asked")
        if sent:
            meter.sent(CREATE)
        meter.not_executed(CREATE)
        await written(journal)
        assert states(tmp_path) == {"SKU-1": State.SEARCHED}
        assert journal.budget.calls[CREATE].used == int(sent)


async def test_intent_of_a_create_that_may_exist_is_never_given_back(tmp_path: Path) -> None:
    """Its second attempt was refused; the first may have been executed."""
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        meter = meter_of(work_of(1, hits=hits()), journal, tmp_path, Clock())
        for _ in range(2):
            await meter.before(CREATE, "asked")
            meter.sent(CREATE)
            meter.may_exist()
        meter.not_executed(CREATE)
        await written(journal)
        assert states(tmp_path) == {"SKU-1": State.CREATING}


async def test_create_that_is_cut_short_while_its_intent_is_written_takes_the_intent_back(tmp_path: Path) -> None:
    """The intent reaches the disk all the same; a create that never left is no reason for a doubt."""
    disk_stands, disk_goes_on = threading.Event(), threading.Event()

    def stand(_: Disk) -> None:
        disk_stands.set()
        disk_goes_on.wait(60)

    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        await journal.budget.reserve(CREATE)  # brings a lease, so that the create below waits for its intent alone
        meter = meter_of(work_of(1, hits=hits()), journal, tmp_path, Clock())
        async with anyio.create_task_group() as around:
            around.start_soon(look, journal, stand)
            await anyio.to_thread.run_sync(disk_stands.wait)
            with anyio.CancelScope() as cut_short:

                async def cut() -> None:
                    await anyio.wait_all_tasks_blocked()
                    cut_short.cancel()

                around.start_soon(cut)
                await meter.before(CREATE, "asked")
            meter.not_executed(CREATE)
            disk_goes_on.set()
        await written(journal)
        assert cut_short.cancelled_caught
        assert states(tmp_path) == {"SKU-1": State.SEARCHED}
        assert rows(tmp_path, "intent") == [("asked",)]
        assert journal.budget.calls[CREATE].used == 1


MOMENTS = ["intent refused", "intended", "sent", "an earlier one may exist"]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_intent_is_taken_back_when_the_journal_fails_before_its_create_has_left(
    moment: str, tmp_path: Path
) -> None:
    """The journal cannot be written any more: a line beside it tells the next start."""
    with suppress(JournalError):  # closing a broken journal says so once more
        async with open_journal(tmp_path) as journal:
            await admitted(journal, 1)
            meter = meter_of(work_of(1, hits=hits()), journal, tmp_path, Clock())
            await (journal.budget.reserve(CREATE) if moment == "intent refused" else meter.before(CREATE, "asked"))
            if moment in MOMENTS[2:]:
                meter.sent(CREATE)
            if moment == "an earlier one may exist":
                meter.may_exist()
                await meter.before(CREATE, "asked again")
            with pytest.raises(JournalError):
                await look(journal, lambda disk: disk.db.do("no SQL"))
            with pytest.raises(JournalError):
                await meter.before(CREATE, "asked") if moment == "intent refused" else meter.sent(CREATE)
            meter.journal_failed()
    told = list(kept_in(tmp_path.glob("emergency-*.jsonl")))
    assert told == ([NotExecuted("SKU-1", "asked", Calls())] if moment in MOMENTS[:2] else [])


USABLE_S = HITS_LIFE_S - EXPIRY_MARGIN_S


@pytest.mark.parametrize(("age_s", "refused"), [(USABLE_S, False), (USABLE_S + 1, True)], ids=["young", "old"])
async def test_calls_are_refused_once_the_links_they_depend_on_are_about_to_expire(
    age_s: int, refused: bool, tmp_path: Path
) -> None:
    """Before the intent, and again before the first byte: the machine may have slept in between."""
    async with open_journal(tmp_path) as journal:
        await admitted(journal, 1)
        clock = Clock()
        meter = meter_of(work_of(1), journal, tmp_path, clock)
        meter.depends_on_links_from(NOW)
        await meter.before(SEARCH, "asked")
        clock.now += age_s
        if not refused:
            meter.sent(SEARCH)
            return
        for _ in range(2):
            with pytest.raises(ItemRefused) as caught:
                meter.sent(SEARCH)
            assert (caught.value.code, caught.value.sent, caught.value.request_id) == (Code.EXPIRED, False, "asked")
        assert (meter.has_sent, journal.budget.calls[SEARCH].sent) == (False, 0)
        with pytest.raises(ItemRefused):
            await meter.before(SEARCH, "asked again")
        await meter.before(UPLOAD, "an upload depends on nothing")
        meter.forget_links()
        await meter.before(SEARCH, "asked for anew")
        meter.sent(SEARCH)
