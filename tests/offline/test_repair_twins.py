"""Repairs of runs whose items share a picture: its task settles what is in doubt, and nothing is paid again."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import RunOptions, RunSummary, run_job
from pipeline.cli import main as cli
from pipeline.journal.storage import connect
from pipeline.models import State
from pipeline.sandbox.resources import resource
from pipeline.sandbox.server import SandboxServer
from tests.support.fakes import assert_index_matches, assert_settled_once, states
from tests.support.jobs import ACCOUNT, drawings, job, lines, vendor
from tests.support.lengths import only_short

SAME, OTHER = "P0000", "P0002"  # P0000, P0001 and P0003 show one picture


class Shared:
    """An ended run of four items, three of which show one picture."""

    def __init__(self, path: Path, server: SandboxServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self.run, self.server = path, path.parent / "runs" / "job", server
        self._capsys = capsys
        run_job(path, options=RunOptions(environment=ACCOUNT))
        self.paid = self.calls()
        assert self.paid == (2, 2)
        self.task = next(line["task"]["task_id"] for line in self.lines() if line["item"] == SAME)

    def lines(self) -> list[dict[str, object]]:
        return lines(self.run / "results.jsonl")

    def calls(self) -> tuple[int, int]:
        return self.server.stats.calls("search"), self.server.stats.calls("create")

    def command(self, *arguments: str | Path) -> tuple[int, str, str]:
        code = cli.run([str(argument) for argument in arguments])
        return code, *self._capsys.readouterr()

    def damage(self, item: str = SAME) -> None:
        """Take the line of an item away."""
        kept = [
            line
            for line in (self.run / "results.jsonl").read_bytes().splitlines(keepends=True)
            if f'"item":"{item}"'.encode() not in line
        ]
        assert len(kept) == 3
        (self.run / "results.jsonl").write_bytes(b"".join(kept))

    def alter(self, sql: str, *values: object) -> None:
        journal = connect(self.run / "journal.sqlite")
        journal.execute(sql, values)
        journal.close()

    def assert_whole(self) -> None:
        """Everything is settled with one task a picture, and the next run pays for nothing."""
        summary = self.go_on()
        assert (summary.exit_code, summary.items["settled"], self.calls()) == (0, 4, self.paid)
        tasks = {str(line["item"]): line["task"]["task_id"] for line in self.lines()}  # type: ignore[index]
        assert len(tasks) == 4
        assert {tasks[item] for item in (SAME, "P0001", "P0003")} == {self.task} != {tasks[OTHER]}
        assert_index_matches(self.run)
        assert_settled_once(self.run)

    def go_on(self) -> RunSummary:
        return run_job(self.path, options=RunOptions(environment=ACCOUNT))


@pytest.fixture(params=only_short(["one URL", "files with one content"], "one URL"))
def shared(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Shared]:
    one, other = drawings(2)
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=[one, one, other, one], api={"max_in_flight": 1})
        if request.param != "one URL":
            pictures = sorted(resource("products").iterdir())
            for number, of in enumerate((0, 0, 1, 0)):
                shutil.copy(pictures[of], tmp_path / f"p{number}.jpg")
            rows = "".join(f"P000{number},p{number}.jpg\n" for number in range(4))
            (tmp_path / "list.csv").write_text(f"id,path\n{rows}")
        yield Shared(path, server, capsys)


@pytest.mark.proofs
def test_repair_settles_an_item_by_the_task_in_the_line_of_its_twin(shared: Shared) -> None:
    shared.damage()
    code, out, _ = shared.command("repair", shared.run)
    assert code == 0
    assert f"{SAME}: settled as tasked, task {shared.task}" in out
    assert "in doubt: ask the vendor" not in out
    assert set(states(shared.run).values()) == {State.TASKED}
    line = shared.lines()[-1]
    assert (line["item"], line.get("same_as"), len(line["hits"])) == (SAME, None, 3)  # type: ignore[arg-type]
    shared.assert_whole()


@pytest.mark.proofs
def test_a_twin_whose_line_is_lost_gets_it_again_without_a_call(shared: Shared) -> None:
    shared.damage("P0001")
    assert shared.command("repair", shared.run)[0] == 0
    shared.assert_whole()


@pytest.mark.parametrize("lost", [SAME, "P0001"])
def test_without_a_journal_the_next_run_knows_the_picture_by_its_twins_line(shared: Shared, lost: str) -> None:
    shared.damage(lost)
    (shared.run / "journal.sqlite").unlink()
    assert shared.command("repair", shared.run)[0] == 0
    shared.assert_whole()


@pytest.mark.proofs
def test_a_row_that_is_lost_beside_its_line_leaves_its_twins_linked(shared: Shared) -> None:
    shared.damage()
    shared.alter("DELETE FROM items WHERE id = ?", SAME)
    shared.alter("UPDATE meta SET value = '' WHERE key IN ('admitted', 'admitting')")
    assert shared.command("repair", shared.run)[0] == 0
    shared.assert_whole()


def put_in_doubt(shared: Shared, item: str, *, intent: str | None = None) -> None:
    """Take the last line away, which is this item's, and put the item in doubt."""
    *whole, last = (shared.run / "results.jsonl").read_bytes().splitlines(keepends=True)
    assert f'"item":"{item}"'.encode() in last
    (shared.run / "results.jsonl").write_bytes(b"".join(whole))
    problem = '{"stage":"create","code":"repaired","message":"","consequence":"in_doubt","retryable":false}'
    shared.alter("DROP TRIGGER legal_changes")
    shared.alter(
        "UPDATE items SET state = 21, problem = ?, task_id = NULL, seq = NULL, offset = NULL, length = NULL, "
        "crc = NULL, intent = coalesce(?, intent) WHERE id = ?",
        *(problem, intent, item),
    )


