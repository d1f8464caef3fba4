"""What an emergency kept is taken in by the next start: once, whole, and whenever the start itself dies."""

import errno
import os
import sys
from pathlib import Path

import anyio
import msgspec
import pytest

from pipeline.errors import JournalError
from pipeline.journal import emergency
from pipeline.journal.emergency import Emergency
from pipeline.journal.kept_files import left_over
from pipeline.journal.kept_lines import NotExecuted, kept_in, parts_of
from pipeline.journal.results_file import read_line
from pipeline.journal.sql import items
from pipeline.journal.storage import open_disk
from pipeline.models import Calls, Problem, State, Task
from pipeline.offline.status import read_status
from tests.support.fakes import NOW, admitted, assert_index_matches, hits, open_journal, records, states, url, work_of


def line(number: int, status: str = "tasked", **more: object) -> bytes:
    task = {"task": {"task_id": f"task-{number}", "at": "2026-11-21T12:00:00.000Z"}} if status == "tasked" else {}
    image = {"source": url(number), "url": url(number), "sha256": None, "labels": {}}
    calls = {"upload": 0, "search": 1, "create": 1}
    record = {"schema": 1, "job": "job", "item": f"SKU-{number}", "status": status, "image": image, "calls": calls}
    return msgspec.json.encode({**record, **task, **more}) + b"\n"


def journal_of_five(folder: Path) -> None:
    async def fill() -> None:
        async with open_journal(folder) as journal:
            await admitted(journal, 1, 2, 3, 4, 5)
            await journal.steps.settle(work_of(1), State.TASKED, line(1), Task("task-1", NOW))

    anyio.run(fill)


def test_kept_lines_are_appended_and_settled_and_the_file_renamed(tmp_path: Path) -> None:
    journal_of_five(tmp_path)
    (tmp_path / "emergency-1.jsonl").write_bytes(line(2) + line(3, "no_hits"))
    (tmp_path / "emergency-2.jsonl").write_bytes(line(4))
    disk = open_disk(tmp_path, now=NOW)
    assert disk.recovered.adopted == 3
    disk.close()
    assert [record["item"] for record in records(tmp_path)] == ["SKU-1", "SKU-2", "SKU-3", "SKU-4"]
    assert_index_matches(tmp_path)
    assert states(tmp_path)["SKU-3"] is State.NO_HITS
    assert sorted(path.name for path in tmp_path.glob("emergency*")) == [
        "emergency-1.jsonl.adopted",
        "emergency-2.jsonl.adopted",
    ]


def test_kept_lines_stand_behind_whole_ones_where_the_last_line_was_torn(tmp_path: Path) -> None:
    """The torn end is cut before anything is appended: cut afterwards, it would take what is paid with it."""
    journal_of_five(tmp_path)
    whole = (tmp_path / "results.jsonl").read_bytes()
    (tmp_path / "results.jsonl").write_bytes(whole + line(3)[:70])
    (tmp_path / "emergency-1.jsonl").write_bytes(line(3) + line(4))
    open_disk(tmp_path, now=NOW).close()
    assert (tmp_path / "results.jsonl").read_bytes() == whole + line(3) + line(4)
    assert_index_matches(tmp_path)


def test_keeping_gives_the_ballast_back_and_counts_what_is_paid_apart_from_what_never_left(tmp_path: Path) -> None:
    (tmp_path / emergency.BALLAST).write_bytes(b"x")
    kept = Emergency(tmp_path)
    kept.keep([])
    assert not (tmp_path / emergency.BALLAST).exists()
    kept.keep([line(1), NotExecuted("SKU-2", "asked", Calls(0, 1, 0))])
    kept.close()
    assert (kept.kept, kept.taken_back, kept.shown) == (1, 1, 0)


