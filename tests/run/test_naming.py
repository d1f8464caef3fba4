"""The ids that a run directory began with: another version's rule of naming pictures makes no item new."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from pipeline.cli.main import run
from pipeline.offline.plan import plan_job
from pipeline.sandbox.resources import resource
from pipeline.sources import ids
from pipeline.sources.ids import make_id
from tests.support.jobs import job, lines


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job of one local picture on the sandbox."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    shutil.copy(resource("products") / "mug-0.jpg", tmp_path / "photos")
    return job(tmp_path, url="sandbox", images=[{"path": "photos/*.jpg"}])


def items(folder: Path) -> list[str]:
    return [record["item"] for record in lines(folder / "runs/job/results.jsonl")]


def one_more(folder: Path) -> None:
    shutil.copy(resource("products") / "bag-0.jpg", folder / "photos")


def forget_the_rule(folder: Path) -> None:
    """Leave the journal as a version that notes no rule leaves it."""
    with sqlite3.connect(folder / "runs/job/journal.sqlite") as db:
        assert db.execute("DELETE FROM meta WHERE key = 'naming'").rowcount == 1
    db.close()


@pytest.mark.proofs
def test_directory_of_the_version_before_keeps_its_ids_and_pays_for_nothing_again(
    local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(ids, "_stem", lambda source: "")
        assert run(["run", str(local), "-q"]) == 0
    forget_the_rule(tmp_path)
    old = make_id("photos/mug-0.jpg")
    assert items(tmp_path) == [old]
    (tmp_path / "photos/mug-0.jpg").write_bytes(
        (resource("products") / "mug-1.jpg").read_bytes()
    )  # a new one would pay
    one_more(tmp_path)
    assert plan_job(local).calls == {"upload": 1, "search": 1, "create": 1}
    assert run(["run", str(local), "-q"]) == 0
    assert items(tmp_path) == [old, make_id("photos/bag-0.jpg")]
    assert plan_job(local).paid_calls == 0


@pytest.mark.proofs
def test_directory_that_notes_no_rule_has_the_one_that_its_items_show(local: Path, tmp_path: Path) -> None:
    assert run(["run", str(local), "-q"]) == 0
    forget_the_rule(tmp_path)
    one_more(tmp_path)
    assert run(["run", str(local), "-q"]) == 0
    assert items(tmp_path) == ["mug-0", "bag-0"]
