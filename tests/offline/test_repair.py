"""A damaged run directory is refused, then rebuilt: no line that was written is lost, and nothing is paid twice."""

import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pipeline import RunOptions, RunSummary, run_job
from pipeline.cli import main as cli
from pipeline.errors import JournalError
from pipeline.journal.sql.admission import admit
from pipeline.journal.storage import connect, open_disk
from pipeline.models import State
from pipeline.offline.repair import repair
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from tests.support.fakes import assert_index_matches, assert_settled_once, item, states
from tests.support.jobs import ACCOUNT, FaultPlan, drawings, job, lines, vendor
from tests.support.lengths import only_short

ITEMS = 6


def run(path: Path, *overrides: str, **options: Any) -> RunSummary:
    return run_job(path, overrides=overrides, options=RunOptions(environment=ACCOUNT, **options))


class Damaged:
    """A run of six items: three tasks, one in doubt, one refused, one not started; its vendor is healthy again."""

    def __init__(self, folder: Path, server: SandboxServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = job(folder, url=server.url, pictures=ITEMS, api={"max_in_flight": 1})
        run(self.path, limit=5)
        self.home, self.run, self.server = folder, folder / "runs" / "job", server
        self.journal, self.results = self.run / "journal.sqlite", self.run / "results.jsonl"
        self._capsys = capsys
        self.before = states(self.run)
        self.lines = self.results.read_bytes().splitlines(keepends=True)

    def command(self, *arguments: str | Path) -> tuple[int, str, str]:
        code = cli.run([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        return code, out, err

    def repair(self) -> str:
        code, out, err = self.command("repair", self.run)
        assert (code, err) == (0, "")
        assert_index_matches(self.run)
        assert_settled_once(self.run)
        return out

    def executed(self) -> Counter[str]:
        return Counter(task.urls[0] for task in read_tasks(self.home / "vendor"))


@pytest.fixture
def damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Damaged]:
    plan = FaultPlan.scripted({"search": ["ok", "68300010"], "create": ["ok", "ok", "lost"]})
    with vendor(tmp_path, faults=plan) as server:
        yield Damaged(tmp_path, server, capsys)


def test_what_is_damaged_below_starts_like_this(damaged: Damaged) -> None:
    words = [state.word for state in damaged.before.values()]
    assert words == ["tasked", "failed", "tasked", "in_doubt", "tasked", "pending"]
    assert len(damaged.lines) == 3


def test_a_whole_run_is_left_as_it_is(damaged: Damaged) -> None:
    before = {path: path.read_bytes() for path in damaged.run.glob("*.jsonl")}
    assert "nothing to repair" in damaged.repair()
    assert not list(damaged.run.glob("*.damaged-*"))
    assert {path: path.read_bytes() for path in damaged.run.glob("*.jsonl")} == before


# --- results.jsonl with foreign bytes, the journal sound ---


def foreign(damaged: Damaged, how: str) -> None:
    one, two, three = damaged.lines
    damaged.results.write_bytes(
        {
            "a byte is another": one + two.replace(b"tasked", b"Tasked", 1) + three,
            "a line is torn": one + two[:200] + b"\n" + three,
            "a line is gone": one + three,
            "bytes between": one + b"\0" * 5000 + b"\n" + two + three,
            "a line by another hand": one + two.replace(b'"P0002"', b'"P0005"', 1) + two + three,
            "a line twice": one + two + two + three,
            "the end is gone": one + two + three[:-100],
            "an editor's line breaks": one.replace(b"\n", b"\r\n") + two + three,
        }[how]
    )


HOW = {
    "a byte is another": 2,
    "a line is torn": 2,
    "a line is gone": 2,
    "bytes between": 3,
    "a line by another hand": 3,
    "a line twice": 3,
    "the end is gone": 2,
    "an editor's line breaks": 2,
}


@pytest.mark.proofs
@pytest.mark.parametrize("how", HOW)
def test_foreign_bytes_are_found_by_verify_and_cut_out_by_repair(damaged: Damaged, how: str) -> None:
    foreign(damaged, how)
    bad = damaged.results.read_bytes()
    code, _, err = damaged.command("status", damaged.run, "--verify")
    assert (code, "pipeline repair" in err) == (5, True)
    said = damaged.repair()
    assert f"{HOW[how]} whole lines kept" in said or "all of them whole" in said
    kept = damaged.results.read_bytes().splitlines(keepends=True)
    assert kept == [line for line in damaged.lines if line in kept]
    assert len(kept) == HOW[how]
    if kept != bad.splitlines(keepends=True):
        assert (damaged.run / "results.jsonl.damaged-1").read_bytes() == bad
    assert damaged.command("status", damaged.run, "--verify")[0] == 0


@pytest.mark.parametrize("how", only_short(HOW, "a line is gone", "a line by another hand"))
def test_foreign_bytes_are_refused_by_a_run_that_names_repair_and_nothing_is_sent(damaged: Damaged, how: str) -> None:
    foreign(damaged, how)
    bad = damaged.results.read_bytes()
    before = damaged.server.stats.calls("search"), damaged.server.stats.calls("create")
    with pytest.raises(JournalError, match="pipeline repair"):
        run(damaged.path)
    assert (damaged.server.stats.calls("search"), damaged.server.stats.calls("create")) == before
    assert damaged.results.read_bytes() == bad


@pytest.mark.parametrize("how", only_short(HOW, "a byte is another", "a line twice"))
def test_after_a_repair_nothing_is_paid_twice_and_the_rest_is_worked_on(damaged: Damaged, how: str) -> None:
    foreign(damaged, how)
    damaged.repair()
    doubtful = {id_ for id_, state in states(damaged.run).items() if state is State.IN_DOUBT}
    assert len(doubtful) == 1 + 3 - HOW[how]
    summary = run(damaged.path)
    assert summary.items["all"] == ITEMS
    assert states(damaged.run)["P0005"] is State.TASKED
    assert max(damaged.executed().values()) == 1
    assert_index_matches(damaged.run)


def test_a_damaged_line_is_in_doubt_with_the_task_that_the_journal_knows(damaged: Damaged) -> None:
    foreign(damaged, "a line is torn")
    task = lines_of(damaged)[1]["task"]["task_id"]
    damaged.repair()
    [record] = [one for one in lines(damaged.run / "open.jsonl") if one["item"] == "P0002"]
    assert task in record["error"]["message"]
    assert damaged.command("resolve", damaged.run, "--created", "P0002", task)[0] == 0
    settled = lines(damaged.results)[-1]
    assert (settled["item"], settled["task"]["task_id"], settled["hits_lost"]) == ("P0002", task, True)


def lines_of(damaged: Damaged) -> list[dict[str, Any]]:
    import json

    return [json.loads(line) for line in damaged.lines]


@pytest.mark.proofs
def test_a_search_without_a_task_whose_line_is_damaged_is_searched_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No create was ever sent for it, so nothing can be in doubt."""
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=3, task={"enabled": False})
        run(path)
        results = tmp_path / "runs/job/results.jsonl"
        one, two, three = results.read_bytes().splitlines(keepends=True)
        results.write_bytes(one + two[:100] + b"\n" + three)
        assert cli.run(["repair", str(tmp_path / "runs/job")]) == 0
        summary = run(path)
    capsys.readouterr()
    assert (summary.exit_code, summary.calls_this_run["search"]) == (0, 1)


# --- the journal itself ---


def smash(path: Path, *, seed: int = 0, pages: int = 3) -> None:
    """Overwrite whole pages with noise."""
    noise = random.Random(seed)
    data = bytearray(path.read_bytes())
    for _ in range(pages):
        page = noise.randrange(1, len(data) // 4096)
        data[page * 4096 : (page + 1) * 4096] = noise.randbytes(4096)
    path.write_bytes(data)


def lose_journal(damaged: Damaged, how: str) -> None:
    if how == "gone":
        damaged.journal.unlink()
    elif how == "empty":
        damaged.journal.write_bytes(b"")
    elif how == "another file":
        damaged.journal.write_bytes(b"this is no database\n" * 1000)
    else:
        damaged.journal.write_bytes(damaged.journal.read_bytes()[:8192])


@pytest.mark.parametrize("how", only_short(["gone", "empty", "another file", "cut short"], "gone", "cut short"))
def test_without_its_journal_no_run_starts_and_no_line_is_cut(damaged: Damaged, how: str) -> None:
    """A fresh journal would know no line, and cut them all off as left over by a dead run."""
    lose_journal(damaged, how)
    with pytest.raises(JournalError, match="pipeline repair"):
        run(damaged.path)
    assert damaged.results.read_bytes() == b"".join(damaged.lines)


@pytest.mark.proofs
@pytest.mark.parametrize("how", ["gone", "empty", "another file", "cut short"])
def test_from_the_lines_alone_every_other_item_is_in_doubt_and_never_waits(damaged: Damaged, how: str) -> None:
    lose_journal(damaged, how)
    said = damaged.repair()
    assert "3 settled" in said
    assert "every item without a line is in doubt" in said
    assert damaged.results.read_bytes() == b"".join(damaged.lines)
    summary = run(damaged.path)
    assert summary.calls_this_run == {"upload": 0, "search": 0, "create": 0}
    assert (summary.items["tasked"], summary.items["in_doubt"]) == (3, 3)
    assert damaged.command("resolve", damaged.run, "--all", "not-created")[0] == 0
    assert run(damaged.path).items["tasked"] == ITEMS
    assert_index_matches(damaged.run)


@pytest.mark.proofs
def test_items_that_are_listed_after_the_next_whole_reading_are_new(damaged: Damaged) -> None:
    damaged.journal.unlink()
    damaged.repair()
    run(damaged.path)
    path = job(damaged.home, url=damaged.server.url, pictures=ITEMS + 1)
    summary = run(path)
    assert states(damaged.run)["P0006"] is State.TASKED
    assert summary.calls_this_run["create"] == 1


@pytest.mark.proofs
@pytest.mark.parametrize("seed", only_short(range(12), 0, 1))
def test_a_journal_with_smashed_pages_is_refused_or_repaired_and_nothing_is_paid_twice(
    damaged: Damaged, seed: int
) -> None:
    connection = connect(damaged.journal)
    connection.execute("UPDATE meta SET value = '0' WHERE key = 'clean'")  # as a kill leaves it
    connection.close()
    smash(damaged.journal, seed=seed)
    with pytest.raises(JournalError, match="pipeline repair"):
        run(damaged.path)
    assert damaged.results.read_bytes() == b"".join(damaged.lines)
    damaged.repair()
    assert damaged.results.read_bytes() == b"".join(damaged.lines)
    assert set(states(damaged.run).values()) <= {State.TASKED, State.IN_DOUBT}
    summary = run(damaged.path)
    assert summary.items["all"] == ITEMS
    assert summary.calls_this_run == {"upload": 0, "search": 0, "create": 0}
    assert (damaged.run / "journal.sqlite.damaged-1").is_file()


def test_after_an_unclean_end_the_journal_is_checked_before_anything_is_sent(damaged: Damaged) -> None:
    def clean() -> str:
        connection = connect(damaged.journal)
        value = connection.execute("SELECT value FROM meta WHERE key = 'clean'").fetchone()[0]
        connection.close()
        return str(value)

    assert clean() == "1"
    disk = open_disk(damaged.run, now=0.0)
    assert clean() == "0"
    disk.close(clean=False)
    assert clean() == "0"


@pytest.mark.proofs
@pytest.mark.parametrize("clean", [True, False])
def test_damage_that_no_start_would_touch_is_found_after_an_unclean_end(tmp_path: Path, *, clean: bool) -> None:
    """A page in the middle of a table: only the whole check sees it, and it is made when the last run died."""
    disk = open_disk(tmp_path, now=0.0)
    admit(disk.db, [item(n) for n in range(1000)], generation=1, accept_changes=False)
    disk.close(clean=clean)
    data = bytearray((tmp_path / "journal.sqlite").read_bytes())
    page = data.index(b"images[500]") // 4096  # the origin stands in the table alone, in no index
    data[page * 4096 : (page + 1) * 4096] = b"\xff" * 4096
    (tmp_path / "journal.sqlite").write_bytes(data)
    if clean:
        open_disk(tmp_path, now=0.0).close()
    else:
        with pytest.raises(JournalError, match="pipeline repair"):
            open_disk(tmp_path, now=0.0)


@pytest.mark.proofs
def test_budgets_still_count_what_was_spent(damaged: Damaged) -> None:
    damaged.journal.unlink()
    damaged.repair()
    summary = run(damaged.path, "api.budget.create_calls=3")
    assert summary.calls["create"].sent == 3
    damaged.command("resolve", damaged.run, "--all", "not-created")
    assert run(damaged.path, "api.budget.create_calls=3").exit_code == 4


@pytest.mark.proofs
def test_policy_retry_creates_nothing_after_a_damaged_journal(damaged: Damaged) -> None:
    """Nobody knows any more how many duplicates were made already, so a person decides."""
    smash(damaged.journal, pages=2)
    damaged.repair()
    known = [id_ for id_, state in states(damaged.run).items() if state is State.IN_DOUBT]
    summary = run(damaged.path, f"api.on_in_doubt={{retry: 1, max_duplicates: {len(known)}}}")
    assert summary.calls_this_run["create"] == 0


@pytest.mark.proofs
def test_items_with_one_picture_stay_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = drawings(1)[0]
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=[url, url])
        run(path)
        (tmp_path / "runs/job/journal.sqlite").unlink()
        assert cli.run(["repair", str(tmp_path / "runs/job")]) == 0
        summary = run(job(tmp_path, url=server.url, pictures=[url, url, url]))
    capsys.readouterr()
    assert summary.calls_this_run == {"upload": 0, "search": 0, "create": 0}
    assert states(tmp_path / "runs/job") == dict.fromkeys(("P0000", "P0001", "P0002"), State.TASKED)


# --- the repair itself ---


@pytest.mark.proofs
def test_a_repair_that_dies_at_any_step_is_taken_up_again_and_no_run_starts_meanwhile(
    damaged: Damaged, tmp_path: Path
) -> None:
    """Every rename, removal and sync of a repair is a death; a sound journal is still believed afterwards."""
    foreign(damaged, "a line is torn")
    died = 0
    for step in range(1, 60):
        copy = tmp_path / f"copy-{step}"
        shutil.copytree(damaged.run, copy)
        if not _dies_at(copy, step):
            break
        died += 1
        if (copy / ".repairing").exists():
            with pytest.raises(JournalError, match="pipeline repair"):
                open_disk(copy, now=0.0)
        repair(copy, job="job")
        assert [id_ for id_, state in states(copy).items() if state is State.IN_DOUBT] == ["P0002", "P0003"]
        assert states(copy)["P0005"] is State.PENDING
        assert_index_matches(copy)
        assert_settled_once(copy)
        assert (copy / "results.jsonl").read_bytes() == damaged.lines[0] + damaged.lines[2]
    assert died > 8


class _Died(BaseException):
    pass


def _dies_at(folder: Path, step: int) -> bool:
    """Run a repair until its so-many-th change of a name; return True if it got that far."""
    left = step
    real = {name: getattr(os, name) for name in ("fsync", "rename", "replace", "unlink", "link")}

    def counted(name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise _Died
            return real[name](*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in real:
            patch.setattr(os, name, counted(name))
        try:
            repair(folder, job="job")
        except _Died:
            return True
    return False


@pytest.mark.proofs
def test_two_repairs_keep_both_old_files(damaged: Damaged) -> None:
    foreign(damaged, "bytes between")
    damaged.repair()
    damaged.results.write_bytes(b"x\n" + damaged.results.read_bytes())
    damaged.repair()
    kept = {path.name for path in damaged.run.glob("*.damaged-*")}
    assert {f"{name}.damaged-{n}" for name in ("journal.sqlite", "results.jsonl") for n in (1, 2)} <= kept


@pytest.mark.proofs
def test_a_journal_set_aside_by_an_earlier_repair_is_not_believed_later(damaged: Damaged) -> None:
    """It was sound, but the run went on without it: items that waited then may be created by now."""
    foreign(damaged, "bytes between")
    damaged.repair()
    run(damaged.path)
    damaged.journal.unlink()
    damaged.results.write_bytes(b"".join(damaged.results.read_bytes().splitlines(keepends=True)[:3]))
    damaged.repair()
    assert states(damaged.run)["P0005"] is State.IN_DOUBT
    run(damaged.path)
    assert max(damaged.executed().values()) == 1


@pytest.mark.proofs
def test_files_of_a_repair_are_for_their_owner_alone(damaged: Damaged) -> None:
    foreign(damaged, "a line is torn")
    damaged.repair()
    assert [path.name for path in damaged.run.iterdir() if path.stat().st_mode & 0o077] == []


@pytest.mark.proofs
def test_open_items_and_the_summary_are_written_anew(damaged: Damaged) -> None:
    import json

    damaged.journal.unlink()
    damaged.repair()
    summary = json.loads((damaged.run / "summary.json").read_text())
    assert (summary["items"]["tasked"], summary["items"]["all"]) == (3, 3)
    assert lines(damaged.run / "open.jsonl") == []


@pytest.mark.proofs
def test_a_run_under_way_is_not_repaired(damaged: Damaged) -> None:
    with FileLock(damaged.run / "lock"):
        assert damaged.command("repair", damaged.run)[0] == 6


@pytest.mark.proofs
def test_verify_says_how_many_lines_are_whole(damaged: Damaged) -> None:
    code, out, _ = damaged.command("status", damaged.run, "--verify")
    assert code == 0
    assert "all 3 lines of results.jsonl" in out
