"""One thread, in groups: the line on disk, then the commit, then the word that it is done; and a failure is final."""

import asyncio
import errno
import functools
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskGroup

from pipeline.errors import JournalError
from pipeline.journal import writer as writer_module
from pipeline.journal.emergency import cannot_open
from pipeline.journal.kept_lines import kept_in
from pipeline.journal.places import RESULTS
from pipeline.journal.results_file import ResultsFile
from pipeline.journal.sql.admission import admit
from pipeline.journal.steps import Settlement, advance
from pipeline.journal.storage import CLEAN, Disk, connect, open_disk, reading_only
from pipeline.journal.tail_check import CHECK
from pipeline.journal.writer import Writer
from pipeline.models import Calls, State
from tests.support.fakes import NOW, assert_index_matches, item, records, states
from tests.support.processes import PATIENCE_S

pytestmark = pytest.mark.anyio


class Watched:
    """A real connection that tells of every statement before it is executed; the telling may fail or wait."""

    def __init__(self, path: Path, tell: Callable[[str], None]) -> None:
        self.inner = connect(path)
        self.tell = tell

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        self.tell(sql)
        return self.inner.execute(sql, parameters)

    def close(self) -> None:
        self.inner.close()


@asynccontextmanager
async def writing(
    folder: Path, *, items: int, tell: Callable[[str], None] = lambda sql: None, linger_s: float = 0.0
) -> AsyncIterator[Writer]:
    """A writer on a real disk with items in it; statements are told of from then on."""
    ready = False
    opening = functools.partial(open_disk, folder, now=NOW)
    writer = Writer(
        lambda: opening(connect=lambda path: Watched(path, lambda sql: tell(sql) if ready else None)),
        linger_s=linger_s,
    )
    await writer.start()
    batch = [item(n) for n in range(1, items + 1)]
    await writer.do(lambda disk: admit(disk.db, batch, generation=1, accept_changes=False))
    ready = True
    yield writer
    with suppress(JournalError):
        await writer.close()


def line_of(number: int) -> bytes:
    return b'{"item":"SKU-%d"}\n' % number


@pytest.fixture(autouse=True)
def _count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the run directory's counter stay as it is after the start, where it would come between statements."""
    monkeypatch.setattr("pipeline.journal.identity.EVERY_S", 3600.0)


async def settle(writer: Writer, number: int) -> None:
    settlement = Settlement(number, State.NO_HITS, Calls(0, 1, 0), None)
    await writer.do_grouped(advance, settlement, line=line_of(number))


async def settle_after_another(writer: Writer, number: int) -> None:
    """Settle right after a change of another kind: both in one group make it a transaction."""
    writer.post(lambda disk: None)
    await settle(writer, number)


@asynccontextmanager
async def one_group(writer: Writer) -> AsyncIterator[TaskGroup]:
    """Hold the writing thread back, in a group of its own, while the next group is put together."""
    held, go_on = threading.Event(), threading.Event()

    def hold(disk: Disk) -> None:
        held.set()
        assert go_on.wait(60)

    writer.post(hold)
    assert await anyio.to_thread.run_sync(held.wait, 60)
    async with anyio.create_task_group() as tasks:
        yield tasks
        await anyio.lowlevel.checkpoint()  # each of the tasks has come to its change
        go_on.set()


def tell_of_syncs(monkeypatch: pytest.MonkeyPatch, told: list[str]) -> None:
    sync = os.fdatasync

    def syncing(fd: int) -> None:
        sync(fd)
        told.append(f"synced {os.fstat(fd).st_size}")

    monkeypatch.setattr(os, "fdatasync", syncing)


