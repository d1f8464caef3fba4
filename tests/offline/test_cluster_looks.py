"""Looks at shards that are kept: a further status reads only what changed, and says what a first one would say."""

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from pipeline.cli import main as cli
from pipeline.cluster.directories import directories
from pipeline.cluster.layout import WORKERS
from pipeline.errors import JournalError
from pipeline.journal.places import AS_RUN, JOURNAL, REPORT, REPORTS, REPORTS_FOLDER, RESULTS, SUMMARY, run_directories
from pipeline.journal.signature import signature_of
from pipeline.models import TASK_LIFE_S, State
from pipeline.offline.shards import leaving, looks
from pipeline.offline.shards.leaving import LeftLooks
from pipeline.offline.shards.status import ClusterStatus, read_cluster_status
from pipeline.offline.status import look_at
from pipeline.run.directory import LOCK, lock
from pipeline.sources.pictures import Picture
from tests.support import fakes
from tests.support.fakes import FakeVendor, engine_of, item, open_journal
from tests.support.jobs import ACCOUNT, FaultPlan, job, vendor
from tests.support.processes import completed, python, until
from tests.support.sharded import Sharded, sharded

BROKEN = "68300010"  # the vendor refuses this picture
LATER_S = 60.0  # by then no file of a test is too young


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Sharded:
    """Three shards of two items; one of the first and one of the last are refused."""
    folder = tmp_path_factory.mktemp("made")
    script = {"search": ["", BROKEN, "", "", "", BROKEN]}
    with vendor(folder, faults=FaultPlan.scripted(script)) as server:
        return sharded(folder, server.url, each=2, single=False, api={"max_in_flight": 1}, task={"report": "later"})


