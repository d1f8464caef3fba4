"""Old runs: shown before they go, and never one with something open, in doubt or still to be read."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import RunOptions, run_job
from pipeline.cli.main import run as cli
from pipeline.journal.places import REPORTS, RESULTS, collection_of
from pipeline.journal.storage import JOURNAL
from pipeline.models import State
from pipeline.offline import clean
from pipeline.offline.clean import DAY_S, Found, Wanted, find, remove, sweep_removed
from pipeline.run.directory import known_runs, lock
from tests.support.jobs import drawings, job
from tests.support.journal_rows import state_of_an_item
from tests.support.lengths import only_short

OLD = Wanted(180 * DAY_S)
LATER_S = 200 * DAY_S


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs whose tasks were read: one of client A alone, one of A and B."""
    folder = tmp_path_factory.mktemp("clean")
    finished(folder, "old", clients="AA")
    finished(folder, "mixed", clients="AB")
    return folder / "runs"


@pytest.fixture
def runs(made: Path, tmp_path: Path) -> Path:
    """A folder with the run of client A."""
    shutil.copytree(made / "old", tmp_path / "runs" / "old")
    return tmp_path / "runs"


@pytest.fixture
def now(runs: Path) -> float:
    """A time long after that run."""
    return clean._used_at(runs / "old") + LATER_S


def finished(folder: Path, name: str, *, clients: str) -> Path:
    """The directory of a finished run, an item for each letter of `clients`."""
    images = [
        {"id": f"I{n}", "url": url, "labels": {"client": client}}
        for n, (client, url) in enumerate(zip(clients, drawings(len(clients)), strict=True))
    ]
    task = {"report": "wait"}
    path = job(folder, url="sandbox", name=name, images=images, task=task, details="off")
    assert run_job(path, options=RunOptions(environment={})).ok
    return folder / "runs" / name


def names(found: list[Found]) -> Iterator[tuple[str, bool]]:
    return ((one.folder.name, not one.kept) for one in found)


def test_a_run_goes_once_it_is_old_enough_and_nothing_in_it_is_open(runs: Path, now: float) -> None:
    assert find(runs, OLD, now=now - 21 * DAY_S) == []
    (found,) = find(runs, OLD, now=now)
    assert (found.kept, found.size > 10_000) == ("", True)
    assert remove(found, OLD, now=now) == ""
    assert list(runs.iterdir()) == []


def test_finding_changes_nothing(runs: Path, now: float) -> None:
    before = {
        path: path.stat().st_mtime_ns for path in runs.rglob("*") if path.is_file() and "sqlite-" not in path.name
    }
    find(runs, OLD, now=now)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    "state",
    only_short(
        [State.IN_DOUBT, State.FAILED, State.REPORT_LOST, State.PENDING, State.SEARCHED, State.CREATING],
        State.IN_DOUBT,
        State.PENDING,
    ),
)
def test_a_run_with_an_item_that_is_open_stays(runs: Path, now: float, state: State) -> None:
    state_of_an_item(runs / "old", state)
    (found,) = find(runs, OLD, now=now)
    assert found.kept
    assert remove(found._replace(kept=""), OLD, now=now) == found.kept
    assert (runs / "old" / JOURNAL).is_file()


def test_a_run_whose_tasks_can_still_be_read_stays(runs: Path, now: float) -> None:
    state_of_an_item(runs / "old", State.TASKED, at=now - 3600)
    (found,) = find(runs, OLD, now=now)
    assert "can still be read" in found.kept


def test_a_run_that_goes_on_stays(runs: Path, now: float) -> None:
    (found,) = find(runs, OLD, now=now)
    with lock(runs / "old"):
        assert find(runs, OLD, now=now)[0].kept == "a run goes on in it"
        assert remove(found, OLD, now=now) == "it is in use"
    assert (runs / "old" / JOURNAL).is_file()


def test_a_damaged_journal_stays(runs: Path, now: float) -> None:
    (runs / "old" / JOURNAL).write_bytes(b"no database" * 1000)
    (found,) = find(runs, OLD, now=now)
    assert "cannot be read" in found.kept


def collected(run: Path) -> Path:
    """The journal of the reports of a run, as if those of all its tasks were collected."""
    reports = collection_of(run)
    reports.mkdir()
    shutil.copyfile(run / JOURNAL, reports / JOURNAL)
    shutil.copyfile(run / RESULTS, run / REPORTS)
    return reports / JOURNAL


@pytest.mark.parametrize("state", [State.CREATING, State.SEARCHED, State.REPORT_PENDING, State.REPORT_LOST])
def test_a_run_stays_while_the_journal_of_its_reports_has_something_open(runs: Path, now: float, state: State) -> None:
    state_of_an_item(collected(runs / "old").parent, state)
    assert list(names(find(runs, OLD, now=now))) == [("old", False)]


def test_a_run_stays_while_a_task_that_was_paid_anew_can_be_read(runs: Path, now: float) -> None:
    journal = collected(runs / "old")
    assert list(names(find(runs, OLD, now=now))) == [("old", True)]
    state_of_an_item(journal.parent, State.REPORT_PENDING, at=now - 60)
    assert list(names(find(runs, OLD, now=now))) == [("old", False)]


@pytest.mark.parametrize("content", [b"", b"no journal", None])
def test_a_run_stays_while_the_journal_of_its_reports_cannot_be_read(
    runs: Path, now: float, content: bytes | None
) -> None:
    journal = collected(runs / "old")
    journal.unlink() if content is None else journal.write_bytes(content)
    assert list(names(find(runs, OLD, now=now))) == [("old", False)]