async def test_all_that_comes_in_meanwhile_is_one_group_and_one_statement_after_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement by itself is a transaction: durable when it returns, all of it or nothing."""
    told: list[str] = []
    async with writing(tmp_path, items=200, tell=lambda sql: told.append(sql.split()[0])) as writer:
        tell_of_syncs(monkeypatch, told)
        async with one_group(writer) as tasks:
            for number in range(1, 201):
                tasks.start_soon(settle, writer, number)
        until_here = list(told)  # closing notes that it ended well
    assert until_here == ["BEGIN", "COMMIT", f"synced {sum(len(line_of(n)) for n in range(1, 201))}", "UPDATE"]
    assert set(states(tmp_path).values()) == {State.NO_HITS}
    assert_index_matches(tmp_path)


async def test_line_is_on_disk_before_the_commit_and_the_commit_before_the_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a group with changes of different kinds; each test group follows the one that holds the thread back."""
    events: list[str] = []

    async def settling(writer: Writer, number: int) -> None:
        await settle_after_another(writer, number)
        events.append(f"done {number}")

    async with writing(tmp_path, items=2, tell=lambda sql: events.append(sql.split()[0])) as writer:
        tell_of_syncs(monkeypatch, events)
        for number in (1, 2):
            async with one_group(writer) as tasks:
                tasks.start_soon(settling, writer, number)
        until_here = list(events)
    one, both = len(line_of(1)), len(line_of(1) + line_of(2))
    assert until_here == [
        *("BEGIN", "COMMIT", f"synced {one}", "BEGIN", "UPDATE", "COMMIT", "done 1"),
        *("BEGIN", "COMMIT", f"synced {both}", "BEGIN", "UPDATE", "COMMIT", "done 2"),
    ]


@pytest.mark.parametrize(("way", "last"), [(settle_after_another, "COMMIT"), (settle, "UPDATE")])
async def test_nobody_hears_that_an_item_is_done_before_the_commit(
    way: Callable[[Writer, int], Awaitable[None]], last: str, tmp_path: Path
) -> None:
    reached, go_on = threading.Event(), threading.Event()
    done: list[int] = []

    def wait_at_commit(sql: str) -> None:
        if sql.startswith(last) and (tmp_path / RESULTS).stat().st_size:
            reached.set()
            assert go_on.wait(60)

    async def settling(writer: Writer, number: int) -> None:
        await way(writer, number)
        done.append(number)

    async with writing(tmp_path, items=2, tell=wait_at_commit) as writer, anyio.create_task_group() as around:

        async def look() -> None:
            assert await anyio.to_thread.run_sync(reached.wait, 60)
            for _ in range(50):
                await asyncio.sleep(0)
            assert done == []
            assert states(tmp_path)["SKU-1"] is State.PENDING  # another reader sees nothing yet either
            go_on.set()

        around.start_soon(look)
        async with one_group(writer) as tasks:
            tasks.start_soon(settling, writer, 1)
            tasks.start_soon(settling, writer, 2)
    assert done == [1, 2]


async def test_changes_nobody_waits_for_keep_their_order(tmp_path: Path) -> None:
    async with writing(tmp_path, items=1) as writer:
        for value in "abc":
            writer.post(lambda disk, value=value: disk.db.set_meta("last", value))
        assert await writer.do(lambda disk: disk.db.meta("last")) == "c"


async def test_what_is_queued_is_written_before_the_end(tmp_path: Path) -> None:
    async with writing(tmp_path, items=1, linger_s=0.005) as writer:
        writer.post(lambda disk: disk.db.set_meta("last", "word"))
        await writer.close()
    async with writing(tmp_path, items=0) as again:
        assert await again.do(lambda disk: disk.db.meta("last")) == "word"


async def test_closed_writer_takes_nothing_more(tmp_path: Path) -> None:
    async with writing(tmp_path, items=1) as writer:
        await writer.close()
        with pytest.raises(JournalError, match="closed"):
            await settle(writer, 1)
        with pytest.raises(JournalError, match="closed"):
            writer.post(lambda disk: None)
        await writer.close()  # once more does no harm


