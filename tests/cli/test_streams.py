"""Streams that are closed, full or not read: the code says what became of the output; no run ends for its progress."""

import os
import pty
import select
import shutil
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.jobs import ACCOUNT, drawings, job, lines, vendor
from tests.support.lengths import THOROUGH, some
from tests.support.processes import completed, ended, python, running, until_lines

PIPELINE = [sys.executable, "-m", "pipeline"]
ON_THE_SANDBOX = {"url": "sandbox", "pictures": drawings(1)}
START = "import os, sys\nfrom pipeline.cli import main as cli\n"
OFTEN = "from pipeline.cli import live\nlive.PLAIN_EVERY_S = 0.0\n"  # a line of progress at every beat


def through_shell(redirection: str, *arguments: str | Path, cwd: Path) -> tuple[int, str]:
    """Run a command with its streams as a shell redirects them; return its exit code and what it said on stderr."""
    command = " ".join([*PIPELINE, *map(str, arguments)])
    done = completed(["bash", "-c", f"{command} {redirection}; exit ${{PIPESTATUS[0]}}"], cwd=cwd)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a job that has been run."""
    folder = tmp_path_factory.mktemp("ran")
    path = job(folder, **ON_THE_SANDBOX)
    assert completed([*PIPELINE, "run", path, "-q"], cwd=folder).returncode == 0
    return folder


@pytest.fixture
def done(ran: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(ran, tmp_path / "done"))


def test_results_are_shown_where_a_terminal_is_said_to_have_no_columns(ran: Path) -> None:
    shown = completed([*PIPELINE, "status", "runs/job"], cwd=ran, env={**os.environ, "COLUMNS": "0"})
    assert (shown.returncode, "settled" in shown.stdout) == (0, True)


SHOWING = [
    ("run", "job.yaml"),
    ("run", "job.yaml", "--json", "-q"),
    ("plan", "job.yaml", "--quick"),
    ("status", "runs/job", "--json"),
    ("--help",),
]


@pytest.mark.proofs
@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        pytest.param("| true", 141, "", id="closed pipe"),
        pytest.param(
            ">/dev/full",
            5,
            "the output cannot be written: No space left on device",
            id="full",
            marks=pytest.mark.proofs,
        ),
        pytest.param(">&-", 5, "the output cannot be written: stdout is closed", id="closed", marks=pytest.mark.proofs),
    ],
)
def test_an_output_that_does_not_arrive_is_a_code_and_at_most_one_line(
    done: Path, redirection: str, code: int, said: str
) -> None:
    for arguments in SHOWING if THOROUGH else SHOWING[::2]:
        found, err = through_shell(redirection, *arguments, cwd=done)
        own = [line for line in err.splitlines() if not line.startswith("note: ")]
        assert (found, len(own)) == (code, bool(said)), (arguments, err)
        assert err.startswith(f"error: {said}" if said else "") or "note: " in err, arguments


@pytest.mark.proofs
def test_a_code_that_says_more_stands(tmp_path: Path) -> None:
    assert through_shell("--frob | true", "run", "job.yaml", cwd=tmp_path)[0] == 2


@pytest.mark.proofs
@pytest.mark.parametrize(
    "redirection", some(["<&-", "2>/dev/full", "2>&1 >/dev/null | true", "<&- 2>&-"], "<&- 2>&-", "2>/dev/full")
)
def test_stdin_and_stderr_may_be_closed(done: Path, redirection: str) -> None:
    assert through_shell(redirection, "run", "job.yaml", cwd=done)[0] == 0
    assert through_shell(redirection, "check", "nowhere.yaml", cwd=done)[0] == 2


@pytest.mark.proofs
def test_no_file_of_a_run_becomes_a_stream_that_was_closed(done: Path) -> None:
    code = f"{START}import atexit\natexit.register(lambda: os.write(2, b'noise'))\ncli.main()"
    shell = f'{sys.executable} -c "$0" run job.yaml --new -q <&- >&- 2>&-'
    assert completed(["bash", "-c", shell, code], cwd=done).returncode == 0
    assert len(lines(done / "runs/job.2/results.jsonl")) == 1


def slow_run(folder: Path, url: str) -> list[str]:
    path = job(folder, url=url, pictures=8, api={"qps": 8})
    return python(f"{START}{OFTEN}cli.main()", "run", path)


@pytest.mark.proofs
@pytest.mark.parametrize("gone", ["full", "pipe"])
def test_progress_that_cannot_be_written_ends_no_run(tmp_path: Path, gone: str) -> None:
    with vendor(tmp_path) as server:
        command: Sequence[str] = slow_run(tmp_path, server.url)
        reader, writer = os.pipe()
        with (
            open("/dev/full", "w") as full,
            running(
                command, cwd=tmp_path, env={**os.environ, **ACCOUNT}, stderr=full if gone == "full" else writer
            ) as run,
        ):
            os.close(writer)
            until_lines(tmp_path / "runs/job/results.jsonl", by=run)
            os.close(reader)
            out, _ = ended(run)
    assert run.returncode == 0
    assert "all items are settled" in out


@pytest.mark.proofs
def test_nobody_waits_for_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    while select.select([], [writer], [], 0)[1]:
        os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    with vendor(tmp_path) as server:
        command = slow_run(tmp_path, server.url)
        with running(command, cwd=tmp_path, env={**os.environ, **ACCOUNT}, stderr=writer) as run:
            ended(run)
    os.close(writer)
    os.close(reader)
    assert run.returncode == 0


@pytest.mark.proofs
def test_nobody_waits_for_a_terminal_that_is_halted(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with vendor(tmp_path) as server:
        command = [*slow_run(tmp_path, server.url), "--yes"]
        environment = {**os.environ, **ACCOUNT, "TERM": "xterm"}
        with running(command, cwd=tmp_path, env=environment, stdin=theirs, stderr=theirs) as run:
            os.read(ours, 1)  # the table is shown
            termios.tcflow(theirs, termios.TCOOFF)
            ended_well = ended(run)
            os.close(theirs)
    os.close(ours)
    assert run.returncode == 0, ended_well


@pytest.mark.proofs
@pytest.mark.parametrize("obstacle", ["folder", "full"])
def test_a_log_that_cannot_be_written_ends_no_run(done: Path, obstacle: str) -> None:
    log = done / "runs/job.2/run.log.jsonl"
    if obstacle == "folder":
        log.mkdir(parents=True)
        code = "cli.main()"
    else:
        code = "from pipeline.run import directory, local\nlocal.LOG = '/dev/full'\ncli.main()"
    ran = completed(python(START + code, "run", "job.yaml"), cwd=done)
    assert (ran.returncode, "all items are settled" in ran.stdout) == (0, True), ran.stderr
    assert ("run.log.jsonl cannot be written (Is a directory)" in ran.stderr) is (obstacle == "folder")