@pytest.mark.parametrize("place", ["old/emergency-1.jsonl", "old.emergency-1.jsonl", "old/.repairing"])
def test_a_run_stays_while_something_of_it_is_kept_outside_of_its_journal(runs: Path, now: float, place: str) -> None:
    (runs / place).write_text("")
    assert list(names(find(runs, OLD, now=now))) == [("old", False)]


def test_a_run_is_no_folder_of_runs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = collected(runs / "old")
    assert cli(["clean", str(runs / "old"), "--older", "0h", "--yes"]) == 2
    assert "this is a run directory itself" in capsys.readouterr().err
    assert journal.exists()
    assert find(runs / "old", OLD, now=float("inf")) == []


def test_only_pictures_go_where_only_pictures_are_wanted(runs: Path, now: float) -> None:
    wanted = OLD._replace(pictures=True)
    (found,) = find(runs, wanted, now=now)
    assert remove(found, wanted, now=now) == ""
    left = {path.name for path in (runs / "old").iterdir()}
    assert {"results.jsonl", "summary.json", JOURNAL, "spec.yaml"} <= left
    assert not left & {"report.html", "sandbox", "pictures", "drawings"}
    assert find(runs, wanted, now=now) == []


def test_runs_of_one_client_go_and_those_of_several_say_so(made: Path, runs: Path, now: float) -> None:
    shutil.copytree(made / "mixed", runs / "mixed")
    assert [*names(find(runs, OLD._replace(client="A"), now=now + DAY_S))] == [("mixed", False), ("old", True)]
    assert [*names(find(runs, OLD._replace(client="B"), now=now + DAY_S))] == [("mixed", False), ("old", False)]


@pytest.mark.proofs
def test_a_removed_run_is_noted_nowhere_any_more(tmp_path: Path) -> None:
    runs, places = finished(tmp_path, "old", clients="A").parent, known_runs()
    assert places is not None
    assert len(list(places.iterdir())) == 1
    now = clean._used_at(runs / "old") + LATER_S
    remove(find(runs, OLD, now=now)[0], OLD, now=now)
    assert list(places.iterdir()) == []


def test_half_a_removed_run_is_no_run_and_goes_next_time(
    runs: Path, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(path: Path, **_: object) -> None:
        os.unlink(path / "results.jsonl")
        raise OSError(5, "Input/output error")

    (found,) = find(runs, OLD, now=now)
    monkeypatch.setattr("pipeline.offline.clean.shutil.rmtree", dies)
    with pytest.raises(OSError, match="Input"):
        remove(found, OLD, now=now)
    monkeypatch.undo()
    assert not (runs / "old").exists()
    assert find(runs, OLD, now=now) == []
    assert cli(["clean", str(runs), "--yes"]) == 0
    assert list(runs.iterdir()) == []


def test_the_command_shows_first_and_removes_only_with_yes(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(["clean", str(runs), "--older", "0h"]) == 0
    assert "would be removed; nothing was" in capsys.readouterr().out
    assert (runs / "old").is_dir()
    assert cli(["clean", str(runs), "--older", "0h", "--yes"]) == 0
    assert "removed: " in capsys.readouterr().out
    assert not (runs / "old").exists()


@pytest.mark.parametrize("age", ["180", "d", "1y", "-1d", ""])
def test_an_age_that_is_none_is_refused_with_one_that_is(runs: Path, age: str) -> None:
    assert cli(["clean", str(runs), f"--older={age}"]) == 2


def test_a_folder_beside_the_runs_is_left_alone(runs: Path, now: float) -> None:
    (runs / "notes").mkdir()
    (runs / "notes" / "mine.txt").write_text("kept")
    (runs / "link").symlink_to(runs / "old")
    (runs / ".removed-photos").mkdir()
    sweep_removed(runs)
    assert (runs / ".removed-photos").is_dir()
    assert [name for name, _ in names(find(runs, OLD, now=now))] == ["old"]


def prepared_in(runs: Path) -> Path:
    """Make what a first pass over pictures leaves, last used long ago."""
    folder = runs / ".prepared" / "job-0123456789abcdef"
    (folder / "ahead" / "fit-1" / "9f").mkdir(parents=True)
    (folder / "ahead" / "fit-1" / "9f" / "9f86d081").write_bytes(b"picture")
    (folder / "seen-0000.jsonl").write_bytes(b"{}\n")
    for path in (folder, folder / "seen-0000.jsonl"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    return folder


@pytest.mark.parametrize("pictures", [False, True], ids=["runs", "pictures alone"])
def test_pictures_that_a_first_pass_made_go_when_they_are_old(tmp_path: Path, pictures: bool) -> None:
    folder = prepared_in(tmp_path)
    assert find(tmp_path, OLD, now=1_600_000_000 + DAY_S) == []
    wanted = OLD._replace(pictures=pictures)
    [found] = find(tmp_path, wanted, now=1_600_000_000 + LATER_S)
    assert found == Found(folder, 1_600_000_000, 10, "")
    assert remove(found, wanted, now=1_600_000_000 + LATER_S) == ""
    assert not folder.exists()


def test_pictures_of_a_first_pass_are_nobodys_alone(tmp_path: Path) -> None:
    prepared_in(tmp_path)
    [found] = find(tmp_path, OLD._replace(client="A"), now=1_600_000_000 + LATER_S)
    assert "pictures of all clients" in found.kept
