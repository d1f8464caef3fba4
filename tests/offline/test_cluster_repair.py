"""The repair of a run of many machines: the shards that need it, each by itself; nothing paid is lost or paid again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.cli import main as cli
from pipeline.cluster.claims import Claims, GivenBack, Standing
from pipeline.cluster.directories import directories
from pipeline.cluster.epochs import EpochNote, read_note, write_note
from pipeline.cluster.layout import ITEMS
from pipeline.cluster.owning import owning
from pipeline.cluster.split import read_split
from pipeline.journal.places import SHARDS, SPLIT, epoch_of, run_directories
from pipeline.leases.lease import Lease
from pipeline.leases.opening import open_store
from pipeline.offline.status import verify_run
from tests.support.fakes import assert_index_matches, assert_settled_once
from tests.support.jobs import lines
from tests.support.sharded import Sharded, doubtful, leased

JOURNAL, RESULTS = "journal.sqlite", "results.jsonl"
EACH = 3
_READING = ("-shm", "-wal", "lock")

pytestmark = pytest.mark.proofs


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Sharded:
    """Three shards of three items; in the second an item is in doubt."""
    made = doubtful(tmp_path_factory.mktemp("ran"), 4)
    for file in (made.folder / SPLIT, made.folder / SHARDS / SPLIT):
        file.write_bytes(msgspec.json.encode(read_split(made.folder)) + b"\n")
    return made


@pytest.fixture
def run(ran: Sharded, tmp_path: Path) -> Path:
    """A copy of the cluster run with its leases."""
    shutil.copytree(ran.folder.parent, tmp_path / "shared")
    return tmp_path / "shared" / "job"


def shard(run: Path, number: int) -> Path:
    return run / SHARDS / f"{number:04}"


def newest(run: Path, number: int) -> Path:
    found = epoch_of(shard(run, number))[1]
    assert found is not None
    return found


def standing(run: Path, number: int) -> Standing:
    return Claims(open_store(str(run.parent / ".leases")), read_split(run)).look()[number]


def files(folder: Path) -> dict[Path, bytes]:
    """All files but those that SQLite makes for every reader."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name[-4:] not in _READING}


def smash(run: Path) -> None:
    data = bytearray((run / JOURNAL).read_bytes())
    data[4096:12_000] = b"\xff" * (12_000 - 4096)
    (run / JOURNAL).write_bytes(data)


def tasks_in(run: Path) -> set[str]:
    """The tasks that the records of a run directory have."""
    return {one["task"]["task_id"] for one in lines(run / RESULTS) if one.get("task")}


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "smashed": smash,
    "no journal": lambda run: (run / JOURNAL).unlink(),
    "cut": lambda run: (run / JOURNAL).write_bytes((run / JOURNAL).read_bytes()[:5000]),
    "torn line": lambda run: (run / RESULTS).write_bytes((run / RESULTS).read_bytes()[:-40]),
    "no note": lambda run: (run / "epoch.json").unlink(),
    "half a note": lambda run: (run / "epoch.json").write_bytes(b'{"ep'),
}


