"""The status of a cluster run: the counts of one run of the same items, its shards, and its machines."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main as cli
from pipeline.cluster.directories import directories
from pipeline.models import State
from pipeline.offline.shards.status import ClusterStatus, read_cluster_status
from pipeline.offline.status import SHOWN, read_status
from tests.support.jobs import FaultPlan, vendor
from tests.support.sharded import Sharded, sharded, write_split

BROKEN = "68300010"  # the vendor refuses this picture


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Sharded:
    """Three shards of four items, of which some are refused, and one run of all twelve; with prices."""
    folder = tmp_path_factory.mktemp("made")
    script = {"search": ["", BROKEN, "", "", "", BROKEN, "", BROKEN, "", "", "", ""] * 2}
    with vendor(folder, faults=FaultPlan.scripted(script)) as server:
        prices = {"P009": 0.5, "AI39-1": 2}
        return sharded(folder, server.url, api={"max_in_flight": 1}, prices=prices, currency="CNY")


@pytest.fixture
def run(made: Sharded, tmp_path: Path) -> Path:
    """A copy of the cluster run."""
    return Path(shutil.copytree(made.folder, tmp_path / "job"))


def status(run: Path) -> ClusterStatus:
    return read_cluster_status(directories(run))


def test_counts_calls_and_money_are_those_of_one_run_with_the_same_items(made: Sharded) -> None:
    ours, theirs = status(made.folder), read_status(made.single)
    assert ours.items == theirs.items
    assert ours.items["failed"] == 3
    assert (ours.calls, str(ours.money)) == (theirs.calls, str(theirs.money))
    assert set(ours.expires) == set(theirs.expires)
    assert (ours.running, ours.not_started, ours.about_shards) == (False, "", [])
    assert ours.shards == {"all": 3, "finished": 3, "running": 0, "interrupted": 0, "not_begun": 0, "not_read": 0}
    assert ours.now == "not running: of 3 shards 3 finished"


def test_open_items_of_all_shards_are_told_and_their_commands_name_the_whole_run(made: Sharded) -> None:
    ours, theirs = status(made.folder).open_items, read_status(made.single).open_items
    assert [line.split(" (")[0] for line in ours] == [line.split(" (")[0] for line in theirs]
    assert len(ours) == 3
    assert all(f"pipeline retry {made.folder} --only failed" in line for line in ours)


def test_a_shard_that_is_missing_unreadable_unfinished_or_not_begun_is_said_in_a_line(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_split(run, [4, 4, 4, 4, 7])
    shutil.rmtree(run / "shards/0000")
    (run / "shards/0001/e1/journal.sqlite").write_bytes(b"no database")
    (run / "shards/0003").mkdir()
    (run / "shards/0004").mkdir()
    found = status(run)
    assert [line[:26] for line in found.about_shards] == [
        "shard 0000 is missing, and",
        "shard 0001 cannot be read,",
        "2 shards are not begun (00",
    ]
    assert found.shards["not_read"] == 2
    assert (found.items["all"], found.items["not_started"]) == (4 + 11, 11)
    assert "pipeline work" in found.not_started
    assert cli.run(["status", str(run)]) == 0
    shown = capsys.readouterr().out
    assert all(line in shown for line in found.about_shards)


def test_a_run_whose_shards_are_all_damaged_names_each_with_its_cause(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        (run / f"shards/000{number}/e1/journal.sqlite").write_bytes(b"no database")
    assert cli.run(["status", str(run)]) == 5
    said = capsys.readouterr().err
    for number in range(3):
        assert f"shard 000{number} cannot be read, and is not shown: " in said
    assert f"pipeline repair {run}" in said


def put(run: Path, state: State, *, ended: bool = False) -> None:
    """Put the first item of the second shard into a state, as a worker that was killed left it, or one that ended."""
    if not ended:
        (run / "shards/0001/e1/summary.json").unlink()
    with closing(sqlite3.connect(run / "shards/0001/e1/journal.sqlite")) as db, db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute("UPDATE items SET state = ?, seq = NULL WHERE ord = 1", (int(state),))


def test_whoever_goes_on_with_a_run_of_many_machines_is_told_to_work(run: Path) -> None:
    put(run, State.PENDING)
    found = status(run)
    assert found.not_started.startswith("`pipeline work` the job file: it goes on where it stopped")
    [line] = found.about_shards
    assert line.startswith("shard 0001 is not finished: 1 of 4 items not started; not running; ")
    assert line.endswith("never ended: `pipeline work` the job file to go on")


def test_a_page_that_was_made_of_items_that_are_to_be_begun_is_not_older_than_they_are(run: Path) -> None:
    """A resolve leaves them in a shard whose run came to its end."""
    put(run, State.PENDING, ended=True)
    assert status(run).page == ""
    assert cli.run(["report", str(run)]) == 0
    found = status(run)
    assert (found.page, found.state, found.shards["interrupted"]) == ("", "finished", 1)


def test_a_shard_whose_worker_was_killed_in_a_create_is_not_finished_and_told_to_be_in_doubt(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(run, State.CREATING)
    found = status(run)
    assert (found.shards["finished"], found.shards["interrupted"], found.items["in_doubt"]) == (2, 1, 1)
    [line] = found.about_shards
    assert line.startswith("shard 0001 is not finished: 0 of 4 items not started; ")
    assert line.endswith("1 create was under way when the run died; it is in doubt")
    assert (found.open_not_shown, found.unnamed) == (1, 1)
    assert cli.run(["status", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "1 item in doubt is named once `pipeline work` goes on" in shown
    assert "more; a run that ends" not in shown


def test_what_a_shard_lists_and_has_not_taken_in_is_not_started(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its worker was refused, or killed, before it had read the list."""
    with closing(sqlite3.connect(run / "shards/0001/e1/journal.sqlite")) as db, db:
        db.execute("DELETE FROM items")
    found = status(run)
    assert (found.items["all"], found.items["not_started"]) == (12, 4)
    assert (found.shards["finished"], found.shards["interrupted"]) == (2, 1)
    assert "shard 0001 is not finished: 4 of 4 items not started" in found.about_shards[0]
    assert cli.run(["report", str(run)]) == 0
    assert "the run had been interrupted" in (said := capsys.readouterr().out)
    assert "of 12 settled" in said
    assert cli.run(["export", str(run), "--to", "csv", "-o", str(run / "out.csv")]) == 0
    assert "4 products" in "".join(capsys.readouterr())