def test_a_line_counts_as_kept_once_it_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that only the page cache has may be gone with the machine, so stderr tells of it."""
    synced: list[int] = []
    kept = Emergency(tmp_path)
    monkeypatch.setattr(emergency.os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    kept.keep([line(1)])
    assert (kept.kept, kept.shown) == (1, 0)
    [path] = tmp_path.glob("emergency-*.jsonl")
    assert synced == [path.stat().st_size]

    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(emergency.os, "fsync", failing)
    kept.keep([line(2)])
    kept.close()
    assert (kept.kept, kept.shown) == (1, 1)


@pytest.mark.parametrize(("status", "state"), [("tasked", State.TASKED), ("no_hits", State.IN_DOUBT)])
def test_a_kept_task_ends_a_doubt_and_nothing_else_does(tmp_path: Path, status: str, state: State) -> None:
    """The file was put back only after a start that had to do without it."""

    async def doubt() -> None:
        async with open_journal(tmp_path) as journal:
            problem = Problem("create", "no_answer", "lost", "in_doubt", False)
            await journal.steps.intend(work_of(2), hits(), request_id="asked", at=NOW)
            await journal.steps.leave_open(work_of(2), State.IN_DOUBT, problem, None)

    journal_of_five(tmp_path)
    anyio.run(doubt)
    (tmp_path / "emergency-1.jsonl").write_bytes(line(2, status))
    open_disk(tmp_path, now=NOW).close()
    assert states(tmp_path)["SKU-2"] is state
    assert_index_matches(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(line(1), id="settled already"),
        pytest.param(line(9), id="nobody's"),
        pytest.param(line(2)[:40], id="torn"),
        pytest.param(b"\xff\xfe\n{}\n[]\n\n", id="no records"),
        pytest.param(b"", id="empty"),
    ],
)
def test_what_is_no_waiting_items_line_is_passed_over(tmp_path: Path, data: bytes) -> None:
    journal_of_five(tmp_path)
    (tmp_path / "emergency-1.jsonl").write_bytes(data + line(5))
    disk = open_disk(tmp_path, now=NOW)
    disk.close()
    assert [record["item"] for record in records(tmp_path)][:1] == ["SKU-1"]
    assert states(tmp_path)["SKU-5"] is (State.PENDING if data == line(2)[:40] else State.TASKED)
    assert_index_matches(tmp_path)


def test_a_task_that_the_journal_does_not_know_stays_in_its_file_until_it_does(tmp_path: Path) -> None:
    journal_of_five(tmp_path)
    (tmp_path / "emergency-1.jsonl").write_bytes(line(1) + line(9))
    for _ in range(2):
        open_disk(tmp_path, now=NOW).close()
        assert (tmp_path / "emergency-1.jsonl").exists()

    async def admit() -> None:
        async with open_journal(tmp_path) as journal:
            await admitted(journal, 9)

    anyio.run(admit)
    open_disk(tmp_path, now=NOW).close()
    assert states(tmp_path)["SKU-9"] is State.TASKED
    assert (tmp_path / "emergency-1.jsonl.adopted").exists()
    assert_index_matches(tmp_path)


def test_a_line_that_lost_only_its_line_break_is_taken(tmp_path: Path) -> None:
    journal_of_five(tmp_path)
    (tmp_path / "emergency-1.jsonl").write_bytes(line(2).rstrip())
    open_disk(tmp_path, now=NOW).close()
    assert_index_matches(tmp_path)
    assert states(tmp_path)["SKU-2"] is State.TASKED


def test_a_start_that_dies_before_the_rename_takes_each_line_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal_of_five(tmp_path)
    (tmp_path / "emergency-1.jsonl").write_bytes(line(2) + line(3))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(5, "died here")))
        with pytest.raises(JournalError):
            open_disk(tmp_path, now=NOW)
    disk = open_disk(tmp_path, now=NOW)
    assert disk.recovered.adopted == 0
    disk.close()
    assert [record["item"] for record in records(tmp_path)] == ["SKU-1", "SKU-2", "SKU-3"]
    assert_index_matches(tmp_path)


def test_a_line_is_kept_in_a_private_file_that_no_link_can_turn_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Emergency(tmp_path)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_size))
    kept.keep([line(1)])
    kept.keep([])
    kept.keep([line(2), line(3)])
    kept.close()
    [file] = tmp_path.glob("emergency-*.jsonl")
    first, *_ = file.read_bytes().splitlines(keepends=True)
    assert synced == [len(first), file.stat().st_size], "they are on disk before anybody says so"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(kept_in([file])) == [line(1), line(2), line(3)]
    assert [msgspec.json.decode(kept)["record"]["item"] for kept in file.read_bytes().splitlines()] == [
        "SKU-1",
        "SKU-2",
        "SKU-3",
    ]
    assert kept.text() == f"3 paid results are kept in {file.name}, the next run takes them in"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run directory that is gone with its parent, on a machine without a state folder."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    return tmp_path / "gone" / "run"


def test_when_no_file_can_be_written_the_tasks_go_to_stderr(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = Emergency(nowhere)
    kept.keep([line(1), line(2, item="\x1b[31m\u202e"), b"rubbish\n"])
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "not recorded: item='SKU-1' status='tasked' task_id='task-1'",
        "not recorded: item='\\x1b[31m\\u202e' status='tasked' task_id='task-2'",
    ]
    assert "could not be written anywhere" in kept.text()
    assert "are kept in" not in kept.text()


def test_a_closed_stderr_does_not_hide_the_failure(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    kept = Emergency(nowhere)
    kept.keep([line(1)])
    assert "could not be written anywhere" in kept.text()


def test_lines_are_kept_beside_a_run_directory_that_is_gone_and_in_the_state_folder_without_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for run, place, then in (
        (tmp_path / "run", tmp_path, ", the next run takes it in"),
        (
            tmp_path / "gone/run",
            tmp_path / "state/infringement-pipeline/emergency",
            ", the next run on this machine takes it in",
        ),
    ):
        kept = Emergency(run, is_there=lambda: False)
        kept.keep([line(1)])
        kept.close()
        [file] = place.glob("run.emergency-*.jsonl")
        assert list(kept_in([file])) == [line(1)]
        assert file.stat().st_mode & 0o777 == 0o600
        assert f"1 paid result is kept in {file}{then}" in kept.text()


def test_lines_of_a_folder_that_fails_are_kept_on_this_machine_and_the_next_start_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a network folder that is away: not even whether it is there can be told."""

    def fails() -> bool:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    run, other = tmp_path / "away/run", tmp_path / "other/run"
    kept = Emergency(run, is_there=fails)
    kept.keep([line(1)])
    kept.close()
    assert "the next run on this machine takes it in" in kept.text()
    run.mkdir(parents=True)
    [file] = left_over(run)
    assert list(kept_in([file])) == [line(1)]
    assert left_over(other) == []


