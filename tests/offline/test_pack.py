"""One archive of a run: whole, proved, read like the run directory itself, and never a way out of its folder."""

import errno
import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import RunLocked, RunOptions, SpecError, run_job
from pipeline.cli.main import run as cli
from pipeline.errors import JournalError
from pipeline.journal.places import RESULTS
from pipeline.offline.pack import SUMS, pack
from pipeline.offline.packed import unpacked
from pipeline.run.directory import known_runs, lock
from tests.support.jobs import job, lines
from tests.support.told import faults_in


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run of three pictures."""
    folder = tmp_path_factory.mktemp("packed")
    summary = run_job(job(folder, url="sandbox", pictures=3), options=RunOptions(environment={}))
    assert summary.ok
    return folder / "runs" / "job"


@pytest.fixture
def archive(finished: Path, tmp_path: Path) -> Path:
    """An archive of it."""
    return pack(finished, tmp_path / "kept.zip").path


def test_an_archive_holds_the_records_and_the_page_and_nothing_of_the_sandbox(finished: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        names = {name.removeprefix("job/") for name in packed.namelist()}
        assert packed.read("job/results.jsonl") == (finished / "results.jsonl").read_bytes()
    assert {"results.jsonl", "open.jsonl", "summary.json", "report.html", "spec.yaml", "journal.sqlite", SUMS} <= names
    assert not [name for name in names if name.startswith("sandbox/") or name in ("lock", ".ballast")]


def test_every_file_has_its_sum_as_sha256sum_reads_it(archive: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        sums = dict(reversed(line.split("  ")) for line in packed.read(f"job/{SUMS}").decode().splitlines())
        members = {name.removeprefix("job/"): packed.read(name) for name in packed.namelist()}
    del members[SUMS]
    assert sums == {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}


def test_the_same_run_makes_the_same_archive(finished: Path, archive: Path, tmp_path: Path) -> None:
    assert pack(finished, tmp_path / "again.zip").path.read_bytes() == archive.read_bytes()


def test_status_reads_an_archive_as_it_reads_the_run(
    finished: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(["status", str(archive), "--json", "--verify"]) == 0
    packed = json.loads(capsys.readouterr().out)
    assert cli(["status", str(finished), "--json"]) == 0
    assert packed == json.loads(capsys.readouterr().out) | {"run": str(archive)}


@pytest.mark.proofs
def test_report_makes_the_page_of_an_archive_in_one_file_and_notes_nothing_of_it(
    archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places = known_runs()
    assert places is not None
    noted = {path.name: path.read_bytes() for path in places.glob("*")}
    monkeypatch.chdir(archive.parent)
    before = archive.read_bytes()
    assert cli(["report", archive.name]) == 0
    out = capsys.readouterr().out
    page = archive.with_suffix(".html")
    assert f"look at: {page.name} (" in out
    assert "P0002" in page.read_text(encoding="utf-8")
    assert archive.read_bytes() == before
    assert {path.name: path.read_bytes() for path in places.glob("*")} == noted
    assert cli(["report", archive.name]) == 0  # anew, in its own place
    page.write_text("mine")
    assert cli(["report", archive.name]) == 2
    assert page.read_text() == "mine"


def test_an_archive_replaces_no_file(finished: Path, archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(SpecError, match="there already"):
        pack(finished, archive)
    assert archive.read_bytes() == before


@pytest.mark.proofs
def test_a_run_that_goes_on_is_not_packed(finished: Path, tmp_path: Path) -> None:
    with lock(finished), pytest.raises(RunLocked):
        pack(finished, tmp_path / "early.zip")
    assert not list(tmp_path.iterdir())


def test_a_folder_without_a_run_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no run here"):
        pack(tmp_path, tmp_path / "none.zip")


def test_names_that_need_words_of_their_own_are_packed_and_proved(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    odd = ["a\nb.txt", "back\\slash", "back\\nslash", "\u2028.txt", "..dots"]
    for name in odd:
        (run / name).write_text(name)
    with unpacked(pack(run, None).path) as folder:
        assert [(folder / name).read_text() for name in odd] == odd


def test_a_run_is_packed_from_within(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished, tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    assert pack(Path(), None).path == tmp_path / "run.zip"


def test_a_disk_without_hard_links_takes_an_archive(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("pipeline.offline.pack.os.link", refused)
    with unpacked(pack(finished, tmp_path / "run.zip").path) as folder:
        assert lines(folder / "results.jsonl")


def test_what_is_unpacked_is_gone_afterwards(finished: Path, archive: Path) -> None:
    with unpacked(archive) as folder:
        assert lines(folder / "results.jsonl") == lines(finished / "results.jsonl")
    assert not folder.parent.exists()


def rewritten(archive: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> Path:
    """The archive with each member changed, or left out."""
    other = archive.with_name("other.zip")
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(other, "w") as to:
        for name in source.namelist():
            if (changed := change(name, source.read(name))) is not None:
                to.writestr(*changed)
    return other


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda name, data: (name, data + b"\n" if "results" in name else data),
            "results.jsonl is not what was packed",
        ),
        (lambda name, data: None if "results" in name else (name, data), "results.jsonl is missing"),
        (lambda name, data: None if SUMS in name else (name, data), f"it has no {SUMS}"),
        (lambda name, data: (name, b"0  ../../up\n" if SUMS in name else data), "outside of itself"),
        (lambda name, data: (name, b"0  /etc/up\n" if SUMS in name else data), "outside of itself"),
        (lambda name, data: (f"/{SUMS}" if SUMS in name else name, data), "a folder outside of itself"),
        (lambda name, data: (f"//{SUMS}" if SUMS in name else name, data), "a folder outside of itself"),
        (lambda name, data: (f"../{SUMS}" if SUMS in name else name, data), "a folder outside of itself"),
        (lambda name, data: (name, data * 2 if SUMS in name else data), "no whole archive of a run"),
    ],
)
def test_an_archive_that_was_changed_is_refused_in_one_line(
    archive: Path, change: Callable[[str, bytes], tuple[str, bytes] | None], said: str
) -> None:
    with pytest.raises(JournalError, match=said), unpacked(rewritten(archive, change)):
        pass


@pytest.mark.parametrize("command", [["status", "--verify"], ["report"]])
def test_a_fault_in_a_packed_run_is_told_of_the_archive(
    finished: Path, tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    data = bytearray((run / RESULTS).read_bytes())
    data[len(data) // 2] ^= 1
    (run / RESULTS).write_bytes(data)
    packed = pack(run, tmp_path / "damaged.zip").path
    assert cli([*command, str(packed)]) == 5
    [told] = faults_in(capsys.readouterr().err)
    assert (told.at, told.fix) == (f"{packed}: run/{RESULTS}", "")


@pytest.mark.parametrize("command", ["run", "check", "plan", "decisions", "clean"])
def test_an_archive_is_no_job_file(archive: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli([command, str(archive)]) == 2
    assert "an archive of a run is only looked at" in capsys.readouterr().err


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -30])
def test_half_an_archive_is_refused_in_one_line(archive: Path, cut: int) -> None:
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(JournalError, match="no whole archive of a run"), unpacked(archive):
        pass
