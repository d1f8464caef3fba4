"""The beginning of a run: changed sources enter the journal whole, or not at all."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline import RunOptions, RunSummary, run_job
from pipeline.cli import main as cli
from pipeline.engine import intake
from pipeline.errors import SpecError
from pipeline.job.load import load_job
from pipeline.journal.sql import admission
from pipeline.journal.storage import reading_only
from pipeline.models import Item, State
from pipeline.run.begin import refusal
from pipeline.system.fault import Fault
from tests.support.fakes import admitted, item, open_journal, rows, states
from tests.support.jobs import ACCOUNT, FaultPlan, drawings, job, lines, vendor
from tests.support.processes import PATIENCE_S


def run(path: Path, *overrides: str, **options: Any) -> RunSummary:
    return run_job(path, overrides=overrides, options=RunOptions(environment=ACCOUNT, **options))


def known(folder: Path) -> tuple[list[Any], list[Any]]:
    """Read all that the journal says of items and of their admission."""
    with reading_only(folder) as db:
        keys = ("asked", "admitted", "admitting", "generation", "job_folder")
        return rows(folder, "*"), [db.meta(key) for key in keys]


def test_a_run_that_another_command_begins_anew_is_not_told_the_options_of_run(tmp_path: Path) -> None:
    """As a shard is: `work` has neither --new nor --accept-changes."""
    spec = load_job(job(tmp_path, url="sandbox", pictures=1))
    asked = json.dumps(spec.model_copy(update={"search": spec.search.model_copy(update={"limit": 9})}).asked())
    for there in ({"vendor": None, "asked": asked}, {"vendor": "other.example", "asked": None}):
        [anew] = refusal(spec, **there, anew="pipeline split k2.yaml --new")
        assert isinstance(anew, Fault)
        assert anew.fix == "pipeline split k2.yaml --new"
        assert not any(option in anew.what for option in ("--new", "--accept-changes"))
        [here] = refusal(spec, **there)
        assert "--new" in here


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.proofs
@pytest.mark.usefixtures("account")
def test_a_refused_run_leaves_the_journal_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With an item in doubt, one that failed in passing, one that lost its place, and a bad row that is mended."""
    first, *others = drawings(9)
    faults = FaultPlan.scripted({"create": ["lost"], "search": ["ok", "68300010"]})
    with vendor(tmp_path, faults=faults) as server:
        run(job(tmp_path, url=server.url, pictures=[first, *others[:3], "ftp://nowhere"], api={"max_in_flight": 1}))
        folder = tmp_path / "runs/job"
        before = known(folder)
        assert states(folder)["P0000"] is State.IN_DOUBT
        path = job(tmp_path, url=server.url, pictures=[others[4], *others[:2], others[5], others[6], others[7]])
        with pytest.raises(SpecError, match="P0003"):
            run(path)
        assert known(folder) == before
        assert cli.run(["resolve", str(folder), "--not-created", "P0000"]) == 0
        assert "1 decided, 0 still in doubt" in capsys.readouterr().out
        assert cli.run(["retry", str(folder), "--only", "failed", "-q"]) == 1
        assert "1 item that is failed" in capsys.readouterr().err


@pytest.mark.proofs
def test_a_kill_while_changed_sources_are_read_leaves_the_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vendor(tmp_path) as server:
        run(job(tmp_path, url=server.url, pictures=3))
        folder = tmp_path / "runs/job"
        before = known(folder)
        real = admission.admit

        def admit(*arguments: Any, **options: Any) -> Any:
            entered = real(*arguments, **options)
            shutil.copytree(folder, tmp_path / "dead", dirs_exist_ok=True)
            return entered

        monkeypatch.setattr(admission, "admit", admit)
        path = job(tmp_path, url=server.url, pictures=6)
        summary = run(path)
        assert known(tmp_path / "dead") == before
        shutil.rmtree(folder)
        (tmp_path / "dead").rename(folder)
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # killed, it would have noted no more
        again = run(path)
    assert summary.items == again.items
    assert again.items["tasked"] == 6


@pytest.mark.parametrize("error", [SpecError("list.csv: breaks off"), OSError("gone")], ids=["SpecError", "OSError"])
def test_sources_that_break_off_leave_the_journal_as_it_was_and_usable(tmp_path: Path, error: Exception) -> None:
    def broken() -> Iterator[list[Item]]:
        yield [item(1), item(3)]
        raise error

    async def go() -> None:
        async with open_journal(tmp_path / "run") as journal:
            await admitted(journal, 1, 2)
            with pytest.raises(type(error), match=str(error)):
                await journal.admit_whole(broken(), generation=2, fingerprint="print", accept_changes=False)
            await admitted(journal, 4)

    anyio.run(go)
    assert rows(tmp_path / "run", "id, generation") == [("SKU-1", 1), ("SKU-2", 1), ("SKU-4", 1)]


@pytest.mark.proofs
def test_a_first_reading_that_was_cut_short_goes_on_and_keeps_what_it_had_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item that is in doubt meanwhile is still listed: a person can decide about it."""
    ended = threading.Event()
    read = intake._next_batch

    def slowly(source: Iterator[Item]) -> list[Item]:
        """Read two items, and the others once the run is over."""
        batch = read(source)
        if batch and batch[0].id != "P0000":
            ended.wait(PATIENCE_S)
        return batch

    monkeypatch.setattr(intake, "BATCH", 2)
    monkeypatch.setattr(intake, "_next_batch", slowly)
    stop = intake.Intake.stop
    monkeypatch.setattr(intake.Intake, "stop", lambda self: (stop(self), ended.set()))
    with vendor(tmp_path, faults=FaultPlan.scripted({"create": ["lost"]})) as server:
        path = job(tmp_path, url=server.url, pictures=6, api={"max_in_flight": 1})
        for _ in range(2):
            ended.clear()
            summary = run(path, limit=1)
            admitted_as, _, generation = known(tmp_path / "runs/job")[1][1:4]
            assert (admitted_as, generation) == ("", "1"), "not all of the sources are in, and no item is left behind"
            assert (summary.items["in_doubt"], summary.items["removed"]) == (1, 0)
        ended.set()
        summary = run(path)
    assert (summary.items["all"], summary.items["tasked"], summary.items["removed"]) == (6, 5, 0)
    assert len(lines(tmp_path / "runs/job/results.jsonl")) == 5


def test_a_cancelled_reading_enters_nothing(tmp_path: Path) -> None:
    def endless() -> Iterator[list[Item]]:
        number = 10
        while True:
            yield [item(number)]
            number += 1

    async def go() -> None:
        async with open_journal(tmp_path / "run") as journal:
            await admitted(journal, 1, 2)
            with anyio.move_on_after(0.2):
                await journal.admit_whole(endless(), generation=2, fingerprint="print", accept_changes=False)

    anyio.run(go)
    assert list(states(tmp_path / "run")) == ["SKU-1", "SKU-2"]
    assert rows(tmp_path / "run", "generation") == [(1,), (1,)]
