"""The status of a run directory: when things expire, and what to type about each open item."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from pipeline.cli import main as cli
from pipeline.errors import InDoubt, ItemRefused, TryAgain
from pipeline.journal.sql.forecast import expiries
from pipeline.journal.storage import JOURNAL, reading_only
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, TASK_LIFE_S, Item, Kind, State
from pipeline.offline.status import SHOWN, read_status
from pipeline.run.directory import lock
from pipeline.sources.pictures import Picture
from tests.support import fakes
from tests.support.fakes import NOW, FakeVendor, Lost, Reply, engine_of, item, open_journal, url

SEARCH, CREATE = Kind.SEARCH, Kind.CREATE


def run(folder: Path, vendor: FakeVendor, items: list[Item]) -> Path:
    async def go() -> None:
        spec = fakes.job(folder, api={"max_in_flight": 1}, upload={"public": True})
        async with open_journal(folder / "run") as journal:
            pictures = {"a.jpg": Picture(b"picture", "jpeg", "0" * 64)}
            await (await engine_of(spec, journal, vendor, items, pictures=pictures)).run()

    anyio.run(go)
    return folder / "run"


@pytest.fixture
def troubled(tmp_path: Path) -> Path:
    """A task, an item in doubt with its hits, a refused one, one that failed in passing, and an upload in vain."""
    vendor = FakeVendor(
        {
            (CREATE, url(2)): [Lost()],
            (SEARCH, url(3)): [ItemRefused("no", code="68300010")],
            (SEARCH, url(4)): [TryAgain("busy", code="67200100")],
        }
    )
    local = item(5, source="a.jpg", local=True)
    return run(tmp_path, vendor, [*(item(n) for n in (1, 2, 3, 4)), local])


def test_an_item_in_doubt_shows_the_request_id_that_the_vendor_needs(tmp_path: Path) -> None:
    lost = InDoubt("the answer never came", code="no_answer", request_id="5f3c")
    [doubt] = read_status(run(tmp_path, FakeVendor({(CREATE, url(1)): [lost]}), [item(1)])).open_items
    assert "it may exist and be paid (request id 5f3c). To do: ask the vendor" in doubt


def test_open_items_beyond_those_shown_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vendor = FakeVendor({(SEARCH, url(n)): [ItemRefused("no", code="68300010")] for n in range(SHOWN + 3)})
    folder = run(tmp_path, vendor, [item(n) for n in range(SHOWN + 3)])
    assert (len(read_status(folder).open_items), read_status(folder).open_not_shown) == (SHOWN, 3)
    assert cli.run(["status", str(folder)]) == 0
    assert "and 3 more; a run that ends lists all of them in open.jsonl" in capsys.readouterr().out
    cli.run(["status", str(folder), "--json"])
    assert json.loads(capsys.readouterr().out)["open_not_shown"] == 3


def test_each_open_item_says_what_to_type(troubled: Path) -> None:
    told = {
        line.split(": ")[1].split(" ")[0]: line.partition("To do: ")[2] for line in read_status(troubled).open_items
    }
    assert f"pipeline resolve {troubled} --created SKU-2 TASK" in told["SKU-2"]
    assert "--not-created SKU-2" in told["SKU-2"]
    assert f"pipeline retry {troubled} --only failed --code 68300010" in told["SKU-3"]
    assert told["SKU-4"] == "`pipeline run` the job file"


def test_ids_with_spaces_are_quoted_for_the_shell(tmp_path: Path) -> None:
    vendor = FakeVendor({(CREATE, url(1)): [Lost()]})
    [line] = read_status(run(tmp_path, vendor, [item(1, id="red 'mug'; rm -rf")])).open_items
    assert """--not-created 'red '"'"'mug'"'"'; rm -rf'""" in line


def test_while_a_run_goes_on_nobody_is_told_to_ask_for_its_reports(tmp_path: Path) -> None:
    """The run asks itself; all else that is open is shown, and the counts agree."""
    folder = run(
        tmp_path, FakeVendor({(SEARCH, url(n)): [ItemRefused("no", code="1")] for n in (1, 2)}), [item(1), item(2)]
    )
    with closing(sqlite3.connect(folder / JOURNAL)) as db, db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute(
            "UPDATE items SET state = ?, task_id = 't', task_at = 1.0 WHERE ord = 1", (int(State.REPORT_PENDING),)
        )
    assert len(read_status(folder).open_items) == 2
    with lock(folder):
        running = read_status(folder)
    assert [line.partition(":")[0] for line in running.open_items] == ["failed"]
    assert (running.items["open"], running.open_not_shown) == (2, 0)


def at(folder: Path, now: float) -> dict[str, Any]:
    with reading_only(folder) as db:
        return {what: end[:2] for what, end in expiries(db, now=now).items()}


def test_the_first_of_each_kind_to_expire_and_how_many_within_the_hour(troubled: Path) -> None:
    hits_die, tasks_die = NOW + HITS_LIFE_S - EXPIRY_MARGIN_S, NOW + TASK_LIFE_S
    found = at(troubled, NOW)
    assert found["paid searches without a task"] == (hits_die, 0)
    assert found["tasks"] == (tasks_die, 0)
    assert at(troubled, tasks_die - 1800)["tasks"] == (tasks_die, 2)
    assert at(troubled, hits_die - 60)["paid searches without a task"] == (hits_die, 1)
    assert at(troubled, hits_die + 1) == {}


def test_uploads_of_items_that_are_not_settled_expire_too(tmp_path: Path) -> None:
    class Unsearchable(FakeVendor):
        def reply(self, kind: Kind, url: str) -> Reply:
            return TryAgain("busy", code="67200100") if kind is Kind.SEARCH else None

    folder = run(tmp_path, Unsearchable(), [item(1, source="a.jpg", local=True)])
    assert at(folder, NOW)["uploads"] == (NOW + HITS_LIFE_S - EXPIRY_MARGIN_S, 0)
