"""Old runs of many machines: shown before they go, never one with something open or a worker, and then all of them."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.cluster.claims import Claims, GivenBack, Standing
from pipeline.cluster.owning import owning
from pipeline.cluster.split import read_split
from pipeline.cluster.takeover import take_over
from pipeline.cluster.whole_run import WholeRun
from pipeline.errors import PipelineError
from pipeline.journal.kept_files import digest_of
from pipeline.journal.places import JOURNAL, SPLIT
from pipeline.leases.lease import Lease
from pipeline.leases.opening import open_store
from pipeline.leases.store import Store, StoreUnknown
from pipeline.models import State
from pipeline.offline import clean
from pipeline.offline.clean import DAY_S, Wanted, find, remove
from pipeline.offline.shards import removal
from pipeline.run.directory import lock
from tests.support.jobs import vendor
from tests.support.journal_rows import state_of_an_item
from tests.support.lengths import only_short
from tests.support.sharded import Sharded, leased, sharded

OLD = Wanted(180 * DAY_S)
LATER_S = 200 * DAY_S


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Sharded:
    """Two shards of two items, all with tasks, the second of which was taken over once; items of client A."""
    folder = tmp_path_factory.mktemp("ran")
    with vendor(folder) as server:
        made = sharded(folder, server.url, shards=2, each=2, single=False, clients=("A",))
    leased(made, counts=[2, 2])
    with owning(made.folder, None, say=lambda _: None) as owner, owner.owned(1):
        pass
    return made


@pytest.fixture
def run(ran: Sharded, tmp_path: Path) -> Path:
    return ran.copied(tmp_path)


@pytest.fixture
def now(run: Path) -> float:
    """A time long after that run."""
    return clean._used_at(run) + LATER_S


def store_of(run: Path) -> Store:
    return open_store(str(run.parent / ".leases"))


def standings(run: Path) -> list[Standing]:
    return Claims(store_of(run), read_split(run)).look()


def names_in(run: Path) -> set[str]:
    paths = (str(path.relative_to(run)) for path in run.rglob("*"))
    return {path for path in paths if not path.endswith(("-shm", "-wal", "lock"))}


def why_it_stays(run: Path, now: float) -> str:
    """Return why `clean` keeps the run; so does a removal whose look at it is an old one, and it changes nothing."""
    before = names_in(run)
    [found] = find(run.parent, OLD, now=now)
    assert found.folder == run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(removal, "kept", lambda *_, **__: "")
        assert remove(found._replace(kept=""), OLD, now=now), "what is shown is the only guard"
    assert names_in(run) == before
    return found.kept


def test_a_finished_run_goes_with_all_of_its_shards_and_what_the_leases_have_of_it(run: Path, now: float) -> None:
    store, split = store_of(run), read_split(run)
    store.put_new(f"b/acme/{split.id}/create", 1, b"{}")
    store.put_new("b/acme/another/create", 1, b"{}")
    assert find(run.parent, OLD, now=now - 21 * DAY_S) == []
    [found] = find(run.parent, OLD, now=now)
    assert (found.kept, found.size > 10_000) == ("", True)
    assert remove(found, OLD, now=now) == ""
    assert [path.name for path in run.parent.iterdir()] == [".leases"]
    left = [path.relative_to(run.parent) for path in (run.parent / ".leases").rglob("*") if path.is_file()]
    assert not [path for path in left if split.id in path.parts]
    assert store.newest("b").keys() == {"b/acme/another/create"}


def test_finding_changes_nothing_and_claims_nothing(run: Path, now: float) -> None:
    def all_files() -> dict[Path, bytes]:
        files = (path for path in run.parent.rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in files if "sqlite-" not in path.name and path.name != "lock"}

    before = all_files()
    find(run.parent, OLD, now=now)
    assert all_files() == before


def newest(run: Path, number: int) -> Path:
    return run / f"shards/{number:04}" / ("e1" if number == 0 else "e3")


@pytest.mark.parametrize("state", only_short([State.IN_DOUBT, State.SEARCHED, State.REPORT_LOST], State.IN_DOUBT))
def test_a_run_stays_while_a_shard_has_something_open(run: Path, now: float, state: State) -> None:
    state_of_an_item(newest(run, 1), state)
    assert why_it_stays(run, now).startswith("shard 0001: 1 item ")


def test_a_run_stays_while_tasks_of_a_shard_can_still_be_read(run: Path, now: float) -> None:
    state_of_an_item(newest(run, 1), State.TASKED, at=now - 3600)
    assert why_it_stays(run, now) == "shard 0001: its tasks can still be read at the vendor"


def give_back(run: Path, state: GivenBack) -> None:
    claims = Claims(store_of(run), read_split(run))
    claim = claims.claim(claims.look()[0], "w1")
    assert claim is not None
    claims.put_back(claim, claims.look()[0]._replace(state=state))


def opened_again(run: Path) -> None:
    give_back(run, GivenBack.OPEN)


def set_aside(run: Path) -> None:
    give_back(run, GivenBack.ASIDE)


def no_leases(run: Path) -> None:
    shutil.rmtree(run.parent / ".leases")


def damaged_journal(run: Path) -> None:
    (newest(run, 0) / JOURNAL).write_bytes(b"no database" * 1000)


def lost_shard(run: Path) -> None:
    shutil.rmtree(run / "shards/0001")


def damaged_split(run: Path) -> None:
    (run / SPLIT).write_bytes(b"{")


def kept_elsewhere(run: Path) -> None:
    (newest(run, 0) / "emergency-1.jsonl").write_text("")


def kept_by_an_owner_before(run: Path) -> None:
    (run / "shards/0001/e1/emergency-1.jsonl").write_text("")


def kept_on_this_machine(run: Path) -> None:
    place = Path(os.environ["XDG_STATE_HOME"]) / "infringement-pipeline" / "emergency"
    place.mkdir(parents=True)
    (place / f"e1.emergency-x-1-{digest_of(run / 'shards/0001/e1')}.jsonl").write_text("")


def late_task(run: Path) -> None:
    lines = run / "shards/0001/e1/results.jsonl"
    whole = json.loads(lines.read_text().splitlines()[0])
    whole["task"]["task_id"] = "00000000-0000-0000-0000-00000000feed"
    with lines.open("a") as late:
        late.write(json.dumps(whole) + "\n")


def a_worker_that_tells(run: Path) -> None:
    folder = run / "workers" / "w7"
    folder.mkdir(parents=True)
    (folder / "progress.json").write_text(json.dumps({"host": "vm", "at": clean._used_at(run) + LATER_S - 5}))


WHY: dict[Callable[[Path], None], str] = {
    opened_again: "1 shard is not finished: 0000",
    set_aside: "1 shard is set aside: 0000",
    no_leases: "it cannot be read (",
    damaged_split: "it cannot be read (",
    damaged_journal: "shard 0000: it cannot be read (",
    lost_shard: "shard 0001: its run directory is missing",
    kept_elsewhere: "shard 0000: what was paid when a disk failed is not taken in yet",
    kept_by_an_owner_before: "shard 0001: what was paid when a disk failed is not taken in yet",
    kept_on_this_machine: "shard 0001: what was paid when a disk failed is not taken in yet",
    late_task: "shard 0001: tasks that were paid came late, and are not taken in",
    a_worker_that_tells: "a worker is there (w7)",
}


@pytest.mark.parametrize(
    "happened", only_short(WHY, opened_again, no_leases, kept_by_an_owner_before, late_task, a_worker_that_tells)
)
def test_a_run_stays_and_says_why(run: Path, now: float, happened: Callable[[Path], None]) -> None:
    happened(run)
    assert why_it_stays(run, now).startswith(WHY[happened])


def test_a_late_line_of_what_is_known_keeps_nothing(run: Path, now: float) -> None:
    lines = run / "shards/0001/e1/results.jsonl"
    with lines.open("ab") as late:
        late.write(lines.read_bytes().splitlines(keepends=True)[0])
    assert find(run.parent, OLD, now=now)[0].kept == ""


def test_a_run_that_a_worker_of_this_machine_has_open_stays(run: Path, now: float) -> None:
    with lock(run / "shards/0001/e1"):
        assert why_it_stays(run, now) == "a run goes on in it"


@pytest.mark.parametrize("died", [False, True], ids=["living", "dead"])
def test_a_shard_that_a_worker_has_keeps_the_run_and_is_left_to_it(run: Path, now: float, died: bool) -> None:
    """One who died, too: what it had under way is in doubt, and known to whoever goes on with it."""
    [found] = find(run.parent, OLD, now=now)
    with Lease(store_of(run), "acme") as worker:
        claims = Claims(store_of(run), read_split(run))
        assert claims.claim(claims.look()[1], "0" if died else worker.incarnation)
        before = claims.look()
        assert find(run.parent, OLD, now=now)[0].kept == "1 shard was not given back by a worker: 0001"
        assert "1 shard was not given back by a worker: 0001" in remove(found, OLD, now=now)
        assert claims.look() == before
    assert (run / SPLIT).is_file()


def test_a_worker_that_is_quicker_keeps_the_run(run: Path, now: float, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = WholeRun.claim

    def second(whole: WholeRun, shard: Standing) -> bool:
        if shard.shard == 1:
            claims = Claims(store_of(run), read_split(run))
            assert claims.claim(shard, "w1")
        return claim(whole, shard)

    monkeypatch.setattr(WholeRun, "claim", second)
    [found] = find(run.parent, OLD, now=now)
    assert "a worker began to work on shard 0001 meanwhile" in remove(found, OLD, now=now)
    assert [(one.worker, one.state) for one in standings(run)] == [("", GivenBack.DONE), ("w1", GivenBack.OPEN)]


@pytest.mark.parametrize("silent", [False, True], ids=["taken for dead", "the store is silent"])
def test_a_run_comes_back_whole_where_it_may_be_anothers_by_now(
    run: Path, now: float, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    files = names_in(run)

    def is_ours(whole: WholeRun) -> bool:
        assert not run.exists(), "it is asked once nobody finds the run any more"
        if silent:
            raise StoreUnknown("timed out")
        claims = Claims(store_of(run), split)
        assert claims.claim(claims.look()[1], "w1")
        return ours(whole)

    ours, split = WholeRun.is_ours, read_split(run)
    monkeypatch.setattr(WholeRun, "is_ours", is_ours)
    [found] = find(run.parent, OLD, now=now)
    assert ("do not answer" if silent else "silent for too long") in remove(found, OLD, now=now)
    assert names_in(run) == files
    assert standings(run)[1].worker == ("" if silent else "w1")


def test_while_a_run_goes_nobody_can_claim_a_shard_of_it(
    run: Path, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def is_ours(whole: WholeRun) -> bool:
        seen.extend(bool(one.worker) for one in Claims(store_of(run), split).look())
        return ours(whole)

    ours, split = WholeRun.is_ours, read_split(run)
    monkeypatch.setattr(WholeRun, "is_ours", is_ours)
    remove(find(run.parent, OLD, now=now)[0], OLD, now=now)
    assert seen == [True, True]


def test_a_worker_that_wakes_up_afterwards_makes_nothing(run: Path, now: float) -> None:
    claims = Claims(store_of(run), read_split(run))
    assert remove(find(run.parent, OLD, now=now)[0], OLD, now=now) == ""
    claim = claims.claim(claims.look()[0], "woken")
    assert claim is not None
    with pytest.raises((PipelineError, OSError)):
        take_over(run / "shards/0000", claim, worker="woken")
    assert not run.exists()


def test_pictures_alone_go_from_every_epoch_and_the_shards_stay_as_they_were(run: Path, now: float) -> None:
    wanted = OLD._replace(pictures=True)
    for folder in (run, run / "shards/0001/e1", run / "shards/0001/e3"):
        (folder / "report.html").write_text("page")
        (folder / "pictures").mkdir(exist_ok=True)
        (folder / "pictures" / "0.webp").write_bytes(b"picture")
    before = [one._replace(number=0) for one in standings(run)]
    [found] = find(run.parent, wanted, now=now)
    assert (found.kept, found.size > 0) == ("", True)
    assert remove(found, wanted, now=now) == ""
    names = {path.name for path in run.rglob("*")}
    assert not names & {"pictures", "report.html"}
    assert {"results.jsonl", JOURNAL, SPLIT, "items.jsonl"} <= names
    assert [one._replace(number=0) for one in standings(run)] == before
    assert find(run.parent, wanted, now=now) == []


def test_a_run_of_one_client_goes_for_it_alone(run: Path, now: float) -> None:
    assert [one.kept for one in find(run.parent, OLD._replace(client="A"), now=now)] == [""]
    [found] = find(run.parent, OLD._replace(client="B"), now=now)
    assert found.kept == "no item has the label client: B"
    assert remove(found._replace(kept=""), OLD._replace(client="B"), now=now) == found.kept


def test_a_run_that_was_used_since_stays(run: Path, now: float) -> None:
    [found] = find(run.parent, OLD, now=now)
    os.utime(newest(run, 1) / JOURNAL, (now, now))
    assert remove(found, OLD, now=now) == "it was used a moment ago"


def test_the_command_shows_a_line_first_and_removes_only_with_yes(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = ["clean", str(run.parent), "--older", "1h"]
    later = time.time() + DAY_S
    monkeypatch.setattr("pipeline.cli.commands.clean.time.time", lambda: later)
    assert cli.run(shown) == 0
    out = capsys.readouterr().out.splitlines()
    assert (len(out), out[0].split()[0], "would be removed; nothing was" in out[1]) == (2, "job", True)
    assert run.is_dir()
    assert cli.run([*shown, "--yes"]) == 0
    assert "removed: " in capsys.readouterr().out
    assert not run.exists()
