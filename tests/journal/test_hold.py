"""The hold on a run directory: nothing counts once a file was taken away, and no second process gets in."""

import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from pipeline.errors import JournalError, RunLocked
from pipeline.journal import hold
from pipeline.journal.hold import Hold, is_held
from pipeline.journal.identity import COUNTER, NOTE, of_note
from pipeline.journal.places import JOURNAL, RESULTS
from pipeline.journal.storage import Disk, open_disk
from pipeline.models import State
from tests.support.fakes import NOW, admitted, look, open_journal, states, work_of

LOG = f"{JOURNAL}-wal"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    (tmp_path / "run").mkdir()
    disk = open_disk(tmp_path / "run", now=NOW)
    yield disk
    disk.close(clean=False)


@pytest.mark.parametrize("how", ["removed", "replaced"])
@pytest.mark.parametrize("name", ["", JOURNAL, LOG, RESULTS])
def test_what_is_taken_away_is_noticed_before_anything_counts(disk: Disk, tmp_path: Path, name: str, how: str) -> None:
    disk.prove()
    taken = tmp_path / "run" / name
    aside = taken.rename(tmp_path / "aside")
    if how == "replaced":
        (shutil.copytree if aside.is_dir() else shutil.copy)(aside, taken)
    with pytest.raises(JournalError, match="while this run went on"):
        disk.prove()
    if taken.is_dir():
        shutil.rmtree(taken)
    aside.replace(taken)  # put back, it is the one that was opened
    disk.prove()


@pytest.mark.anyio
async def test_no_group_is_committed_once_its_results_were_replaced(tmp_path: Path, broken: AsyncExitStack) -> None:
    run = tmp_path / "run"
    journal = await broken.enter_async_context(open_journal(run))
    await admitted(journal, 1)
    data = (run / RESULTS).read_bytes()
    (run / RESULTS).unlink()
    (run / RESULTS).write_bytes(data)
    with pytest.raises(JournalError, match="while this run went on"):
        await journal.steps.settle(work_of(1), State.NO_HITS, b'{"item":"SKU-1"}\n', None)
    assert states(run) == {"SKU-1": State.PENDING}


@pytest.mark.anyio
async def test_the_counter_of_a_run_grows_while_it_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.journal.identity.EVERY_S", 0.0)
    async with open_journal(tmp_path) as journal:
        before = await look(journal, lambda disk: int(disk.db.meta(COUNTER) or 0))
        await admitted(journal, 1)
        assert await look(journal, lambda disk: int(disk.db.meta(COUNTER) or 0)) > before


def test_a_journal_is_held_by_one_at_a_time_whatever_becomes_of_the_lock_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hold, "PATIENCE_S", 0.0)
    journal = tmp_path / JOURNAL
    assert not is_held(journal)
    with closing(Hold(tmp_path, journal, locks=True)):
        assert is_held(journal)
        with pytest.raises(RunLocked, match="in use by another process"):
            Hold(tmp_path, journal, locks=True)
    assert not is_held(journal)


def test_a_run_counts_on_at_its_end(tmp_path: Path) -> None:
    """Else a journal that was copied just before it would pass for the newest."""
    disk = open_disk(tmp_path, now=NOW)
    before = int(disk.db.meta(COUNTER) or 0)
    disk.close()
    note = of_note(tmp_path / NOTE)
    assert note is not None
    assert note.counter > before


def test_a_run_whose_results_were_taken_away_does_not_end_as_if_all_were_well(tmp_path: Path) -> None:
    disk = open_disk(tmp_path, now=NOW)
    (tmp_path / RESULTS).rename(tmp_path / "aside")
    with pytest.raises(JournalError, match="while this run went on"):
        disk.close()
