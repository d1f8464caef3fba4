"""A failed command: as few lines as it needs on stderr, and the exit code that README lists."""

import io
import sqlite3

import pytest

from pipeline.cli.asking import ask
from pipeline.cli.errors import explain, printable, say
from pipeline.errors import JournalError, SpecError
from pipeline.system.fault import Fault
from pipeline.system.masking import hide
from pipeline.system.signals import Stop


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        pytest.param(SystemExit(3), 3, "", id="exit"),
        pytest.param(SystemExit("text"), 1, "", id="exit with a text"),
        pytest.param(SpecError("job.yaml:1: no name", "job.yaml:2: no images"), 2, "job.yaml:1: no name\n", id="job"),
        pytest.param(JournalError("the disk is full"), 5, "the disk is full\n", id="journal"),
        pytest.param(KeyboardInterrupt(), 130, "stopped; run again to go on\n", id="Ctrl-C"),
        pytest.param(BrokenPipeError(), 141, "", id="closed pipe"),
        pytest.param(
            PermissionError(13, "Permission denied", "x"),
            5,
            "error: Permission denied; mend it and run again\n  at: x\n",
            id="file",
        ),
        pytest.param(OSError("no number"), 5, "error: the output cannot be written: no number; send it", id="output"),
        pytest.param(
            OSError(9, "Bad file descriptor"), 5, "error: the output cannot be written: stdout is closed", id="closed"
        ),
        pytest.param(
            FileNotFoundError(2, "No such file"), 5, "error: the current folder is not there any more", id="folder"
        ),
        pytest.param(Stop(1), 129, "stopped by SIGHUP; run again to go on\n", id="SIGHUP"),
        pytest.param(
            sqlite3.OperationalError("locked"), 5, "error: the journal cannot be read or written: locked", id="SQLite"
        ),
    ],
)
def test_an_expected_failure_is_said_plainly(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    assert explain(error) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(said)
    assert bool(err) is bool(said)


def test_every_fault_of_a_job_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    explain(SpecError("one", "two"))
    assert capsys.readouterr().err == "one\ntwo\n"


def test_every_reason_of_a_journal_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(JournalError(Fault("nothing to look at", where="job"), "shard 0000 is missing")) == 5
    assert capsys.readouterr().err == "error: nothing to look at\n  at: job\nshard 0000 is missing\n"


def test_stderr_holds_no_secret_and_no_control_character(capsys: pytest.CaptureFixture[str]) -> None:
    hide(["a-secret-of-test-errors"])
    say("a\x1b[31mb a-secret-of-test-errors\nsecond \u202e line")
    assert capsys.readouterr().err == "a?[31mb ***\nsecond ? line\n"
    assert printable("tab\t and\n break") == "tab? and? break"


@pytest.mark.parametrize(("answer", "goes_on"), [("y\n", True), (" YES \n", True), ("n\n", False), ("", False)])
def test_only_yes_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answer: str, goes_on: bool
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    if goes_on:
        ask("2 calls will be paid")
    else:
        with pytest.raises(SpecError, match="nothing was sent"):
            ask("2 calls will be paid")
    assert capsys.readouterr() == ("", "2 calls will be paid\nGo on? [y/N] ")
