"""Run directories that earlier versions left, as `tests/cli/recorded` keeps them: each opens, and each goes on."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.journal.identity import NOTE
from pipeline.models import State
from pipeline.sandbox.resources import resource
from tests.support.fakes import assert_index_matches, states
from tests.support.jobs import lines
from tests.support.lengths import only_short
from tests.support.told import faults_in

RECORDED = Path(__file__).parent / "recorded"
# Of ten items each, three of which have a line: those that the journal knows as settled, and as under way.
EARLIER = {
    "without-decisions": (3, 2),
    "without-the-identity-of-pictures": (2, 2),
    "without-an-identity": (2, 3),
}
LINES = 3
SETTLED = {State.TASKED, State.NO_HITS}


class Left:
    """A run directory as an earlier version left it, beside its job."""

    def __init__(self, folder: Path, version: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.job, self.run, self._capsys = folder / "job.yaml", folder / "runs/recorded", capsys
        for name in ("job.yaml", "list.csv"):
            shutil.copy(RECORDED / name, folder)
        (folder / "photos").mkdir()
        for name in ("bag-0.jpg", "bag-1.jpg", "bottle-0.jpg"):
            (folder / "photos" / name).write_bytes(resource("products").joinpath(name).read_bytes())
        shutil.copytree(RECORDED / version, self.run)
        with closing(sqlite3.connect(self.run / "journal.sqlite")) as journal:
            journal.execute("PRAGMA journal_mode=WAL")
            journal.executescript(
                (self.run / "journal.sql").read_text(encoding="utf-8").replace("@FOLDER@", str(folder))
            )
        (self.run / "journal.sql").unlink()
        self.lines = (self.run / "results.jsonl").read_bytes()

    def command(self, *words: str | Path) -> tuple[int, str]:
        code = cli.run([str(word) for word in words])
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err
        return code, out + err


@pytest.fixture(params=EARLIER)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def left(version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Left:
    return Left(tmp_path, version, capsys)


def test_status_and_plan_read_it_and_change_nothing(left: Left, version: str) -> None:
    settled, under_way = EARLIER[version]
    code, said = left.command("status", left.run, "--verify", "--json")
    assert code == 0, said
    items = json.loads(said)["items"]
    assert (items["settled"], items["in_doubt"], items["failed"]) == (settled, under_way, 1)
    code, said = left.command("plan", left.job, "--json")
    assert code == 0, said
    assert json.loads(said)["refused"] == []
    assert json.loads(said)["calls"]["create"] == 10 - settled - under_way - 1, said
    assert (left.run / "results.jsonl").read_bytes() == left.lines
    assert not (left.run / NOTE).exists()


@pytest.mark.proofs
def test_a_page_is_made_of_it(left: Left, version: str) -> None:
    code, said = left.command("report", left.run)
    assert code == 0, said
    assert "3 of 10 settled" in said
    doubts = [line for line in lines(left.run / "open.jsonl") if line["status"] == "in_doubt"]
    assert len(doubts) == sum(EARLIER[version]) - LINES


@pytest.mark.proofs
@pytest.mark.parametrize("how", ["retry", "resolve"])
def test_a_run_goes_on_with_it_and_what_is_in_doubt_is_decided(left: Left, version: str, how: str) -> None:
    """Its lines stay byte by byte, nothing that is settled is paid again, and it has an identity from then on."""
    in_doubt = sum(EARLIER[version]) - LINES
    code, said = left.command("run", left.job)
    assert code == 1, said
    assert (left.run / "results.jsonl").read_bytes().startswith(left.lines)
    assert sorted(states(left.run).values()).count(State.IN_DOUBT) == in_doubt
    assert len(lines(left.run / "results.jsonl")) == 10 - in_doubt - 1
    assert (left.run / NOTE).exists()
    if how == "retry":
        code, said = left.command("retry", left.run, "--only", "in-doubt", "--yes")
    else:
        assert left.command("resolve", left.run, "--all", "not-created")[0] == 0
        code, said = left.command("run", left.job)
    assert code == 1, said  # the row that names no picture stays open
    assert sorted(states(left.run).values()).count(State.FAILED) == 1
    assert sum(state in SETTLED for state in states(left.run).values()) == 9
    assert_index_matches(left.run)


@pytest.mark.proofs
def test_a_repair_of_it_finds_it_whole(left: Left) -> None:
    code, said = left.command("repair", left.run)
    assert code == 0, said
    assert "nothing to repair" in said


@pytest.mark.parametrize("command", only_short(["status", "plan", "report", "repair", "run", "retry"], "plan"))
def test_one_of_a_newer_version_is_refused_in_one_line(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = Left(tmp_path, "without-an-identity", capsys)
    with closing(sqlite3.connect(left.run / "journal.sqlite")) as journal:
        journal.execute("UPDATE meta SET value = '2' WHERE key = 'version'")
        journal.commit()
    words = [command, left.job if command in ("plan", "run") else left.run]
    code, said = left.command(*words, *(["--only", "failed"] if command == "retry" else []))
    # Whether the sandbox's gallery was drawn before is no matter of the journal's.
    faults = [one for one in faults_in(said) if not one[0].startswith("preparing the sandbox's gallery")]
    assert (code, len(faults)) == (5, 1), said
    assert "version 2" in said
    assert "use a newer pipeline" in said
    assert (left.run / "results.jsonl").read_bytes() == left.lines