@pytest.mark.proofs
def test_a_shard_with_items_that_were_not_started_is_not_finished(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        made = sharded(tmp_path, server.url, shards=2, each=3, single=False, api={"budget": {"create_calls": 2}})
    found = status(made.folder)
    assert found.shards["interrupted"] == 2
    assert [line.split(";")[0] for line in found.about_shards] == [
        f"shard 000{n} is not finished: 1 of 3 items not started" for n in (0, 1)
    ]
    assert "Raise the budget that is used up, then `pipeline work` the job file" in found.not_started


def tell(run: Path, name: str, **told: Any) -> None:
    place = run / "workers" / name
    place.mkdir(parents=True)
    (place / "progress.json").write_text(json.dumps(told))


def test_each_machine_is_told_with_its_shards_slots_and_when_it_was_seen(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    tell(run, "a", host="vm-1", since=now - 60, at=now, shards=[{"shard": 1, "epoch": 1}], slots={"search": 3})
    tell(run, "b", host="vm-2", since=now - 60, at=now - 3600, shards=[{"shard": 2}], slots={"search": 2})
    tell(run, "d", host="vm-4", since=now - 60, at=now - 9, shards=[], slots={"search": 2}, ended=True)
    (run / "workers" / "c").mkdir()
    (run / "workers" / "c" / "progress.json").write_text("{half")
    found = status(run)
    assert [(one.name, one.alive, one.shards, one.slots) for one in found.machines] == [
        ("a", True, ["0001"], {"search": 3}),
        ("b", False, ["0002"], {"search": 2}),
        ("d", False, [], {}),
    ]
    assert (found.running, found.shards["running"], found.shards["finished"]) == (True, 1, 2)
    assert found.about_shards == ["shard 0001 is being worked on by a: 0 of 4 items not started"]
    assert cli.run(["status", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "machine a on vm-1: alive, since " in shown
    assert "; shards 0001; slots: 3 search; last seen " in shown
    assert "machine b on vm-2: not heard of any more" in shown
    assert "machine d on vm-4: ended in good order" in shown


def test_status_as_json_has_the_fields_of_a_run_and_those_of_its_shards(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["status", str(run), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"items", "calls", "open_items", "shards", "machines", "about_shards"} <= set(told)


@pytest.mark.proofs
def test_only_the_first_open_items_are_told_and_the_others_counted(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"search": [BROKEN] * 99})) as server:
        made = sharded(tmp_path, server.url, shards=3, each=9, single=False, api={"max_in_flight": 1})
    found = status(made.folder)
    assert (len(found.open_items), found.open_not_shown) == (SHOWN, found.items["open"] - SHOWN)


def test_verify_looks_at_every_shard(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["status", str(run), "--verify"]) == 0
    assert "3 shards are whole" in capsys.readouterr().out
    results = run / "shards/0002/e1/results.jsonl"
    results.write_bytes(results.read_bytes().replace(b"tasked", b"tusked", 1))
    assert cli.run(["status", str(run), "--verify"]) == 5
    assert str(results) in capsys.readouterr().err


def test_verify_does_not_call_whole_what_lacks_a_shard(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run / "shards" / "0001")
    assert cli.run(["status", str(run), "--verify"]) == 5
    assert "shard 0001 is missing" in capsys.readouterr().err
