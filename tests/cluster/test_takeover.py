"""A shard goes from one owner to the next, and no task is created twice or forgotten, whatever became of the owner."""

import json
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.calls.account import Part
from pipeline.cluster import takeover
from pipeline.cluster.claims import Claim
from pipeline.cluster.epochs import folder_of, read_note
from pipeline.cluster.late_lines import hand_in, there_are
from pipeline.cluster.takeover import take_over
from pipeline.errors import JournalError
from pipeline.results.summary import RunSummary
from pipeline.run.load import load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import Given, RunOptions
from pipeline.run.stop import Stop
from tests.support.jobs import ACCOUNT, job, lines, started, vendor
from tests.support.processes import ended, until, until_lines

pytestmark = pytest.mark.proofs

OWNER = """
from pathlib import Path
from pipeline.calls.account import Part
from pipeline.run.load import load
from pipeline.run.local import LocalExecutor
from pipeline.run.options import Given, RunOptions
LocalExecutor().run(load(Path("job.yaml")), RunOptions(given=Given(Path(sys.argv[1]), Part())))
"""


def first(shard: Path) -> Path:
    shard.mkdir(exist_ok=True)
    taken = take_over(shard, Claim(0, 1, 0, (), died=False), worker="a")
    assert taken is not None
    return taken.folder


def next_of(shard: Path, epoch: int, *, died: bool = True) -> Path:
    claim = Claim(0, epoch, 0 if died else epoch - 1, (epoch - 1,) if died else (), died=died)
    taken = take_over(shard, claim, worker="b")
    assert taken is not None
    return taken.folder


def go_on(tmp_path: Path, folder: Path) -> RunSummary:
    spec = load(tmp_path / "job.yaml", environment=ACCOUNT)
    return LocalExecutor().run(spec, RunOptions(given=Given(folder, Part()), environment=ACCOUNT))


def created(tmp_path: Path) -> Counter[str]:
    file = tmp_path / "vendor" / "tasks.jsonl"
    return (
        Counter(json.loads(line)["urls"][0] for line in file.read_bytes().splitlines()) if file.exists() else Counter()
    )


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_what_a_killed_owner_left_is_gone_on_with_and_not_touched(tmp_path: Path) -> None:
    with vendor(tmp_path, latency_s=0.05) as server:
        job(tmp_path, url=server.url, pictures=60, api={"qps": 40})
        e1 = first(tmp_path / "shard")
        with started(e1, cwd=tmp_path, code=OWNER, **ACCOUNT) as process:
            until_lines(e1 / "results.jsonl", 10, by=process)
            process.kill()
            process.wait()
        before = bytes_of(e1)
        e2 = next_of(tmp_path / "shard", 2)
        summary = go_on(tmp_path, e2)
        assert bytes_of(e1) == before
    assert summary.items["settled"] + summary.items["in_doubt"] == 60
    assert max(created(tmp_path).values()) == 1
    known = {line["item"] for line in lines(e2 / "results.jsonl")} | {line["item"] for line in lines(e2 / "open.jsonl")}
    assert len(known) == 60
    assert len(created(tmp_path)) <= 60
    assert (e2 / "results.jsonl").read_bytes().startswith((e1 / "results.jsonl").read_bytes()[:1000])


