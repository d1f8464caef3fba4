"""What leaves the program: no text that drives a terminal, no file that others can read, no loose credentials."""

import json
import os
import time
from pathlib import Path

import pytest

from pipeline.cli import screen as show
from pipeline.cli.errors import say
from pipeline.job.environment import read_environment
from tests.support.jobs import ACCOUNT, FaultPlan, drawings, job, lines, pipeline, started, vendor
from tests.support.lengths import some
from tests.support.processes import ended

ESC, BIDI, C1 = "\x1b]0;owned\x07\x1b[2J\x1b[31m", "\u202e\u2066\u200b\ufeff", "\x9b31m\x85"
FORMULAS = ["=cmd|' /C calc'!A0", "+1+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]


def test_a_line_on_stderr_holds_nothing_that_drives_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"a{ESC}b{BIDI}c{C1}d\u2028e")
    said = capsys.readouterr().err
    assert said.rstrip("\n").isprintable()
    assert said.startswith("a?]0;owned??[2J?[31mb")


def test_rows_and_lines_on_stdout_hold_nothing_that_drives_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show.show_lines([f"{ESC}{BIDI}{C1}[bold]text[/bold]\n\r"])
    show.show_rows([(ESC, BIDI)])
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.split("\n"))
    assert "[bold]text[/bold]" in out  # no markup either


@pytest.mark.parametrize("text", some([ESC, BIDI, C1, *FORMULAS], ESC, BIDI, C1, FORMULAS[0]))
def test_hostile_ids_and_labels_stay_text_in_every_file_and_on_every_screen(tmp_path: Path, text: str) -> None:
    """In a manifest, where a person may not look: as an id, as a label and as a file name."""
    rows = [
        {"id": f"{text}-1", "url": drawings(2)[0], "client": text},
        {"id": "plain", "url": drawings(2)[1], text: text},
        {"id": "local", "path": f"{text}.jpg"},
        {"id": "bad", "url": text},
    ]
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=1)
        (tmp_path / "list.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        spec = {**json.loads(path.read_text()), "images": [{"manifest": "list.jsonl"}], "upload": {"public": True}}
        path.write_text(json.dumps(spec))
        done = pipeline("run", path, cwd=tmp_path, **ACCOUNT)
    status = pipeline("status", "runs/job", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    screens = "\n".join([done.stdout, done.stderr, status.stdout, status.stderr])
    assert all(line.isprintable() for line in screens.split("\n"))
    run = tmp_path / "runs/job"
    for name in ("open.jsonl", "run.log.jsonl", "summary.json"):
        raw = (run / name).read_bytes()
        assert raw.isascii()
        assert all(byte >= 32 or byte == 10 for byte in raw)
    assert b"\x1b" not in (run / "results.jsonl").read_bytes()
    page = (run / "report.html").read_text()
    assert not [char for char in set(page) if not char.isprintable() and char != "\n"]
    seen = {record["item"] for name in ("results.jsonl", "open.jsonl") for record in lines(run / name)}
    assert len(seen) == 4


def test_a_vendors_error_text_drives_no_terminal(tmp_path: Path) -> None:
    """The sandbox says its texts plainly; what a hostile one says goes the same way as an item's id above."""
    with vendor(tmp_path, faults=FaultPlan.parse("search:68300010=1")) as server:
        done = pipeline("run", job(tmp_path, url=server.url, pictures=2), cwd=tmp_path, **ACCOUNT)
    assert all(line.isprintable() for line in (done.stdout + done.stderr).split("\n"))


def test_every_file_of_a_run_is_private_while_it_runs_and_after(tmp_path: Path) -> None:
    """Whatever the caller's umask: also SQLite's own files, the spool, the ballast and what is half written."""
    run = tmp_path / "runs/job"
    before = os.umask(0)
    try:
        with vendor(tmp_path, latency_s=0.05, faults=FaultPlan.parse("create:68300010@3")) as server:
            path = job(tmp_path, url=server.url, pictures=60, api={"qps": 30})
            seen: dict[str, int] = {}
            with started("run", path, "-q", cwd=tmp_path, **ACCOUNT) as process:
                while process.poll() is None:
                    for file in [run, *run.rglob("*")] if run.exists() else []:
                        try:
                            seen[file.name] = seen.get(file.name, 0) | (file.stat().st_mode & 0o777)
                        except OSError:
                            continue  # gone meanwhile
                    time.sleep(0.002)
                _, said = ended(process)
    finally:
        os.umask(before)
    assert process.returncode == 1, said
    names = {"journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm", "results.jsonl", "run.log.jsonl", "lock"}
    assert names | {"spool", ".ballast", "00000001.spool"} <= set(seen)
    assert {name: oct(mode) for name, mode in seen.items() if mode & 0o077} == {}
    assert not run.stat().st_mode & 0o077


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o666, 0o602])
def test_an_env_file_that_others_can_open_is_remarked_on(tmp_path: Path, mode: int) -> None:
    (tmp_path / ".env").write_text("PATSNAP_API_KEY=sandbox-key\n")
    (tmp_path / ".env").chmod(mode)
    remark = read_environment(tmp_path / "job.yaml", {}).remark
    assert remark is not None
    assert f"mode {mode:04o}" in remark
    assert f"chmod 600 {tmp_path / '.env'}" in remark


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_an_env_file_of_ones_own_is_not(tmp_path: Path, mode: int) -> None:
    (tmp_path / ".env").write_text("PATSNAP_API_KEY=sandbox-key\n")
    (tmp_path / ".env").chmod(mode)
    assert read_environment(tmp_path / "job.yaml", {}).remark is None
    assert read_environment(tmp_path / "elsewhere" / "job.yaml", {}).remark is None


def test_the_remark_is_one_line_on_stderr_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PATSNAP_API_KEY=sandbox-key\n")
    (tmp_path / ".env").chmod(0o644)
    with vendor(tmp_path) as server:
        done = pipeline("run", job(tmp_path, url=server.url, pictures=1), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if ".env" in line] == [
        f"note: {tmp_path / '.env'} is open to others on this machine (mode 0644); "
        f"close it with: chmod 600 {tmp_path / '.env'}"
    ]
    assert "sandbox-key" not in done.stderr
