"""The notice at the end of a run: what the job's own program is given, and that nothing it does changes the run."""

import json
import os
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from pipeline import RunOptions, SpecError, run_job
from pipeline.cli import main as cli
from pipeline.journal.places import SUMMARY
from pipeline.run import notify
from pipeline.system.masking import hide
from tests.support.jobs import ACCOUNT, job, vendor
from tests.support.processes import PATIENCE_S

TELLS = """
import json, os, sys
open("told", "wb").write(sys.stdin.buffer.read())
json.dump(dict(os.environ), open("environ", "w"))
"""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the last words of a program be heard on the slowest machine."""
    monkeypatch.setattr(notify, "_LAST_WORDS_S", PATIENCE_S)


def run(folder: Path, *, code: str = TELLS, exit_code: int = 0, **keys: Any) -> Any:
    """Run a job of one picture whose program is `code`."""
    keys = {"command": [sys.executable, "-c", code], **keys}
    with vendor(folder) as server:
        spec = job(folder, url=server.url, pictures=1, notify=keys)
        options = RunOptions(environment={**ACCOUNT, "PATH": "/usr/bin"})
        limit = [] if exit_code == 0 else ["api.budget.search_calls=0"]
        summary = run_job(spec, overrides=limit, options=options)
    assert (summary.exit_code == 0) is (exit_code == 0)
    return summary


def test_the_program_gets_the_summary_as_the_file_has_it_and_the_exit_code(tmp_path: Path) -> None:
    summary = run(tmp_path)
    told = (tmp_path / "told").read_bytes()
    assert told == (tmp_path / "runs" / "job" / SUMMARY).read_bytes()
    assert json.loads(told)["items"]["settled"] == summary.items["settled"] == 1
    environ = json.loads((tmp_path / "environ").read_text())
    assert environ["PIPELINE_EXIT_CODE"] == "0"


def test_the_program_is_handed_no_credentials(tmp_path: Path) -> None:
    run(tmp_path)
    environ = (tmp_path / "environ").read_text()
    assert not [name for name in environ if name.startswith("PATSNAP_")]
    assert ACCOUNT["PATSNAP_CLIENT_SECRET"] not in environ


def test_a_run_that_ends_well_tells_nobody_where_only_problems_are_wanted(tmp_path: Path) -> None:
    run(tmp_path, when="problems")
    assert not (tmp_path / "told").exists()


def test_a_run_that_ends_early_is_told_with_its_reason(tmp_path: Path) -> None:
    summary = run(tmp_path, when="problems", exit_code=4)
    told = json.loads((tmp_path / "told").read_bytes())
    assert (told["exit_code"], told["exit_reason"]) == (summary.exit_code, summary.exit_reason)


def test_a_run_that_is_refused_before_its_first_call_is_told_too(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        spec = job(tmp_path, url=server.url, pictures=1, notify={"command": [sys.executable, "-c", TELLS]})
        (tmp_path / "list.csv").unlink()
        with pytest.raises(SpecError) as refused:
            run_job(spec, options=RunOptions(environment=ACCOUNT))
    told = json.loads((tmp_path / "told").read_bytes())
    assert (told["state"], told["exit_code"], told["job"]) == ("refused", 2, "job")
    assert told["exit_reason"] in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"command": ["/nowhere/mail"]}, "could not be started (No such file or directory)"),
        ({"code": "import sys; print('first'); sys.exit('no such mailbox')"}, "ended with code 1: no such mailbox"),
        ({"code": "import time; time.sleep(60)", "timeout_s": 0.2}, "was ended after 0.2 s (notify.timeout_s)"),
        ({"code": "pass"}, ""),
    ],
)
def test_a_program_that_fails_is_a_remark_and_the_run_stands(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, keys: Any, said: str
) -> None:
    summary = run(tmp_path, **keys)
    assert summary.exit_code == 0
    notes = [line for line in caplog.messages if "notified" in line]
    assert (said in notes[0]) if said else not notes


def test_a_program_that_fails_is_told_once_whether_the_command_is_quiet_or_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    with vendor(tmp_path) as server:
        spec = job(tmp_path, url=server.url, pictures=1, notify={"command": ["/nowhere/mail"]})
        for quiet in (["--quiet"], []):
            assert cli.run(["run", str(spec), "--yes", "--new", *quiet]) == 0
            assert capsys.readouterr().err.count("note: nobody was notified: `/nowhere/mail` could not be started") == 1
        (tmp_path / "list.csv").unlink()
        assert cli.run(["run", str(spec), "--yes", "--new"]) == 2
        assert capsys.readouterr().err.count("/nowhere/mail") == 1


def test_a_program_that_names_a_secret_shows_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hide(["hush-hush-1"])
    (tmp_path / "known").write_text("hush-hush-1")
    run(tmp_path, code="raise SystemExit('cannot log in as ' + open('known').read())")
    assert "cannot log in as ***" in caplog.text


def test_a_notice_that_nobody_reads_to_its_end_is_no_fault(tmp_path: Path) -> None:
    fault = notify._run([sys.executable, "-c", "pass"], b"x" * 10_000_000, {}, tmp_path, PATIENCE_S)
    assert fault == ""


def test_what_a_program_leaves_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ends")
    left = "import subprocess; subprocess.Popen(['cat'], stdin=open('ends'))"
    with (tmp_path / "ends").open("r+b", buffering=0):  # what is left ends when this is closed, and not before
        assert notify._run([sys.executable, "-c", left], b"", {}, tmp_path, 60) == ""


def test_of_a_program_that_says_very_much_the_end_is_kept(tmp_path: Path) -> None:
    said = "import sys; sys.stderr.write('x' * 10_000_000 + '\\nthe end'); sys.exit(1)"
    tracemalloc.start()
    assert notify._run([sys.executable, "-c", said], b"", {}, tmp_path, PATIENCE_S) == "ended with code 1: the end"
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("serch: {limit: 3}\n", "did you mean 'search'?"),
        ("search: {limit: 3\n", "this is not YAML"),
        ("api: {client_secret: abc}\n", "secrets do not belong in a job file"),
    ],
)
def test_a_job_file_that_is_refused_tells_whom_it_names(tmp_path: Path, lines: str, said: str) -> None:
    program = tmp_path / "tell.py"
    program.write_text(TELLS)
    path = tmp_path / "autumn.yaml"
    path.write_text(
        f"version: 1\nname: job\nimages: [{{url: 'https://example.com/1.jpg'}}]\nnotify:\n  # whom\n"
        f"  command: [{sys.executable}, tell.py]\n\n  when: problems\n{lines}"
    )
    assert cli.run(["run", str(path), "-q"]) == 2
    told = json.loads((tmp_path / "told").read_bytes())
    assert (told["job"], told["state"], told["exit_code"]) == ("autumn", "refused", 2)
    assert said in told["exit_reason"]


@pytest.mark.parametrize("section", ["notify: {command: [5]}", "notify: [", "x: &a 1\nnotify: *a", "", "\x00notify:"])
def test_a_job_file_that_names_nobody_tells_nobody(tmp_path: Path, section: str) -> None:
    path = tmp_path / "autumn.yaml"
    path.write_text(f"version: 1\nserch: 1\n{section}\n")
    assert cli.run(["run", str(path), "-q"]) == 2
    assert cli.run(["run", str(tmp_path / "gone.yaml"), "-q"]) == 2


def test_a_list_on_stdin_that_nobody_may_be_asked_about_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "urls").write_text("https://images.example.com/a.jpg\n")
    notify = {"command": [sys.executable, "-c", TELLS]}
    spec = job(tmp_path, url="http://127.0.0.1:9", notify=notify, images=[{"manifest": "-"}])
    with (tmp_path / "urls").open() as urls:
        monkeypatch.setattr(sys, "stdin", urls)
        assert cli.run(["run", str(spec), "-q"]) == 2
    assert "there is no terminal to ask on" in json.loads((tmp_path / "told").read_bytes())["exit_reason"]


def test_a_run_that_is_refused_by_its_credentials_is_told(tmp_path: Path) -> None:
    notify = {"command": [sys.executable, "-c", TELLS]}
    spec = job(tmp_path, url="https://connect.example.com", notify=notify, pictures=1)
    assert cli.run(["run", str(spec), "-q", "-y"]) != 0
    assert "PATSNAP_CLIENT_ID" in json.loads((tmp_path / "told").read_bytes())["exit_reason"]
