"""The repair of a run whose reports are read: a task whose record is lost is asked again, and never paid again."""

import json
import shutil
from pathlib import Path

import pytest

from pipeline import RunOptions, run_job
from pipeline.cli import main as cli
from pipeline.journal.places import REPORTS, RESULTS, collection_of
from tests.support.fakes import states
from tests.support.jobs import ACCOUNT, drawings, job, lines, vendor

PICTURES = 2


def damage(results: Path) -> None:
    """Change a byte of the first line."""
    whole = results.read_bytes()
    results.write_bytes(whole.replace(b"reported", b"Reported", 1))


@pytest.mark.proofs
@pytest.mark.parametrize("twins", [False, True])
def test_a_reported_item_whose_line_is_lost_is_asked_for_again_and_never_paid_again(
    tmp_path: Path, *, twins: bool
) -> None:
    with vendor(tmp_path) as server:
        urls = drawings(PICTURES) * (2 if twins else 1)
        images = [{"id": f"I{number}", "url": url} for number, url in enumerate(urls)]
        path = job(tmp_path, url=server.url, images=images, task={"report": "wait"})
        options = RunOptions(environment=ACCOUNT)
        before = run_job(path, options=options)
        run = tmp_path / "runs" / "job"
        tasks = {line["item"]: line["task"]["task_id"] for line in lines(run / RESULTS)}
        damage(run / RESULTS)
        assert cli.run(["repair", str(run)]) == 0
        after = run_job(path, options=options)
        assert after.ok
        for kind in ("search", "create"):
            assert after.calls[kind] == before.calls[kind]
        assert {line["item"]: line["task"]["task_id"] for line in lines(run / RESULTS)} == tasks


@pytest.mark.proofs
@pytest.mark.parametrize("lost", ["a line", "the records", "the journal", "the folder"])
def test_collected_reports_that_are_lost_are_read_again_and_their_calls_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lost: str
) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=PICTURES, task={"report": "later"})
        run = tmp_path / "runs" / "job"
        assert run_job(path, options=RunOptions(environment=ACCOUNT)).ok
        assert cli.run(["collect", str(run)]) == 0
        reports = collection_of(run)
        if lost == "a line":
            damage(run / REPORTS)
        elif lost == "the records":
            (run / REPORTS).unlink()
        elif lost == "the journal":
            (reports / "journal.sqlite").unlink()
        else:
            shutil.rmtree(reports)
        assert cli.run(["repair", str(reports)]) == 0
        said = capsys.readouterr().out
        assert f"`pipeline collect {run}` goes on with the job" in said
        assert RESULTS not in said
        assert cli.run(["collect", str(run)]) == 0
        assert sorted(line["status"] for line in lines(run / REPORTS)) == ["reported"] * PICTURES
        capsys.readouterr()
        assert cli.run(["status", "--json", str(run)]) == 0
        status = json.loads(capsys.readouterr().out)
        assert (status["items"]["reported"], status["unread"]) == (PICTURES, 0)
        assert (status["calls"]["search"], status["calls"]["create"]) == (PICTURES, PICTURES)
        assert {state.word for state in states(reports).values()} == {"reported"}