@pytest.fixture
def run(made: Sharded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the cluster run, and a person without a cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Path(shutil.copytree(made.folder, tmp_path / "job"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shards that were read, in order."""
    names: list[str] = []

    def noting(run: Path, **options: Any) -> Any:
        names.append(run.parent.name)
        return look_at(run, **options)

    monkeypatch.setattr(looks, "look_at", noting)
    return names


def status(run: Path, *, at: float) -> ClusterStatus:
    return read_cluster_status(directories(run), now=at)


def first(run: Path, *, at: float) -> ClusterStatus:
    """The status without anything that was kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "read_looks", lambda files: iter(()))
        patch.setattr(looks, "write_looks", lambda file, looks, *, several_writers: None)
        return status(run, at=at)


def each(run: Path, at: float, *, kept: bool = True) -> dict[Path, Any]:
    """What is found of each shard, with what was kept or without."""
    found = looks.Looks(run, named=run, now=at) if kept else None

    def look(shard: Path) -> Any:
        try:
            return (
                look_at(shard, named=run, held=False, now=at)[0] if found is None else found.status(shard, held=False)
            )
        except JournalError as error:
            return str(error)

    seen = {shard: look(shard) for shard in run_directories(run)}
    if found is not None:
        found.write()
    return seen


def shards_read(read: list[str], look: Callable[[], object]) -> list[str]:
    read.clear()
    look()
    return sorted(read)


def cache_of(run: Path) -> Path:
    [file] = (run.parent / "cache").glob("*/looks/*")
    return file


# --- what is read ---


def test_a_further_status_reads_no_shard_that_has_not_changed_and_says_the_same(run: Path, read: list[str]) -> None:
    at = time.time() + LATER_S
    before = status(run, at=at)
    assert sorted(read) == ["0000", "0001", "0002"]
    assert shards_read(read, lambda: status(run, at=at)) == []
    assert status(run, at=at) == first(run, at=at) == before
    assert before.items["failed"] == 2


def test_every_file_of_a_shard_that_changes_or_comes_makes_it_be_read_anew(run: Path, read: list[str]) -> None:
    """The files are those that a trace of the system's calls names, and all others that a run leaves."""
    shard = run / "shards/0001/e1"
    (shard / REPORTS_FOLDER).mkdir()
    new = [f"{JOURNAL}-wal", f"{JOURNAL}-journal", ".repairing", "emergency-1-2.jsonl", REPORTS]
    new += [f"{REPORTS_FOLDER}/{name}" for name in (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-journal", ".repairing")]
    there = [file.name for file in shard.iterdir() if file.is_file() and file.name != LOCK]
    assert {JOURNAL, AS_RUN, SUMMARY, REPORT, RESULTS} <= set(there)
    for name in (*new, *there):
        known = signature_of(shard)
        (shard / name).touch()
        if name.endswith("-wal"):
            assert signature_of(shard) == known  # an empty one is what a reader leaves
            (shard / name).write_bytes(b"frames")
        assert signature_of(shard) != known, name
    (shard / JOURNAL).write_bytes((shard / JOURNAL).read_bytes())
    known = signature_of(shard)
    (shard / JOURNAL).unlink()
    assert signature_of(shard) != known


def test_what_readers_make_and_change_themselves_is_no_change(run: Path) -> None:
    shard = run / "shards/0001/e1"
    known = signature_of(shard, remote=True)
    for name in (LOCK, f"{JOURNAL}-shm", f"{JOURNAL}-wal"):
        (shard / name).touch()
    assert signature_of(shard, remote=True) == signature_of(shard, remote=False) == known is not None


@pytest.mark.parametrize("name", [JOURNAL, AS_RUN, SUMMARY, REPORT])
def test_a_shard_of_which_a_file_changed_is_read_anew_and_no_other(run: Path, read: list[str], name: str) -> None:
    at = time.time() + LATER_S
    status(run, at=at)
    (run / "shards/0001/e1" / name).touch()
    assert shards_read(read, lambda: status(run, at=at)) == ["0001"]
    assert shards_read(read, lambda: status(run, at=at)) == []


def test_a_file_that_is_too_young_is_no_proof(run: Path, read: list[str]) -> None:
    (run / "shards/0001/e1" / SUMMARY).touch()
    status(run, at=time.time() + 5)
    assert shards_read(read, lambda: status(run, at=time.time() + 5)) == ["0000", "0001", "0002"]


def write(shard: Path, value: str) -> None:
    with closing(sqlite3.connect(shard / JOURNAL, isolation_level=None)) as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'started_at'", (value,))


def test_a_log_that_is_written_anew_in_its_old_size_is_seen(run: Path) -> None:
    at, shard = time.time() + LATER_S, run / "shards/0001/e1"
    sizes, told = [], []
    with closing(sqlite3.connect(shard / JOURNAL, isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        for number in range(3):
            db.execute("UPDATE meta SET value = ? WHERE key = 'started_at'", (f"2030-01-01T00:00:0{number}Z",))
            sizes.append((shard / f"{JOURNAL}-wal").stat().st_size)
            told.append(each(run, at)[shard])
            assert each(run, at)[shard] == told[-1] == each(run, at, kept=False)[shard]
            db.execute("PRAGMA wal_checkpoint(RESTART)")
    assert len(set(sizes)) == 1
    assert len({str(one) for one in told}) == 3


# --- what is not kept ---


def test_a_shard_that_is_worked_on_is_running_though_no_file_of_it_changed(run: Path, read: list[str]) -> None:
    at = time.time() + LATER_S
    status(run, at=at)
    with lock(run / "shards/0002/e1"):
        assert status(run, at=at).shards["running"] == 1
        assert status(run, at=at) == first(run, at=at)
    assert status(run, at=at) == first(run, at=at)
    told = {"name": "w1", "at": at, "shards": [{"shard": 0, "epoch": 1}]}
    (run / WORKERS / "w1").mkdir(parents=True)
    (run / WORKERS / "w1/progress.json").write_bytes(msgspec.json.encode(told))
    assert status(run, at=at).shards["running"] == 1


@pytest.mark.proofs
def test_what_expires_is_told_as_of_now_and_not_as_of_the_look(run: Path, read: list[str]) -> None:
    begun = time.time()
    status(run, at=begun + LATER_S)
    told = []
    for hours in (0.02, 3, 6.9, 7.01, 7.99, 8.01, 9, 3, 30):
        at = begun + hours * 3600
        told.append(status(run, at=at))
        assert told[-1] == first(run, at=at), hours
    assert [one.unread for one in told] == [4, 4, 4, 4, 4, 0, 0, 4, 0]
    assert [one.expiring_within_hour.get("tasks") for one in told] == [0, 0, 0, 4, 4, None, None, 0, None]
    assert TASK_LIFE_S == 8 * 3600
    assert shards_read(read, lambda: status(run, at=begun + 31 * 3600)) == []


async def uploaded(folder: Path) -> None:
    local = item(1, source="a.jpg", local=True)
    spec = fakes.job(folder, upload={"public": True})
    async with open_journal(folder / "run") as journal:
        await (
            await engine_of(
                spec, journal, FakeVendor(), [local], pictures={"a.jpg": Picture(b"picture", "jpeg", "0" * 64)}
            )
        ).run()


def test_no_look_is_kept_where_a_picture_of_this_machine_was_sent(tmp_path: Path) -> None:
    anyio.run(uploaded, tmp_path)
    found = look_at(tmp_path / "run", named=tmp_path, held=False, now=time.time())
    assert (found.until, found.status.items["settled"]) == (0.0, 1)


def test_no_look_is_kept_where_a_create_is_unfinished_or_collected_reports_cannot_be_read(run: Path) -> None:
    shard = run / "shards/0001/e1"
    (shard / REPORTS_FOLDER).mkdir()
    (shard / REPORTS).write_bytes(b"{}\n")
    assert look_at(shard, named=run, held=False, now=time.time()).until == 0.0
    other = run / "shards/0000/e1"
    assert look_at(other, named=run, held=False, now=time.time()).until > time.time()
    with closing(sqlite3.connect(other / JOURNAL, isolation_level=None)) as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("UPDATE items SET state = ?, seq = NULL WHERE ord = 1", (int(State.CREATING),))
    assert look_at(other, named=run, held=False, now=time.time()).until == 0.0


# --- the file ---


@pytest.mark.parametrize("harm", ["torn", "bit", "empty", "version", "folder"])
def test_a_file_of_looks_that_is_not_what_was_written_is_passed_over(
    run: Path, read: list[str], harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = time.time() + LATER_S
    before = status(run, at=at)
    file = cache_of(run)
    data = file.read_bytes()
    if harm == "folder":
        file.unlink()
        file.mkdir()
    elif harm == "version":
        monkeypatch.setattr(looks, "_FORM", "another")
    else:
        bit = bytes([*data[:40], data[40] ^ 1, *data[41:]])
        file.write_bytes({"torn": data[: len(data) // 2], "bit": bit, "empty": b""}[harm])
    assert shards_read(read, lambda: status(run, at=at)) == ["0000", "0001", "0002"]
    assert status(run, at=at) == before


def test_a_status_needs_no_place_for_its_looks(run: Path) -> None:
    (run.parent / "cache").write_bytes(b"no folder")
    at = time.time() + LATER_S
    assert status(run, at=at) == status(run, at=at) == first(run, at=at)


def test_the_words_of_a_look_name_the_run_as_it_is_called_now(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at = time.time() + LATER_S
    status(run, at=at)
    monkeypatch.chdir(run.parent)
    called = status(Path("job"), at=at)
    assert called == first(Path("job"), at=at)
    assert all("pipeline retry job --only" in line for line in called.open_items)


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.cluster.directories import directories
from pipeline.offline.shards import looks
from pipeline.offline.shards.status import read_cluster_status
from pipeline.system import files

def half(path, data, **options):
    with files.replaced(path, **options) as file:
        file.write(b"".join(data)[:700])
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)

looks.write_whole = half
read_cluster_status(directories(Path(sys.argv[1])), now=float(sys.argv[2]))
"""


@pytest.mark.proofs
def test_a_status_that_is_killed_while_it_writes_its_looks_leaves_the_old_ones(run: Path, read: list[str]) -> None:
    at = time.time() + LATER_S
    assert completed(python(KILLED, run, str(at))).returncode == -9
    assert len(list((run.parent / "cache").glob("*/looks/.*.new"))) == 1
    before = status(run, at=at)
    (run / "shards/0001/e1" / SUMMARY).touch()
    assert completed(python(KILLED, run, str(at))).returncode == -9
    assert shards_read(read, lambda: status(run, at=at)) == ["0001"]
    assert status(run, at=at) == before == first(run, at=at)


# --- for everybody ---


def test_what_a_worker_left_serves_the_first_status_of_anybody(
    run: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, place = time.time() + LATER_S, run / WORKERS / "w1"
    place.mkdir(parents=True)
    monkeypatch.setattr(leaving, "_now", lambda: at)
    with LeftLooks(later_s=0.0) as left:
        for shard in run_directories(run):
            left.done(place, shard)
        until(lambda: (place / looks.LOOKS).is_file() and len(list(looks.read_looks([place / looks.LOOKS]))) == 3)
    assert shards_read(read, lambda: status(run, at=at + 1)) == []
    assert status(run, at=at + 1) == first(run, at=at + 1)
    (run / "shards/0001/e1" / SUMMARY).touch()
    assert shards_read(read, lambda: status(run, at=at + 1)) == ["0001"]


def test_a_worker_that_has_a_name_again_keeps_what_it_left_before(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = run / WORKERS / "w1"
    place.mkdir(parents=True)
    monkeypatch.setattr(leaving, "_now", lambda: time.time() + LATER_S)
    for number, shard in enumerate(run_directories(run), start=1):
        with LeftLooks(later_s=0.0) as left:
            left.done(place, shard)
            until(lambda: len(list(looks.read_looks([place / looks.LOOKS]))) == number)  # noqa: B023


# --- histories ---


def change(run: Path, what: str, rest: random.Random) -> None:
    """Do something to a run as people and workers do, or as a disk does."""
    shard = rest.choice(run_directories(run))
    commands = {
        "retry": ["retry", str(run), "--only", "failed", "--limit", "1", "--yes", "-q"],
        "resolve": ["resolve", str(run), "--all", "not-created"],
        "collect": ["collect", str(run), "-q"],
        "report": ["report", str(run)],
        "work": ["work", str(run.parent.parent / "job.yaml"), "--quiet"],
    }
    if what in commands:
        cli.run(commands[what])
    elif what == "older":  # an older journal is put back
        shutil.copy2(run.parent / "kept.sqlite", shard / JOURNAL)
    elif what == "write":
        write(shard, f"2030-01-01T00:00:{rest.randrange(60):02}Z")
    else:
        for file in (*shard.glob(what), *shard.glob(f"{REPORTS_FOLDER}/{what}")):
            file.unlink()


@pytest.mark.proofs
@pytest.mark.parametrize("seed", range(int(os.environ.get("HISTORIES", "1"))))
def test_after_any_history_a_status_with_looks_is_one_without(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    script = {"search": ["", BROKEN, "", "", BROKEN, "", BROKEN], "create": ["", "lost", "", "lost"]}
    (tmp_path / "shared").mkdir()
    with vendor(tmp_path, faults=FaultPlan.scripted(script)) as server:
        cluster = {"shared": str(tmp_path / "shared"), "shards": 3}
        api = {"max_in_flight": 1}
        path = job(tmp_path, url=server.url, pictures=8, cluster=cluster, api=api, task={"report": "later"})
        cli.run(["split", str(path)])
        cli.run(["work", str(path), "--quiet"])
        [run] = [split.parent for split in (tmp_path / "shared").glob("*/split.json")]
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        at = [time.time() + LATER_S]
        rest = random.Random(seed)
        whats = ["retry", "resolve", "collect", "report", "work"]
        rest.shuffle(whats)
        whats += rest.sample(["write", REPORT, SUMMARY, "journal.sqlite*", "spec.yaml", "write"], 4)
        for what in whats:
            compare(run, at[0], "before")
            change(run, what, rest)
            at[0] = max(at[0], time.time() + LATER_S)
            compare(run, at[0], what)
            compare(run, at[0] + rest.choice([0, 6.5, 7.5, 9]) * 3600, what)


def compare(run: Path, at: float, after: str) -> None:
    without = each(run, at, kept=False)
    assert each(run, at) == without, after
    assert each(run, at) == without, after
    if not all(isinstance(one, str) for one in without.values()):
        assert status(run, at=at) == first(run, at=at), after
