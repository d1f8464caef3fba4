"""One archive of a run of many machines: all of its shards, read like the run, and made only while nobody works."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.cluster.claims import Claims
from pipeline.cluster.layout import ITEMS
from pipeline.cluster.owning import owning
from pipeline.cluster.split import read_split
from pipeline.errors import JournalError
from pipeline.journal.places import SPLIT, run_directories
from pipeline.leases.lease import Lease
from pipeline.leases.opening import open_store
from pipeline.leases.store import StoreUnknown
from pipeline.offline import pack as packing
from pipeline.offline.pack import SUMS, pack
from pipeline.offline.packed import unpacked
from tests.support.jobs import lines
from tests.support.sharded import Sharded, doubtful, leased

pytestmark = pytest.mark.proofs

EACH = 3


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Sharded:
    """Three shards, one of them taken over once, with an item in doubt; and a fourth that nobody has begun."""
    made = doubtful(tmp_path_factory.mktemp("ran"), 4)
    with owning(made.folder, None, say=lambda _: None) as owner, owner.owned(1):
        pass
    shard = made.folder / "shards" / "0003"
    shard.mkdir()
    (shard / ITEMS).write_text('{"id": "later", "url": "http://127.0.0.1/later.png"}\n')
    worker = made.folder / "workers" / "w1"
    worker.mkdir(parents=True)
    (worker / "lock").touch()
    (worker / "progress.json").write_text(json.dumps({"name": "w1", "host": "vm", "at": 1.0, "ended": True}))
    (made.folder / "shards" / "0000" / ".e9-0badf00d").mkdir()
    (made.folder / "shards" / "0000" / ".e9-0badf00d" / "journal.sqlite").write_text("a draft")
    return made


@pytest.fixture
def run(ran: Sharded, tmp_path: Path) -> Path:
    return ran.copied(tmp_path)


@pytest.fixture
def archive(run: Path, tmp_path: Path) -> Path:
    return pack(run, tmp_path / "kept.zip").path


def test_an_archive_holds_every_epoch_and_the_lists_and_no_lease_and_no_draft(run: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        names = {name.removeprefix("job/") for name in packed.namelist()}
    epochs = {f"shards/{number}/results.jsonl" for number in ("0000/e1", "0001/e1", "0001/e3", "0002/e1")}
    assert {SPLIT, SUMS, "shards/0003/items.jsonl", "workers/w1/progress.json", *epochs} <= names
    assert not [name for name in names if ".leases" in name or name.rpartition("/")[2] == "lock" or "/.e" in name]
    assert names - {SUMS} < {path.relative_to(run).as_posix() for path in run.rglob("*")}


def test_the_same_run_makes_the_same_archive(run: Path, archive: Path, tmp_path: Path) -> None:
    assert pack(run, tmp_path / "again.zip").path.read_bytes() == archive.read_bytes()


def test_packing_changes_nothing_of_the_run_and_claims_no_shard(run: Path, tmp_path: Path) -> None:
    place = open_store(str(run.parent / ".leases"))
    before = Claims(place, read_split(run)).look()
    files = _files(run)
    pack(run, tmp_path / "kept.zip")
    assert Claims(place, read_split(run)).look() == before
    assert {
        path: path.read_bytes() for path in run.rglob("*") if path.is_file() and "sqlite-" not in path.name
    } == files


def test_status_reads_an_archive_as_it_reads_the_run(
    run: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["status", str(run), "--json"]) == 0
    before = capsys.readouterr().out
    assert cli.run(["status", str(archive), "--json"]) == 0
    assert capsys.readouterr().out == before.replace(str(run), str(archive))
    assert json.loads(before)["items"]["in_doubt"] == 1
    assert json.loads(before)["shards"] == {
        **dict.fromkeys(("all", "finished", "running", "interrupted", "not_begun", "not_read"), 0),
        "all": 4,
        "finished": 3,
        "not_begun": 1,
    }


@pytest.mark.parametrize("words", [["--to", "csv"], ["--to", "jsonl"], ["--merge"]])
def test_export_writes_the_same_bytes_of_an_archive(
    run: Path, archive: Path, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    made = []
    for number, path in enumerate((run, archive)):
        to = tmp_path / f"{number}.out"
        more = [str(to)] if words == ["--merge"] else ["--output", str(to)]
        assert cli.run(["export", str(path), *words, *more]) == 0
        made.append(to.read_bytes().replace(bytes(archive), bytes(run)).replace(b"kept", b"job"))
    assert made[0] == made[1]
    assert b"P000" in made[0]


def test_report_makes_the_page_and_the_figures_of_an_archive(
    run: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["report", str(run)]) == 0
    figures = capsys.readouterr().out.splitlines()[0].partition(": ")[2]
    monkeypatch.chdir(archive.parent)
    before = archive.read_bytes()
    assert cli.run(["report", archive.name]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].partition(": ")[2] == figures
    assert "look at: kept.html (" in out
    assert "P0002" in archive.with_suffix(".html").read_text(encoding="utf-8")
    assert archive.read_bytes() == before


def test_late_lines_of_an_earlier_epoch_are_in_the_archive(run: Path, tmp_path: Path) -> None:
    old = run / "shards/0001/e1/results.jsonl"
    with old.open("ab") as late:
        late.write(b'{"late": "line"}\n')
    with unpacked(pack(run, tmp_path / "late.zip").path) as folder:
        assert (folder / "shards/0001/e1/results.jsonl").read_bytes() == old.read_bytes()
        assert [one.name for one in run_directories(folder)] == ["e1", "e3", "e1"]


def test_a_run_that_a_worker_works_on_is_not_packed(
    run: Path, ran: Sharded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(run.parent / ".leases")
    (run.parent / ".leases").mkdir()
    with Lease(open_store(str(run.parent / ".leases")), "acme", lease_s=0.3) as worker:
        leased(Sharded(run, ran.single, ran.path), counts=[EACH] * 3, worker=worker.incarnation, lease_s=0.3)
        assert cli.run(["pack", str(run), "-o", str(tmp_path / "kept.zip")]) == 6
    assert "shard 0000 is being worked on by process" in capsys.readouterr().err
    assert not [*tmp_path.glob("*.zip*"), *tmp_path.glob(".*.new")]
    pack(run, tmp_path / "kept.zip")  # that worker has ended without giving its shard back


def test_a_run_that_a_worker_begins_on_meanwhile_is_not_packed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = packing._write

    def meanwhile(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        with owning(run, None, say=lambda _: None) as owner, owner.owned(2):
            pass

    monkeypatch.setattr(packing, "_write", meanwhile)
    assert cli.run(["pack", str(run), "-o", str(tmp_path / "kept.zip")]) == 6
    assert "a worker began to work on shard 0002 meanwhile" in capsys.readouterr().err
    assert not [*tmp_path.glob("*.zip*"), *tmp_path.glob(".*.new")]


def test_a_run_whose_leases_are_not_here_is_not_packed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(run.parent / ".leases")
    assert cli.run(["pack", str(run)]) == 5
    assert "the folder for the leases is not here" in capsys.readouterr().err


def test_leases_that_do_not_answer_are_said(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(_: Claims) -> None:
        raise StoreUnknown("timed out")

    monkeypatch.setattr(Claims, "look", silent)
    for command in ("pack", "repair"):
        assert cli.run([command, str(run)]) == 5
        assert "the leases of this run do not answer" in capsys.readouterr().err


def test_a_shard_alone_is_not_packed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["pack", str(run / "shards/0000/e1")]) == 2
    assert f"pipeline pack {run}" in capsys.readouterr().err


@pytest.mark.parametrize("lost", ["shards/0001/e1/results.jsonl", "split.json", "shards/0003/items.jsonl"])
def test_an_archive_that_lacks_or_changed_a_file_of_a_shard_is_refused_in_one_line(
    archive: Path, tmp_path: Path, lost: str
) -> None:
    for changed in (None, b"{}"):
        with zipfile.ZipFile(archive) as source, zipfile.ZipFile(tmp_path / "other.zip", "w") as target:
            for name in source.namelist():
                if name != f"job/{lost}":
                    target.writestr(name, source.read(name))
                elif changed is not None:
                    target.writestr(name, changed)
        with pytest.raises(JournalError, match="no whole archive") as refused, unpacked(tmp_path / "other.zip"):
            pass
        assert len(str(refused.value).splitlines()) == 1
        assert lost in str(refused.value)


def test_half_an_archive_is_refused_in_one_line(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    half = tmp_path / "half.zip"
    half.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    assert cli.run(["status", str(half)]) == 5
    assert capsys.readouterr().err.count("no whole archive of a run") == 1


def test_what_is_unpacked_has_all_records(run: Path, archive: Path) -> None:
    with unpacked(archive) as folder:
        for one, other in zip(run_directories(run), run_directories(folder), strict=True):
            assert lines(one / "results.jsonl") == lines(other / "results.jsonl")


def _files(run: Path) -> dict[Path, bytes]:
    """All files but those that SQLite makes for every reader."""
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and "sqlite-" not in path.name}
