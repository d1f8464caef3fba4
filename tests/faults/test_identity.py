"""A run directory that is not what it was: refused before anything is sent, in one line with a command that helps."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.journal.identity import NOTE
from pipeline.journal.storage import connect
from pipeline.models import State
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from tests.support.fakes import states
from tests.support.jobs import ACCOUNT, FaultPlan, job, lines, pipeline, started, vendor
from tests.support.lengths import only_thorough, some
from tests.support.processes import until_lines
from tests.support.told import faults_in

ITEMS = 12
JOURNAL = ("journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm")


class Place:
    """A job with a run directory, and what the vendor has made for it."""

    def __init__(self, folder: Path, server: SandboxServer) -> None:
        self.folder, self.server, self.run = folder, server, folder / "runs/job"
        self.path = job(folder, url=server.url, pictures=ITEMS, api={"max_in_flight": 4})

    def command(self, *arguments: str | Path) -> tuple[int, str]:
        done = pipeline(*arguments, cwd=self.folder, **ACCOUNT)
        return done.returncode, done.stderr

    def is_killed_after(self, number: int, *arguments: str) -> None:
        """Begin the job, and kill it once so many items are settled."""
        with started("run", self.path, "-q", *arguments, cwd=self.folder, **ACCOUNT) as process:
            until_lines(self.run / "results.jsonl", number, by=process)
            process.kill()
            process.wait()

    def created(self) -> int:
        return len(list(read_tasks(self.folder / "vendor")))

    def assert_refused(self, what: str, *arguments: str) -> str:
        """`run` and `plan` refuse in one line, send nothing, and change no line of the results."""
        calls, results = self.server.stats.calls("search"), self.run / "results.jsonl"
        before = results.read_bytes() if results.exists() else None
        for command in ("run", "plan"):
            code, said = self.command(command, self.path, *arguments)
            assert code == 5, said
            [told] = [told for told in faults_in(said) if not told.error.startswith("note: ")]
            line = f"{told.error} at {told.at}: {told.fix}"
            assert what in line
            assert "pipeline repair" in line
        assert self.server.stats.calls("search") == calls
        assert (results.read_bytes() if results.exists() else None) == before
        return line

    def assert_nothing_twice(self) -> None:
        """Every task has one line or its item is in doubt, and no picture has two tasks."""
        tasks = list(read_tasks(self.folder / "vendor"))
        assert max(Counter(task.urls for task in tasks).values()) == 1
        known = {record["task"]["task_id"] for record in lines(self.run / "results.jsonl")}
        assert known <= {task.task_id for task in tasks}
        assert len(tasks) - len(known) <= sum(state is State.IN_DOUBT for state in states(self.run).values())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with vendor(tmp_path) as server:
        yield Place(tmp_path, server)


def test_a_copy_beside_its_original_is_refused_until_a_person_says_which_one_counts(place: Place) -> None:
    assert place.command("run", place.path, "-q", "--limit", "4")[0] in (0, 1)
    shutil.copytree(place.folder / "runs", place.folder / "copy")
    elsewhere = ("--set", "output.dir=copy")
    said = place.assert_refused(f"is a copy of {place.run}, which is still there", *elsewhere)
    copy = place.folder / "copy/job"
    assert f"pipeline repair {copy} --this-is-the-only-copy" in said
    assert place.command("repair", copy)[0] == 5
    assert place.command("repair", copy, "--this-is-the-only-copy")[0] == 0
    assert place.command("run", place.path, "-q", *elsewhere)[0] == 0
    assert place.created() == ITEMS
    place.assert_refused(f"is a copy of {copy}, which is still there")
    assert place.created() == ITEMS


def test_a_directory_that_was_moved_goes_on(place: Place) -> None:
    assert place.command("run", place.path, "-q", "--limit", "4")[0] in (0, 1)
    (place.folder / "runs").rename(place.folder / "moved")
    code, said = place.command("run", place.path, "--set", "output.dir=moved")
    assert code == 0, said
    assert f"was {place.run} on " in said
    assert place.created() == ITEMS


@pytest.mark.parametrize("noted", some(["in the directory", "in the state folder"], "in the directory"))
def test_an_older_journal_that_was_put_back_is_refused(place: Place, noted: str, tmp_path: Path) -> None:
    """The create that it does not know may not be sent again, although no line tells of it."""
    assert place.command("run", place.path, "-q", "--limit", "2")[0] in (0, 1)
    shutil.copytree(place.run, tmp_path / "older")
    place.is_killed_after(5, "--limit", "8")
    for name in JOURNAL:
        (place.run / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "older/journal.sqlite", place.run)
    if noted == "in the state folder":
        (place.run / NOTE).unlink()
    said = place.assert_refused("journal.sqlite is older than this run directory")
    assert f"pipeline repair {place.run} --this-is-the-only-copy" in said
    assert place.command("repair", place.run)[0] == 5
    assert place.command("repair", place.run, "--this-is-the-only-copy")[0] == 0
    place.command("run", place.path, "-q")
    place.assert_nothing_twice()


def test_a_journal_without_the_log_that_it_needs_is_refused(place: Place) -> None:
    """A backup took the journal and left out its log."""
    place.is_killed_after(6)
    for name in JOURNAL[1:]:
        (place.run / name).unlink()
    place.assert_refused("journal.sqlite")
    assert place.command("repair", place.run, "--this-is-the-only-copy")[0] == 0
    place.command("run", place.path, "-q")
    place.assert_nothing_twice()


@only_thorough
def test_a_journal_of_an_earlier_version_without_its_log_is_known_by_its_results(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing but the lines tells it: no note was made."""
    place.is_killed_after(6)
    for name in (*JOURNAL[1:], NOTE):
        (place.run / name).unlink()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    place.assert_refused("journal.sqlite is empty, and there are results")
    assert place.command("repair", place.run)[0] == 0
    place.command("run", place.path, "-q")
    place.assert_nothing_twice()


@pytest.mark.parametrize(
    ("left", "noted"), some([(None, True), (None, False), (b"", True), (b"", False)], (None, False), (b"", True))
)
def test_a_lost_journal_beside_doubts_is_refused(
    tmp_path: Path, left: bytes | None, noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vendor(tmp_path, faults=FaultPlan.parse("create:lost@1-5")) as server:
        place = Place(tmp_path, server)
        place.command("run", place.path, "-q", "--limit", "5")
        assert len(lines(place.run / "open.jsonl")) == 5
        for name in JOURNAL:
            (place.run / name).unlink(missing_ok=True)
        if left is not None:
            (place.run / "journal.sqlite").write_bytes(left)
        if not noted:
            (place.run / NOTE).unlink()
            monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
        place.assert_refused("journal.sqlite is gone")
        assert place.command("repair", place.run)[0] == 0
        place.command("run", place.path, "-q")
        place.assert_nothing_twice()


def test_an_older_journal_beside_doubts_is_known_by_them_where_nothing_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vendor(tmp_path, faults=FaultPlan.parse("create:lost@1-3")) as server:
        place = Place(tmp_path, server)
        place.command("run", place.path, "-q", "--limit", "3")
        with closing(connect(place.run / "journal.sqlite")) as journal:
            journal.execute("DROP TRIGGER legal_changes")
            journal.execute("UPDATE items SET state = 0, problem = NULL")
            journal.execute("DELETE FROM meta WHERE key IN ('identity', 'counter')")
        (place.run / NOTE).unlink()
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
        code, said = place.command("run", place.path, "-q")
        assert (code, "in doubt here, and the journal does not know why" in said) == (5, True), said