def test_a_whole_run_is_left_as_it_is(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(run)
    assert cli.run(["repair", str(run)]) == 0
    assert "3 shards are whole (0000, 0001, 0002)" in capsys.readouterr().out
    assert files(run) == before


@pytest.mark.parametrize("how", DAMAGES)
def test_one_damaged_shard_is_repaired_in_a_folder_of_its_own_and_no_task_is_lost(
    run: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = newest(run, 2)
    known = tasks_in(source)
    DAMAGES[how](source)
    before = files(source)
    assert cli.run(["repair", str(run)]) == 0
    out = capsys.readouterr().out
    assert "shard 0002: e3 goes on, a repaired copy" in out
    assert "2 shards are whole (0000, 0001)" in out
    assert files(source) == before
    mended = newest(run, 2)
    assert (mended.name, standing(run, 2).state, standing(run, 2).base) == ("e3", GivenBack.OPEN, 3)
    assert [newest(run, number).name for number in (0, 1)] == ["e1", "e1"]
    verify_run(mended)
    assert_index_matches(mended)
    assert_settled_once(mended)
    lost = known - tasks_in(mended)
    assert len(lost) == (how == "torn line")
    assert "1 item is in doubt" in out if lost else True
    assert cli.run(["repair", str(run)]) == 0
    assert "3 shards are whole" in capsys.readouterr().out


def test_several_damaged_shards_are_repaired_at_once(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smash(newest(run, 0))
    (newest(run, 1) / JOURNAL).unlink()
    assert cli.run(["repair", str(run)]) == 0
    out = capsys.readouterr().out
    assert "2 shards repaired; `pipeline work` the job file goes on with them" in out
    assert [one.name for one in run_directories(run)] == ["e3", "e3", "e1"]


def test_a_shard_whose_journal_is_gone_is_not_counted_by_an_earlier_folder(run: Path) -> None:
    assert cli.run(["resolve", str(run), "--all", "not-created"]) in (0, 2)
    shutil.copytree(newest(run, 2), shard(run, 2) / "e9")
    (shard(run, 2) / "e9" / JOURNAL).unlink()
    assert cli.run(["status", str(run)]) == 0
    found = directories(run)
    assert [path.name for path in found.runs][2] == "e9"


@pytest.mark.parametrize("named", ["--shard 2", "shards/0002", "shards/0002/e1", "shards/0002/e1/reports"])
def test_a_single_shard_can_be_named(run: Path, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    smash(newest(run, 0))
    smash(newest(run, 2))
    words = [str(run), *named.split()] if named.startswith("--") else [str(run / named)]
    assert cli.run(["repair", *words]) == 0
    assert "1 shard repaired" in capsys.readouterr().out
    assert [one.name for one in run_directories(run)] == ["e1", "e1", "e3"]


def test_a_shard_that_is_not_there_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["repair", str(run), "--shard", "7"]) == 2
    assert "there is no shard 0007; this run has 3" in capsys.readouterr().err


def test_a_shard_that_a_worker_has_is_left_to_it_and_the_others_are_repaired(
    run: Path, ran: Sharded, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run.parent / ".leases")
    (run.parent / ".leases").mkdir()
    made = Sharded(run, ran.single, ran.path)
    with Lease(open_store(str(run.parent / ".leases")), "acme", lease_s=0.3) as worker:
        leased(made, counts=[EACH] * 3, worker=worker.incarnation, lease_s=0.3)
        smash(newest(run, 0))
        smash(newest(run, 1))
        assert cli.run(["repair", str(run)]) == 6
    out, err = capsys.readouterr()
    assert "shard 0000 is not repaired" in err
    assert "is being worked on by process" in err
    assert "shard 0001: e3 goes on" in out
    assert [one.name for one in run_directories(run)] == ["e1", "e3", "e1"]


def second_epoch(run: Path, number: int) -> Path:
    """Let a shard be taken over once, without any work."""
    with owning(run, None, say=lambda _: None) as owner, owner.owned(number) as folder:
        return folder


def test_lines_that_a_damaged_folder_lost_come_from_the_one_before(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = tasks_in(newest(run, 0))
    folder = second_epoch(run, 0)
    (folder / RESULTS).unlink()
    assert cli.run(["repair", str(run)]) == 0
    out = capsys.readouterr().out
    assert "shard 0000: 3 lines that it had lost came from the folders before it" in out
    assert tasks_in(newest(run, 0)) == known
    assert "in doubt" not in out


def test_late_lines_of_earlier_folders_are_taken_in(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = newest(run, 2)
    whole = (old / RESULTS).read_bytes()
    known = tasks_in(old)
    first, second, last = whole.splitlines(keepends=True)
    smash(old)
    (old / RESULTS).write_bytes(first + second)
    assert cli.run(["repair", str(run)]) == 0
    mended = newest(run, 2)
    assert len(tasks_in(mended)) == 2
    (old / RESULTS).write_bytes(whole)  # its owner, taken for dead, writes the answer that was on its way
    smash(mended)
    assert cli.run(["repair", str(run)]) == 0
    capsys.readouterr()
    assert tasks_in(newest(run, 2)) == known
    assert last in (newest(run, 2) / RESULTS).read_bytes()


def test_a_folder_that_is_gone_is_made_of_the_one_before_and_all_else_is_in_doubt(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = second_epoch(run, 0)
    shutil.rmtree(folder)
    assert cli.run(["repair", str(run)]) == 0
    out = capsys.readouterr().out
    assert "shard 0000: its newest run directory is gone, and e1 does not know what was paid since" in out
    assert "the old journal cannot be trusted" in out


def test_a_shard_of_which_nothing_is_left_is_said_and_the_others_are_repaired(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(shard(run, 1))
    smash(newest(run, 2))
    assert cli.run(["repair", str(run)]) == 5
    out, err = capsys.readouterr()
    assert "shard 0001 is not repaired" in err
    assert "put it back" in err
    assert "shard 0002: e3 goes on" in out


def test_a_list_that_is_gone_or_short_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shard(run, 0) / ITEMS).unlink()
    file = shard(run, 1) / ITEMS
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    assert cli.run(["repair", str(run)]) == 5
    err = capsys.readouterr().err
    assert "the list of its items cannot be read" in err
    assert "has 1 of 3 lines; put it back" in err


@pytest.mark.parametrize("how", ["gone", "smashed"])
def test_the_file_of_the_split_is_written_anew_from_its_copy(
    run: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (run / SPLIT).read_bytes()
    if how == "gone":
        (run / SPLIT).unlink()
    else:
        (run / SPLIT).write_bytes(whole[:40])
    smash(newest(run, 0))
    assert cli.run(["repair", str(run)]) == 0
    assert "split.json: written anew from its copy" in capsys.readouterr().out
    assert (run / SPLIT).read_bytes() == whole
    assert newest(run, 0).name == "e3"


def test_a_split_without_a_copy_is_refused_in_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / SPLIT).write_bytes(b"{")
    (run / SHARDS / SPLIT).unlink()
    assert cli.run(["repair", str(run)]) == 5
    assert "there is no copy of it; put it back" in " ".join(capsys.readouterr().err.split())


def test_a_repair_that_dies_leaves_what_nobody_reads_and_can_be_repeated(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    smash(newest(run, 0))

    def dies(*_: Any, **__: Any) -> list[str]:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.offline.shards.repair.repair", dies)
        assert cli.run(["repair", str(run)]) == 5
    assert newest(run, 0).name == "e1"
    assert standing(run, 0).state is GivenBack.DONE
    assert cli.run(["repair", str(run)]) == 0
    assert "shard 0000: e5 goes on" in capsys.readouterr().out


def test_an_older_journal_is_believed_only_at_the_word_of_a_person(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = newest(run, 0) / ".identity"
    counter = note.read_text()
    told = json.loads(counter)
    told["counter"] = str(int(told["counter"]) + 5).zfill(len(told["counter"]))
    note.write_text(json.dumps(told))
    assert cli.run(["repair", str(run)]) == 5
    assert "older than this run directory" in capsys.readouterr().err
    assert cli.run(["repair", str(run), "--this-is-the-only-copy"]) == 0
    assert "the old journal cannot be trusted" in capsys.readouterr().out


def test_a_run_that_is_not_split_has_no_shards_to_name(ran: Sharded, tmp_path: Path) -> None:
    assert cli.run(["repair", str(tmp_path), "--shard", "1"]) == 2


def test_a_note_is_kept_of_what_was_repaired(run: Path) -> None:
    smash(newest(run, 0))
    write_note(newest(run, 0), EpochNote(epoch=1, worker="0"))
    assert cli.run(["repair", str(run)]) == 0
    note = read_note(newest(run, 0))
    assert note is not None
    assert (note.epoch, note.base, [one.epoch for one in note.earlier], note.finished) == (3, 1, [1], EACH)