@pytest.mark.parametrize("wrong", ["a bit", "the check", "torn"])
def test_a_kept_line_that_is_not_what_was_written_is_refused_and_the_others_are_taken(
    wrong: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One bit can make it name another task, and be JSON still."""
    journal_of_five(tmp_path)
    kept = b"".join(parts_of(line(2)))
    damaged = {
        "a bit": kept.replace(b"task-2", b"task-3"),
        "the check": kept.replace(b'{"crc32":', b'{"crc32":1'),
        "torn": kept[:-30] + b"\n",
    }[wrong]
    (tmp_path / "emergency-1.jsonl").write_bytes(damaged + b"".join(parts_of(line(4))))
    disk = open_disk(tmp_path, now=NOW)
    disk.close()
    assert [record["item"] for record in records(tmp_path)] == ["SKU-1", "SKU-4"]
    assert states(tmp_path)["SKU-2"] is State.PENDING
    assert "emergency.line_refused emergency-1.jsonl:1 " in caplog.text


def test_each_bit_of_a_kept_line_counts(tmp_path: Path) -> None:
    kept = b"".join(parts_of(line(2)))
    for at in range(len(kept) * 8):
        flipped = bytearray(kept)
        flipped[at // 8] ^= 1 << at % 8
        (tmp_path / "x").write_bytes(flipped)
        read = list(kept_in([tmp_path / "x"]))
        assert line(2) not in read or flipped == kept
        assert all(view is None for view in (read_line(raw) for raw in read if isinstance(raw, bytes)))


KNOWN = NotExecuted("SKU-2", "asked", Calls(0, 1, 0))


def creating(folder: Path, *, doubt: Problem | None = None, request_id: str = "asked") -> None:
    """Leave a directory in which the create of item 2 has an intent and no outcome."""

    async def fill() -> None:
        async with open_journal(folder, duplicates=1) as journal:
            await admitted(journal, 1, 2)
            if doubt is not None:
                await journal.steps.intend(work_of(2), hits(), request_id="first", at=NOW)
                await journal.steps.leave_open(work_of(2), State.IN_DOUBT, doubt, None)
            await journal.steps.intend(work_of(2, doubt=doubt), hits(), request_id=request_id, at=NOW)

    anyio.run(fill)


def test_a_create_that_never_left_is_not_in_doubt(tmp_path: Path) -> None:
    creating(tmp_path)
    assert read_status(tmp_path).items["in_doubt"] == 1
    (tmp_path / "emergency-1.jsonl").write_bytes(b"".join(parts_of(KNOWN)))
    assert read_status(tmp_path).items["in_doubt"] == 0
    open_disk(tmp_path, now=NOW).close()
    assert states(tmp_path)["SKU-2"] is State.SEARCHED


def test_a_later_create_of_the_same_item_is_in_doubt(tmp_path: Path) -> None:
    creating(tmp_path, request_id="another")
    (tmp_path / "emergency-1.jsonl").write_bytes(b"".join(parts_of(KNOWN)))
    open_disk(tmp_path, now=NOW).close()
    assert states(tmp_path)["SKU-2"] is State.IN_DOUBT


def test_a_second_create_that_never_left_leaves_the_first_ones_doubt(tmp_path: Path) -> None:
    doubt = Problem("create", "no_answer", "lost", "in_doubt", False, request_id="first")
    creating(tmp_path, doubt=doubt)
    (tmp_path / "emergency-1.jsonl").write_bytes(b"".join(parts_of(KNOWN)))
    disk = open_disk(tmp_path, now=NOW)
    assert items.standing(disk.db, 2)[1:] == (State.IN_DOUBT, None, doubt)
    disk.close()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, os.strerror(28)), "the disk is full (No space left on device); free 80 MB or more"),
        (OSError(5, os.strerror(5)), "Input/output error; look after the disk, then run again"),
        (ValueError("odd"), "odd; look after the disk"),
        (KeyError(), "KeyError; look after the disk"),
        (MemoryError(), "this machine has no memory left; end other programs"),
    ],
)
def test_the_failure_is_one_clear_line(error: Exception, said: str) -> None:
    assert f"runs/autumn: the journal cannot be written: {said}" in str(
        emergency.disk_error(error, Path("runs/autumn"))
    )


def test_without_a_home_the_tasks_go_to_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.journal.kept_files.state_folder", lambda: None)
    monkeypatch.setattr("pipeline.journal.kept_files.private", lambda *_: _refused())
    Emergency(tmp_path / "gone").keep([line(1)])
    assert "not recorded: item=" in capsys.readouterr().err


def _refused() -> int:
    raise OSError(28, "No space left on device")
