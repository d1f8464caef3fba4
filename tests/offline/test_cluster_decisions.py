"""Decisions and the bill of a cluster run: ids and calls are those of all its shards."""

import shutil
import time
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.run.bill import make_bills
from tests.support.jobs import ACCOUNT, vendor
from tests.support.sharded import Sharded, sharded

HEAD = "item,patent_pn,decision,by,at,note\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Sharded:
    folder = tmp_path_factory.mktemp("made")
    with vendor(folder) as server:
        return sharded(folder, server.url, shards=3, each=2, single=False)


def test_decisions_about_items_of_all_shards_are_known(
    made: Sharded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.csv").write_text(f"{HEAD}P0000,D1,watch,me,,\nP0005,D2,dismiss,me,,\nQ9,D3,watch,me,,\n")
    assert cli.run(["decisions", str(made.folder), str(tmp_path / "mine.csv")]) == 0
    said = capsys.readouterr()
    assert "3 changes" in said.out
    assert "1 product is not in this run, and decided about all the same: Q9" in said.err
    assert (made.path.parent / "decisions.csv").is_file()


@pytest.mark.proofs
def test_zeros_that_a_spreadsheet_took_come_back_only_where_one_id_of_all_shards_can_be_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with vendor(tmp_path) as server:
        made = sharded(tmp_path, server.url, shards=3, each=1, single=False, ids=("007", "07", "0042"))
    (tmp_path / "mine.csv").write_text(f"{HEAD}7,D1,watch,me,,\n42,D2,watch,me,,\n")
    assert cli.run(["decisions", str(made.folder), str(tmp_path / "mine.csv")]) == 0
    said = capsys.readouterr().err
    assert "0042" in said
    assert "1 product is not in this run, and decided about all the same: 7" in said


def test_the_bill_counts_each_call_of_all_shards_once(tmp_path: Path) -> None:
    ahead = 0.0
    with vendor(tmp_path, clock=lambda: time.time() + ahead) as server:
        made = sharded(tmp_path, server.url, shards=3, each=2, single=False)
        shutil.copytree(made.run(1), made.run(1, epoch=2))  # taken over: the copy has all that the first had
        ahead = 2 * 86_400
        bill = make_bills(made.folder, environment=ACCOUNT, now=lambda: time.time() + ahead)[0]
    lines = [(line.endpoint, line.granted, line.vendor_billed) for day in bill.days for line in day.lines]
    assert sorted(lines) == [("AI39-1", 6, 6), ("P009", 6, 6)]
    assert (bill.agrees, len(bill.runs)) == (True, 3)


@pytest.mark.proofs
def test_the_bill_names_a_shard_that_cannot_be_read(tmp_path: Path) -> None:
    ahead = 0.0
    with vendor(tmp_path, clock=lambda: time.time() + ahead) as server:
        made = sharded(tmp_path, server.url, shards=2, each=2, single=False)
        (made.run(1) / "journal.sqlite").write_bytes(b"no database")
        ahead = 2 * 86_400
        bill = make_bills(made.folder, environment=ACCOUNT, now=lambda: time.time() + ahead)[0]
    assert [str(made.run(1)) in line for line in bill.not_read] == [True]
    assert not bill.agrees
