"""A run that dies at any write of the making of its journal: nothing was sent, so every command lets it begin anew."""

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from pipeline.journal.begun import has_begun
from pipeline.journal.places import JOURNAL, RESULTS, SPOOL
from pipeline.journal.storage import open_disk
from pipeline.run.directory import known_runs
from pipeline.sandbox.server import SandboxServer
from pipeline.sandbox.tasks import read_tasks
from tests.proof.power_loss import fast_folder
from tests.proof.recorder import recording
from tests.proof.tape import Names, Tape, Truncate, Write
from tests.proof.workload import LOCAL, REMOTE
from tests.support.fakes import NOW, states
from tests.support.jobs import ACCOUNT, job, vendor
from tests.support.lengths import THOROUGH
from tests.support.told import faults_in

ITEMS = 2
Files = dict[str, bytes]
MOUNTS = {"with a write-ahead log": LOCAL, "on a network file system": REMOTE}
LOOKING = ("status", "report", "retry", "resolve", "repair", "plan", "verify")


def making(mounts: str) -> list[Files]:
    """What lies in a run directory after each write of its making, and in the middle of each: the states of a kill."""
    with fast_folder() as folder:
        tape = Tape(Path(folder))
        with (
            recording(tape) as connecting,
            closing(open_disk(Path(folder), now=NOW, connect=connecting, mounts=MOUNTS[mounts])),
        ):
            events = list(tape.events)
    found: list[Files] = [{}]
    names: dict[str, int] = {}
    content: dict[int, bytes] = {}
    for event in events:
        match event:
            case Names(0, changed):
                names = {name: node for name, node in (names | dict(changed)).items() if node is not None}
            case Truncate(node, size):
                content[node] = content.get(node, b"")[:size].ljust(size, b"\0")
            case Write(node, offset, data):
                for part in (data[: len(data) // 2], data):
                    before = content.get(node, b"").ljust(offset, b"\0")
                    content[node] = before[:offset] + part + before[offset + len(part) :]
                    found.append({name: content.get(child, b"") for name, child in names.items()})
        found.append({name: content.get(child, b"") for name, child in names.items()})
    return [state for n, state in enumerate(found) if state not in found[:n]]


class Killed:
    """A job whose first run was killed at some moment of its first milliseconds."""

    def __init__(self, folder: Path, server: SandboxServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.run = folder, folder / "runs/job"
        self.path = job(folder, url=server.url, pictures=ITEMS)
        self._capsys = capsys

    def leaves(self, files: Files) -> None:
        notes = known_runs()
        assert notes is not None
        for folder in (self.run, notes):  # what a command before it noted is not of this moment
            shutil.rmtree(folder, ignore_errors=True)
        self.run.mkdir(parents=True)
        (self.run / "lock").touch()
        for name, data in files.items():
            (self.run / name).write_bytes(data)

    def command(self, name: str) -> tuple[int, str]:
        words: dict[str, list[str | Path]] = {
            "status": ["status", self.run],
            "verify": ["status", self.run, "--verify"],
            "report": ["report", self.run],
            "retry": ["retry", self.run, "--only", "in-doubt"],
            "resolve": ["resolve", self.run, "--all", "not-created"],
            "repair": ["repair", self.run],
            "plan": ["plan", self.path],
            "run": ["run", self.path, "-q"],
        }
        code = cli.run([str(word) for word in words[name]])
        out, err = self._capsys.readouterr()
        return code, out + err


@pytest.fixture
def killed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Killed]:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    with vendor(tmp_path) as server:
        yield Killed(tmp_path, server, capsys)


@pytest.mark.parametrize("mounts", MOUNTS)
def test_after_a_kill_at_any_write_of_its_making_no_command_asks_for_a_repair(killed: Killed, mounts: str) -> None:
    """Not even `repair` puts anything in doubt, and the next run pays for each item once."""
    moments = making(mounts)
    unmade = runs = 0
    every = 1 if THOROUGH else 4
    for number, files in enumerate(moments[::every], start=1):
        killed.leaves(files)
        begun = has_begun(killed.run)
        unmade += not begun
        if begun and number % 4:  # a journal that is laid out, and has no item yet
            continue
        runs += 1
        for name in LOOKING if THOROUGH else LOOKING[number % 3 :: 3]:
            killed.leaves(files)
            code, said = killed.command(name)
            assert "pipeline repair" not in said, (number, name, said)
            assert "damaged" not in said, (number, name, said)
            assert name != "plan" or code == 0, (number, said)
            if name == "repair":
                assert "in doubt" not in said, (number, said)
            elif not begun and (killed.run / JOURNAL).exists() and name != "plan":
                assert "begins anew" in said, (number, name, said)
        assert killed.command("run")[0] == 0, number  # after the last of them, in what that has left
        assert set(states(killed.run).values()) == {states(killed.run)["P0000"]}
        tasks = Counter(task.urls for task in read_tasks(killed.folder / "vendor"))
        assert set(tasks.values()) == {runs}, number
    assert 3 < unmade * every < len(moments)


def stub() -> Files:
    """A journal that has its header alone, as most kills of a journal's making leave it."""
    [first, *_] = [files for files in making("with a write-ahead log") if len(files.get(JOURNAL, b"")) == 4096]
    return first


@pytest.mark.parametrize("name", [*LOOKING, "run"])
def test_a_journal_without_a_table_is_said_to_begin_anew(killed: Killed, name: str) -> None:
    killed.leaves(stub())
    code, said = killed.command(name)
    assert code == {"plan": 0, "run": 0, "repair": 0, "status": 5, "verify": 5}.get(name, 2), said
    assert "pipeline repair" not in said
    assert name in ("plan", "run") or "begins anew" in said


PAID = {
    "a line of results": (RESULTS, b'{"item":"P0000"}\n'),
    "the note of an identity": (".identity", b"{}"),
    "hits that were paid for": (f"{SPOOL}/00000001.spool", b"[]"),
    "the job as it was run": ("spec.yaml", b"version: 1\n"),
    "an item in doubt": ("open.jsonl", b'{"item":"P0000","status":"in_doubt"}\n'),
    "lines of an emergency": ("emergency-20260101T000000Z-1.jsonl", b"{}\n"),
    "a journal set aside": (f"{JOURNAL}.damaged-1", b"-"),
}


@pytest.mark.parametrize("journal", ["header alone", "empty", "gone"])
@pytest.mark.parametrize("beside", PAID)
def test_it_never_begins_anew_beside_what_may_have_been_paid(killed: Killed, beside: str, journal: str) -> None:
    killed.leaves({"header alone": stub(), "empty": {JOURNAL: b""}, "gone": {}}[journal])
    name, data = PAID[beside]
    (killed.run / name).parent.mkdir(exist_ok=True)
    (killed.run / name).write_bytes(data)
    for command in ("plan", "run"):
        code, said = killed.command(command)
        assert (code, len(faults_in(said))) == (5, 1), said
        assert f"pipeline repair {killed.run}" in said
    assert (killed.run / name).read_bytes() == data
    assert not list(read_tasks(killed.folder / "vendor"))