def test_the_searches_that_were_paid_are_not_paid_again(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        job(tmp_path, url=server.url, pictures=30, api={"qps": {"search": 1000, "create": 4}})
        e1 = first(tmp_path / "shard")
        with started(e1, cwd=tmp_path, code=OWNER, **ACCOUNT) as process:
            until_lines(e1 / "results.jsonl", 3, by=process)
            process.kill()
            process.wait()
        (tmp_path / "job.yaml").write_text((tmp_path / "job.yaml").read_text().replace('"create": 4', '"create": 1000'))
        summary = go_on(tmp_path, next_of(tmp_path / "shard", 2))
    assert summary.items["settled"] + summary.items["in_doubt"] == 30
    assert summary.calls_this_run["search"] < 27


def test_an_owner_that_wakes_up_ends_the_doubts_of_the_next_one(tmp_path: Path) -> None:
    """It was frozen with all creates on their way. What it writes then, it writes into its own folder."""
    with vendor(tmp_path, latency_s=1.5) as server:
        job(tmp_path, url=server.url, pictures=6, api={"drain_s": 30})
        e1 = first(tmp_path / "shard")
        with started(e1, cwd=tmp_path, code=OWNER, **ACCOUNT) as process:
            until(lambda: created(tmp_path).total() == 6, by=process)
            process.send_signal(signal.SIGSTOP)
            e2 = next_of(tmp_path / "shard", 2)
            assert go_on(tmp_path, e2).items["in_doubt"] == 6
            assert not there_are(e2)
            process.send_signal(signal.SIGCONT)
            ended(process)
    assert len(lines(e1 / "results.jsonl")) == 6
    assert there_are(e2)
    assert hand_in(e2) == 6
    assert hand_in(e2) == 0
    with vendor(tmp_path / "nobody"):
        summary = go_on(tmp_path, e2)
    assert (summary.items["settled"], summary.items["in_doubt"]) == (6, 0)
    assert lines(e2 / "results.jsonl") == lines(e1 / "results.jsonl")
    assert set(created(tmp_path).values()) == {1}


def test_an_epoch_that_was_taken_over_is_opened_by_nobody_any_more(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        job(tmp_path, url=server.url, pictures=3)
        e1 = first(tmp_path / "shard")
        go_on(tmp_path, e1)
        e2 = next_of(tmp_path / "shard", 2, died=False)
        with pytest.raises(JournalError, match="goes on in e2"):
            go_on(tmp_path, e1)
        assert go_on(tmp_path, e2).exit_code == 0
        note = read_note(e2)
        assert note is not None
        assert (note.base, note.deaths, note.finished) == (1, 0, 3)
    assert set(created(tmp_path).values()) == {1}


def test_any_other_copy_is_refused_as_before(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        job(tmp_path, url=server.url, pictures=3)
        e1 = first(tmp_path / "shard")
        go_on(tmp_path, e1)
        e2 = next_of(tmp_path / "shard", 2, died=False)
        go_on(tmp_path, e2)
        shutil.copytree(e2, tmp_path / "copy")
        with pytest.raises(JournalError, match="this is a copy of"):
            go_on(tmp_path, tmp_path / "copy")


def test_three_owners_that_die_one_after_the_other_without_an_item_poison_a_shard(tmp_path: Path) -> None:
    shard = tmp_path / "shard"
    with vendor(tmp_path) as server:
        job(tmp_path, url=server.url, pictures=3)
        go_on(tmp_path, first(shard))
    for epoch, poisoned in ((2, False), (3, False), (4, True)):
        taken = take_over(shard, Claim(0, epoch, 0, (epoch - 1,), died=True), worker="b")
        assert taken is not None
        assert taken.poisoned is poisoned
    assert folder_of(shard, 4).is_dir()


def test_an_owner_that_died_while_it_made_its_journal_has_sent_nothing(tmp_path: Path) -> None:
    """Else every next owner meets a journal without tables, and ends on it, too."""
    shard = tmp_path / "shard"
    left = first(shard)
    with closing(sqlite3.connect(left / "journal.sqlite")) as db:
        db.execute("PRAGMA journal_mode=WAL")
    assert (left / "journal.sqlite").stat().st_size == 4096
    (left / "journal.sqlite-wal").touch()
    with vendor(tmp_path) as server:
        job(tmp_path, url=server.url, pictures=3)
        taken = next_of(shard, 2)
        assert not list(taken.glob("journal.sqlite*"))
        summary = go_on(tmp_path, taken)
    assert (summary.exit_code, summary.items["settled"]) == (0, 3)
    assert set(created(tmp_path).values()) == {1}


@pytest.mark.parametrize("stays", [True, False], ids=["for good", "for a moment"])
def test_an_older_journal_is_refused_unless_the_newest_shows_soon(
    tmp_path: Path, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has forgotten creates that are paid, and the next owner would send them again.

    For a moment it may be what a cache of this machine shows.
    """
    monkeypatch.setattr(takeover, "CACHES_S", 0.0 if stays else 60.0)
    shard = tmp_path / "shard"
    with vendor(tmp_path) as server:
        job(tmp_path, url=server.url, pictures=6)
        folder = first(shard)
        spec = load(tmp_path / "job.yaml", environment=ACCOUNT)
        LocalExecutor().run(spec, RunOptions(given=Given(folder, Part()), environment=ACCOUNT, limit=2))
        older = (folder / "journal.sqlite").read_bytes()
        go_on(tmp_path, folder)
        newest = (folder / "journal.sqlite").read_bytes()
        (folder / "journal.sqlite").write_bytes(older)
        if stays:
            with pytest.raises(JournalError, match="is older than this run directory"):
                next_of(shard, 2)
            assert not folder_of(shard, 2).exists()
        else:
            monkeypatch.setattr(time, "sleep", lambda _: (folder / "journal.sqlite").write_bytes(newest))
            assert next_of(shard, 2) == folder_of(shard, 2)
        assert set(created(tmp_path).values()) == {1}


@pytest.mark.parametrize("what", ["damaged", "a counter that is no number", "gone beside its results"])
def test_a_journal_that_cannot_be_gone_on_with_is_said_in_one_line(tmp_path: Path, what: str) -> None:
    """Any other error would end every worker that takes the shard, one after the other."""
    shard = tmp_path / "shard"
    with vendor(tmp_path) as server:
        job(tmp_path, url=server.url, pictures=3)
        go_on(tmp_path, first(shard))
    journal = folder_of(shard, 1) / "journal.sqlite"
    if what == "damaged":
        journal.write_bytes(b"x" * journal.stat().st_size)
    elif what == "a counter that is no number":
        with closing(sqlite3.connect(journal)) as db, db:
            db.execute("UPDATE meta SET value = '1r' WHERE key = 'counter'")
    else:
        journal.unlink()
    with pytest.raises(JournalError, match="journal"):
        next_of(shard, 2)
    assert not folder_of(shard, 2).exists()


def test_a_run_that_is_silenced_sends_nothing_more_and_records_what_was_on_its_way(tmp_path: Path) -> None:
    with vendor(tmp_path, latency_s=1.0) as server:
        job(tmp_path, url=server.url, pictures=30, api={"qps": {"search": 1000, "create": 5}, "drain_s": 600})
        folder, stop = first(tmp_path / "shard"), Stop()
        sent: list[float] = []

        def silence() -> None:
            until(lambda: created(tmp_path).total() >= 4)
            stop.silence()
            sent.append(time.monotonic())

        calls: list[float] = []
        options = RunOptions(
            given=Given(folder, Part()), environment=ACCOUNT, stop=stop, on_sent=lambda _, at: calls.append(at)
        )
        beside = threading.Thread(target=silence)
        beside.start()
        summary = LocalExecutor().run(load(tmp_path / "job.yaml", environment=ACCOUNT), options)
        beside.join()
    assert max(calls) <= sent[0]
    assert summary.items["in_doubt"] == 0
    assert summary.items["settled"] == created(tmp_path).total() < 30
    assert summary.items["not_started"] == 30 - summary.items["settled"]


def test_what_an_owner_before_found_is_no_earlier_run(tmp_path: Path) -> None:
    """Its hits are not those of last month, nothing is reused of it, and no list of runs lies in the shard."""
    with vendor(tmp_path) as server:
        job(tmp_path, url=server.url, pictures=3, search={"reuse": "6h"})
        go_on(tmp_path, first(tmp_path / "shard"))
        before = (tmp_path / "shard/e1/results.jsonl").read_bytes()
        e2 = next_of(tmp_path / "shard", 2, died=False)
        assert go_on(tmp_path, e2).exit_code == 0
    assert (e2 / "results.jsonl").read_bytes() == before
    assert {one.name for one in (tmp_path / "shard").iterdir()} == {"e1", "e2"}