def test_a_disk_without_room_for_the_run_directory_itself_is_told_so(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    told = cannot_open(tmp_path / "runs" / "not there yet", full)
    assert "no space left on the device" in str(told)
    assert "output.dir alone begins a new run, which pays for everything again" in str(told)


async def test_writer_that_cannot_open_says_why_and_ends(tmp_path: Path) -> None:
    def failing() -> Disk:
        raise JournalError("no disk")

    writer = Writer(failing)
    with pytest.raises(JournalError, match="no disk"):
        await writer.start()
    await writer.close()
    assert not writer._thread.is_alive()


async def test_cancelled_caller_does_not_take_its_change_back(tmp_path: Path) -> None:
    """A create may be on its way because of it."""
    async with writing(tmp_path, items=1, linger_s=0.005) as writer:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await settle(writer, 1)
        await writer.do(lambda disk: None)
    assert states(tmp_path) == {"SKU-1": State.NO_HITS}


# --- the first failure is final ---


def at_statement(start: str, error: Exception) -> Callable[[pytest.MonkeyPatch, list[str]], Callable[[str], None]]:
    def arm(monkeypatch: pytest.MonkeyPatch, failed: list[str]) -> Callable[[str], None]:
        def tell(sql: str) -> None:
            if sql.startswith(start) and not failed:
                failed.append(sql)
                raise error

        return tell

    return arm


def at_call(name: str, number: int) -> Callable[[pytest.MonkeyPatch, list[str]], Callable[[str], None]]:
    """The disk fails once and is well again at once: nobody may be fooled by that."""

    def arm(monkeypatch: pytest.MonkeyPatch, failed: list[str]) -> Callable[[str], None]:
        real = getattr(os, name)

        def fails(*arguments: Any) -> Any:
            if threading.current_thread().name == "journal" and not failed:
                failed.append(name)
                raise OSError(number, os.strerror(number))
            return real(*arguments)

        monkeypatch.setattr(os, name, fails)
        return lambda sql: None

    return arm


FAILURES = {
    "no space for the line": at_call("writev", errno.ENOSPC),
    "line not synced": at_call("fdatasync", errno.EIO),
    "no begin": at_statement("BEGIN", sqlite3.OperationalError("disk I/O error")),
    "no change": at_statement("UPDATE", sqlite3.OperationalError("database or disk is full")),
    "refused change": at_statement("UPDATE", JournalError("the journal refused a change")),
    "no commit": at_statement("COMMIT", sqlite3.OperationalError("disk I/O error")),
    "bug": at_statement("UPDATE", ZeroDivisionError("oops")),
}


@pytest.mark.parametrize(
    ("way", "failure"),
    [(settle_after_another, failure) for failure in FAILURES]
    + [(settle, failure) for failure in FAILURES if failure not in ("no begin", "no commit")],
)
async def test_first_failure_is_final_and_nothing_after_it_is_acknowledged(
    way: Callable[[Writer, int], Awaitable[None]], failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[str] = []
    done: list[int] = []
    refused: list[JournalError] = []

    async def settling(number: int) -> None:
        try:
            await way(writer, number)
        except JournalError as error:
            refused.append(error)
        else:
            done.append(number)

    armed = [lambda sql: None]
    async with writing(tmp_path, items=6, tell=lambda sql: armed[0](sql), linger_s=0.002) as writer:
        await way(writer, 1)
        armed[0] = FAILURES[failure](monkeypatch, failed)
        async with anyio.create_task_group() as many:
            for number in (2, 3, 4):
                many.start_soon(settling, number)
        assert len(failed) == 1
        with pytest.raises(JournalError) as later:
            await way(writer, 5)
        with pytest.raises(JournalError):
            writer.post(lambda disk: None)
        with pytest.raises(JournalError):
            await writer.close()
        assert not writer._thread.is_alive()
    assert done == []
    assert {*refused, later.value} == {later.value}, "all of them name the first failure"
    assert later.value.exit_code == 5
    assert states(tmp_path) == {"SKU-1": State.NO_HITS} | {f"SKU-{n}": State.PENDING for n in (2, 3, 4, 5, 6)}
    assert records(tmp_path)[0] == {"item": "SKU-1"}
    # The next start looks whether the journal is whole, and believes lines beyond it only by their check.
    with reading_only(tmp_path) as db:
        assert db.meta(CLEAN) == "0"
    assert (tmp_path / CHECK).exists()


async def test_the_first_failure_is_the_one_that_is_named_also_when_the_journal_cannot_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def not_closed(self: Watched) -> None:
        self.inner.close()
        raise sqlite3.OperationalError("unable to close")

    async with writing(tmp_path, items=1) as writer:
        monkeypatch.setattr(os, "fdatasync", full)
        monkeypatch.setattr(Watched, "close", not_closed)
        with pytest.raises(JournalError, match="the disk is full"):
            await settle(writer, 1)
        with pytest.raises(JournalError, match="the disk is full"):
            await writer.close()


async def test_disk_is_not_asked_again_after_a_failed_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second fdatasync would succeed and mean nothing: the kernel has dropped the pages (PostgreSQL, 2018)."""
    asked: list[int] = []

    def fails(fd: int) -> None:
        asked.append(fd)
        raise OSError(errno.EIO, "Input/output error")

    async with writing(tmp_path, items=3) as writer:
        monkeypatch.setattr(os, "fdatasync", fails)
        for number in (1, 2, 3):
            with pytest.raises(JournalError, match="cannot be written"):
                await settle(writer, number)
    assert len(asked) == 1
    assert set(states(tmp_path).values()) == {State.PENDING}


async def test_items_queued_behind_a_failure_are_refused_too(tmp_path: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def fail_late(sql: str) -> None:
        if sql.startswith("UPDATE"):
            reached.set()
            assert go_on.wait(60)
            raise sqlite3.OperationalError("disk I/O error")

    async with writing(tmp_path, items=2, tell=fail_late) as writer, anyio.create_task_group() as around:

        async def refused(number: int) -> None:
            with pytest.raises(JournalError, match="disk I/O error"):
                await settle(writer, number)

        around.start_soon(refused, 1)
        assert await anyio.to_thread.run_sync(reached.wait, 60)
        around.start_soon(refused, 2)  # comes while the group that fails is being written
        await asyncio.sleep(0)
        go_on.set()
    assert set(states(tmp_path).values()) == {State.PENDING}


# --- the thread itself ends ---


def no_memory(*_: Any) -> Any:
    raise MemoryError


async def test_no_memory_while_a_failure_is_dealt_with_refuses_everybody_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread dies with a group in its hands and another in the queue; a run must not wait for it."""
    async with writing(tmp_path, items=4) as writer:
        refused: list[JournalError] = []

        async def settling(number: int) -> None:
            try:
                await settle(writer, number)
            except JournalError as error:
                refused.append(error)

        monkeypatch.setattr(ResultsFile, "append", no_memory)
        monkeypatch.setattr(Writer, "_latch", no_memory)
        with anyio.fail_after(PATIENCE_S):
            async with one_group(writer) as tasks:
                tasks.start_soon(settling, 1)
                tasks.start_soon(settling, 2)
            await settling(3)
            with pytest.raises(JournalError, match=r"its thread has ended; run again.*3 paid results are kept in"):
                await writer.close()
        assert len(refused) == 3
        assert not writer._thread.is_alive()
    told = list(kept_in(tmp_path.glob("emergency-*.jsonl")))
    assert told == [line_of(1), line_of(2), line_of(3)]
    assert set(states(tmp_path).values()) == {State.PENDING}


async def test_thread_that_ended_without_a_word_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "WATCH_S", 0.01)
    async with writing(tmp_path, items=1) as writer:
        monkeypatch.setattr(Writer, "_write", no_memory)
        monkeypatch.setattr(Writer, "_call_soon", lambda *_: None)
        with anyio.fail_after(PATIENCE_S):
            with pytest.raises(JournalError, match="its thread has ended"):
                await settle(writer, 1)
            with pytest.raises(JournalError, match="its thread has ended"):
                writer.check()
            with pytest.raises(JournalError, match="its thread has ended"):
                await writer.close()


async def test_no_memory_for_a_line_is_said_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with writing(tmp_path, items=1) as writer:
        monkeypatch.setattr(ResultsFile, "append", no_memory)
        with pytest.raises(JournalError, match="this machine has no memory left"):
            await settle(writer, 1)
        with pytest.raises(JournalError, match=r"1 paid result is kept in .*, the next run takes it in"):
            await writer.close()
