"""A machine on which the shared folder is not mounted: all commands say so in a line, and leave the place alone."""

from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.cluster.detached import Order
from pipeline.cluster.ray import ABSENT, _work

JOB = """\
version: 1
name: many
images: [{url: 'https://sandbox.invalid/products/a.jpg'}]
api: {base_url: sandbox}
cluster: {shared: shared}
"""
BY_JOB = ["work", "work --processes 2", "status", "report", "export --to csv", "collect", "bill", "pack"]


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a job beside an empty folder, as a mount point is where nothing is mounted."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.yaml").write_text(JOB)
    (tmp_path / "shared").mkdir(mode=0o700)
    return tmp_path / "shared"


@pytest.mark.parametrize("command", [*BY_JOB, "cluster down"])
def test_what_takes_a_job_says_that_no_run_was_split_here_and_makes_nothing(
    command: str, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.split()
    behind = ["w1"] if command == "cluster down" else []
    line = ["cluster", "down", "job.yaml", *behind] if behind else [words[0], "job.yaml", *words[1:]]
    assert cli.run(line) == 5
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[0].strip() for line in told] == ["error", "at", "fix"]
    assert told[0].startswith("error: no run that was split is here: `pipeline split JOB`")
    assert "is not mounted on this one" in told[0]
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize("command", ["resolve RUN --all retry", "retry RUN --only failed", "status RUN", "collect RUN"])
def test_what_takes_a_run_says_that_none_is_here_and_makes_nothing(
    command: str, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(command.replace("RUN", "shared/many").split()) == 2
    assert "not mounted" in capsys.readouterr().err
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize(
    "command", ["split job.yaml", "split job.yaml --prepare", "cluster run job.yaml --yes", "cluster check job.yaml"]
)
def test_what_begins_a_run_makes_no_folder_for_machines_to_share(
    command: str, shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared.rmdir()
    assert cli.run(command.split()) == 5
    told = capsys.readouterr().err.splitlines()
    assert f"error: {shared} is not there; a file system that is not mounted looks the same" in told[0]
    assert told[1:] == ["  at: cluster.shared", f"  fix: mkdir -p -m 700 {shared}"]
    assert not shared.exists()


def test_a_split_says_that_its_folder_is_one_that_no_other_machine_sees(
    shared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"note: {shared} is on a disk of this machine, which no other machine sees\n"
    assert cli.run(["split", "job.yaml"]) == 0
    assert capsys.readouterr().err == said
    monkeypatch.setattr("pipeline.cli.commands.split.network_file_system", lambda _: "nfs4")
    assert cli.run(["split", "job.yaml"]) == 0
    assert capsys.readouterr().err == ""


def test_a_worker_for_a_node_that_does_not_see_the_run_is_not_started(shared: Path) -> None:
    order = Order(str(shared / "many"), "w1", ("-c", "raise SystemExit"), str(shared), "1")
    assert _work(order._asdict(), []) == ABSENT
    assert list(shared.iterdir()) == []