def left_by_an_earlier_version(shared: Shared) -> None:
    """Leave the first item in doubt and its task with a twin, as repairs did that knew no more than the lines."""
    shared.damage()
    shared.command("repair", shared.run)
    put_in_doubt(shared, SAME)
    shared.alter("UPDATE items SET task_id = ? WHERE id = 'P0001'", shared.task)


@pytest.mark.proofs
def test_a_repair_of_a_whole_directory_settles_what_an_earlier_one_left_in_doubt(shared: Shared) -> None:
    left_by_an_earlier_version(shared)
    code, out, _ = shared.command("repair", shared.run)
    assert (code, f"{SAME}: settled as tasked, task {shared.task}" in out) == (0, True)
    shared.assert_whole()


@pytest.mark.proofs
def test_resolve_takes_the_task_of_the_items_own_picture_and_no_other(shared: Shared) -> None:
    left_by_an_earlier_version(shared)
    assert shared.go_on().exit_code == 1  # the doubt is shown, and nothing is sent
    of_other = next(line["task"]["task_id"] for line in shared.lines() if line["item"] == OTHER)  # type: ignore[index]
    code, _, err = shared.command("resolve", shared.run, "--created", SAME, str(of_other))
    assert (code, f"task {of_other} is the one of '{OTHER}'" in err) == (2, True)
    code, out, _ = shared.command("resolve", shared.run, "--created", SAME, shared.task)
    assert (code, f"{SAME}: settled as tasked, task {shared.task}" in out) == (0, True)
    assert "hits are lost" not in out
    shared.assert_whole()


@pytest.mark.proofs
def test_a_twin_in_doubt_is_settled_by_the_task_of_its_first_item(shared: Shared) -> None:
    put_in_doubt(shared, "P0003")
    code, out, _ = shared.command("repair", shared.run)
    assert (code, f"it shares the picture and the task of {SAME}" in out) == (0, True)
    assert shared.lines()[-1]["same_as"] == SAME
    shared.assert_whole()


@pytest.mark.proofs
def test_a_twin_that_may_have_a_task_of_its_own_is_left_to_a_person(shared: Shared) -> None:
    put_in_doubt(shared, "P0003", intent="r-1")
    assert "1 item is in doubt" in shared.command("repair", shared.run)[1]
    code, out, _ = shared.command("resolve", shared.run, "--created", "P0003", shared.task)
    assert (code, "it shares the picture and the task of" in out) == (0, True)
    shared.assert_whole()


@pytest.mark.proofs
def test_nothing_found_is_not_searched_again_when_a_twins_line_says_so(tmp_path: Path) -> None:
    [one] = drawings(1)
    with vendor(tmp_path) as server:
        path = job(
            tmp_path, url=server.url, pictures=[one, one], search={"limit": 3, "min_score": 1}, task={"enabled": False}
        )
        run_job(path, options=RunOptions(environment=ACCOUNT))
        folder = tmp_path / "runs" / "job"
        before = lines(folder / "results.jsonl")
        (folder / "results.jsonl").write_bytes((folder / "results.jsonl").read_bytes().splitlines(keepends=True)[1])
        assert cli.run(["repair", str(folder)]) == 0
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
        assert (summary.exit_code, summary.calls_this_run["search"]) == (0, 0)
        assert {line["status"] for line in lines(folder / "results.jsonl")} == {before[0]["status"]}
        assert server.stats.calls("search") == 1
