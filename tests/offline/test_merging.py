"""Records and exports of a cluster run: those of its shards in order, and those of one run of the same items."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.journal.places import SPLIT
from pipeline.offline.merging import merge
from tests.support.jobs import FaultPlan, vendor
from tests.support.lengths import only_short
from tests.support.sharded import Sharded, sharded

OF_A_RUN = {"task_id", "task_expires_at", "searched_at", "request_id", "run", "at", "expires_at"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Sharded:
    """Three shards of four items, and one run of all twelve."""
    folder = tmp_path_factory.mktemp("made")
    with vendor(folder) as server:
        return sharded(folder, server.url)


@pytest.fixture
def run(made: Sharded, tmp_path: Path) -> Path:
    """A copy of the cluster run, to be damaged."""
    return Path(shutil.copytree(made.folder, tmp_path / "job"))


def in_order(run: Path, *shards: int) -> bytes:
    return b"".join((run / f"shards/{number:04}/e1/results.jsonl").read_bytes() for number in shards)


def test_the_merged_file_has_the_bytes_of_the_shards_lines_in_order(run: Path, tmp_path: Path) -> None:
    made = merge(run, tmp_path / "all.jsonl")
    assert (tmp_path / "all.jsonl").read_bytes() == in_order(run, 0, 1, 2)
    assert (made.lines, made.size, made.remarks) == (12, (tmp_path / "all.jsonl").stat().st_size, ())


def test_the_manifest_names_each_file_with_its_sum(run: Path, tmp_path: Path) -> None:
    merge(run, tmp_path / "all.jsonl")
    listed = json.loads((run / "manifest.json").read_text())["files"]
    assert [(one["shard"], one["epoch"], one["lines"]) for one in listed] == [(0, 1, 4), (1, 1, 4), (2, 1, 4)]
    for one in listed:
        data = (run / one["file"]).read_bytes()
        assert (one["bytes"], one["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_what_a_journal_does_not_know_is_not_merged(run: Path, tmp_path: Path) -> None:
    whole = in_order(run, 0, 1, 2)
    with (run / "shards/0001/e1/results.jsonl").open("ab") as file:
        file.write(b'{"half')
    merge(run, tmp_path / "all.jsonl")
    assert (tmp_path / "all.jsonl").read_bytes() == whole


def test_the_highest_epoch_that_has_a_journal_counts(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "shards/0001/e1", run / "shards/0001/e10")
    shutil.copytree(run / "shards/0001/e1", run / "shards/0001/e9")
    (run / "shards/0001/e11").mkdir()  # a takeover that was cut short
    merge(run, tmp_path / "all.jsonl")
    listed = json.loads((run / "manifest.json").read_text())["files"]
    assert [one["epoch"] for one in listed] == [1, 10, 1]
    assert (tmp_path / "all.jsonl").read_bytes() == in_order(run, 0, 1, 2)


def test_a_missing_an_unreadable_and_a_shard_that_nobody_began_are_said_in_a_line_each(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run / "shards/0000")
    (run / "shards/0001/e1/journal.sqlite").write_bytes(b"no database")
    (run / "shards/0003").mkdir()
    (run / "shards/0003/items.jsonl").write_text('{"id": "x", "url": "https://sandbox.invalid/x"}\n')
    (run / SPLIT).write_text('{"shards": 4}')
    assert cli.run(["export", str(run), "--merge", str(tmp_path / "all.jsonl")]) == 0
    assert (tmp_path / "all.jsonl").read_bytes() == in_order(run, 2)
    said = capsys.readouterr().err.splitlines()
    assert sum("shard 0000 is missing" in line for line in said) == 1
    assert sum("shard 0001 cannot be read" in line for line in said) == 1
    assert sum("1 shard is not begun (0003), with 1 item" in line for line in said) == 1
    assert len(said) == 3


def test_a_file_that_is_shorter_than_its_journal_knows_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run / "shards/0001/e1/results.jsonl"
    results.write_bytes(results.read_bytes()[:-5])
    assert cli.run(["export", str(run), "--merge", str(tmp_path / "all.jsonl")]) == 5
    assert "shorter than its journal knows" in capsys.readouterr().err
    assert not (tmp_path / "all.jsonl").exists()


def test_a_file_that_is_there_is_replaced_only_when_asked(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "all.jsonl").write_text("mine")
    assert cli.run(["export", str(run), "--merge", str(tmp_path / "all.jsonl")]) == 2
    assert (tmp_path / "all.jsonl").read_text() == "mine"
    assert cli.run(["export", str(run), "--merge", str(tmp_path / "all.jsonl"), "--force"]) == 0
    assert cli.run(["export", str(run), "--merge", str(tmp_path / "all.jsonl"), "--to", "csv"]) == 2
    assert cli.run(["export", str(run)]) == 2
    assert "--to xlsx" in capsys.readouterr().err


def test_a_run_that_is_not_split_is_merged_as_it_is(made: Sharded, tmp_path: Path) -> None:
    merge(made.single, tmp_path / "all.jsonl")
    assert (tmp_path / "all.jsonl").read_bytes() == (made.single / "results.jsonl").read_bytes()
    assert not (made.single / "manifest.json").exists()


def exported(run: Path, to: Path, *options: str) -> list[dict[str, str]]:
    assert cli.run(["export", str(run), "--to", "csv", "-o", str(to), "--force", *options]) == 0
    with to.open(encoding="utf-8-sig", newline="") as file:
        rows = [{name: cell for name, cell in row.items() if name not in OF_A_RUN} for row in csv.DictReader(file)]
    return sorted(rows, key=lambda row: (row["item"], row.get("rank", ""), row.get("patent_pn", "")))


@pytest.mark.parametrize("options", [(), ("--per", "hit"), ("--min", "0.5"), ("--status", "tasked")])
def test_an_export_has_the_rows_of_one_run_with_the_same_items(
    made: Sharded, tmp_path: Path, options: tuple[str, ...]
) -> None:
    ours, theirs = (exported(run, tmp_path / "x.csv", *options) for run in (made.folder, made.single))
    assert ours == theirs
    assert len(ours) >= 12


@pytest.mark.parametrize("to", only_short(["xlsx", "parquet", "jsonl", "pdf"], "xlsx"))
def test_every_format_takes_a_cluster_run(made: Sharded, tmp_path: Path, to: str) -> None:
    assert cli.run(["export", str(made.folder), "--to", to, "-o", str(tmp_path / f"x.{to}")]) == 0
    assert (tmp_path / f"x.{to}").stat().st_size > 100


def test_the_most_alike_of_all_shards_come_first(made: Sharded, tmp_path: Path) -> None:
    assert cli.run(["export", str(made.folder), "--to", "jsonl", "-o", str(tmp_path / "x.jsonl")]) == 0
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert len(rows) == 12


@pytest.mark.proofs
def test_open_items_of_all_shards_are_in_an_export_and_name_the_whole_run(tmp_path: Path) -> None:
    with vendor(tmp_path, faults=FaultPlan.scripted({"search": ["68300010"] * 2})) as server:
        made = sharded(tmp_path, server.url, shards=2, each=2, single=False, api={"max_in_flight": 1})
    rows = exported(made.folder, tmp_path / "x.csv", "--status", "failed")
    assert len(rows) == 2
