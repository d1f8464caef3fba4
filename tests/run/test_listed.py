"""A job whose list comes in on stdin: kept before the first call, gone on with, and never paid for unasked."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.jobs import ACCOUNT, drawings, job, lines, vendor
from tests.support.processes import PATIENCE_S, running

STORED = "runs/job/stdin.txt"


def listed(folder: Path, url: str) -> None:
    path = job(folder, url=url)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"images": [{"manifest": "-"}]}))


def call(folder: Path, *arguments: str, given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *arguments]
    with running(command, cwd=folder, env={**os.environ, **ACCOUNT}, stdin=subprocess.PIPE) as process:
        out, err = process.communicate(given, timeout=PATIENCE_S)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.proofs
def test_a_list_is_kept_and_gone_on_with(tmp_path: Path) -> None:
    urls = "".join(f"{url}\n" for url in drawings(3))
    with vendor(tmp_path) as server:
        listed(tmp_path, server.url)
        plan = call(tmp_path, "plan", "job.yaml", "--json", given=urls)
        assert json.loads(plan.stdout)["calls"]["search"] == 3
        assert call(tmp_path, "check", "job.yaml", given=urls).returncode == 0
        assert not (tmp_path / "runs").exists()
        first = call(tmp_path, "run", "job.yaml", "--yes", "--quiet", "--limit", "1", given=urls)
        assert first.returncode == 1, first.stderr
        assert (tmp_path / STORED).read_text() == urls
        other = call(tmp_path, "run", "job.yaml", "--yes", "--quiet", given=f"{urls}{drawings(4)[3]}\n")
        assert other.returncode == 2
        assert "another one came in on stdin; nothing was sent" in other.stderr
        assert "fix: pipeline run job.yaml --yes --quiet --new" in other.stderr
        looked = call(tmp_path, "check", "job.yaml", given=f"{urls}{drawings(4)[3]}\n")
        assert "fix: pipeline run job.yaml --new" in looked.stderr
        rest = call(tmp_path, "run", "job.yaml", "--yes", "--quiet", given="")
        assert rest.returncode == 0, rest.stderr
        assert server.stats.executed["create"] == 3
        written = {line["image"]["url"] for line in lines(tmp_path / "runs/job/results.jsonl")}
        assert written == set(drawings(3))
        again = call(tmp_path, "run", "job.yaml", "--yes", "--quiet", "--new", given=urls)
        assert (again.returncode, server.stats.executed["create"]) == (0, 6)


@pytest.mark.proofs
def test_a_line_is_corrected_in_the_copy_that_the_run_goes_on_with(tmp_path: Path) -> None:
    first, second = drawings(2)
    with vendor(tmp_path) as server:
        listed(tmp_path, server.url)
        run = call(tmp_path, "run", "job.yaml", "--yes", "--quiet", given=f"{first}\nhttps//{second}\n")
        assert run.returncode == 1
        assert "correct line 2 of " in run.stderr
        assert STORED in run.stderr
        (tmp_path / STORED).write_text(f"{first}\n{second}\n")
        again = call(tmp_path, "run", "job.yaml", "--yes", "--quiet", given="")
        assert again.returncode == 0, again.stderr
        assert server.stats.executed["create"] == 2


@pytest.mark.proofs
def test_a_list_is_not_paid_for_unasked(tmp_path: Path) -> None:
    with vendor(tmp_path) as server:
        listed(tmp_path, server.url)
        done = call(tmp_path, "run", "job.yaml", given=f"{drawings(1)[0]}\n")
        assert done.returncode == 2
        assert "there is no terminal to ask on before it is paid for; nothing was sent" in done.stderr
        assert "fix: pipeline run job.yaml --yes" in done.stderr
        nothing = call(tmp_path, "run", "job.yaml", "--yes", given="")
        assert nothing.returncode == 2
        assert "nothing came in there; pipe it in, one URL a line" in nothing.stderr
        assert server.stats.executed == {}


@pytest.mark.proofs
@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 2)])
def test_the_question_is_asked_on_the_terminal_behind_the_list(tmp_path: Path, answer: str, code: int) -> None:
    """The process is the leader of a session whose terminal is the pseudo-terminal, as one that a shell starts."""
    ours, theirs = pty.openpty()
    name = os.ttyname(theirs)
    begin = f"import os, sys; os.open({name!r}, os.O_RDWR); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    with vendor(tmp_path) as server:
        listed(tmp_path, server.url)
        (tmp_path / "urls").write_text("".join(f"{url}\n" for url in drawings(2)))
        command = [sys.executable, "-c", begin, "-m", "pipeline", "run", "job.yaml", "--quiet"]
        streams = {"stdout": theirs, "stderr": theirs}
        environment = {**os.environ, **ACCOUNT}
        with (
            (tmp_path / "urls").open() as given,
            running(command, cwd=tmp_path, env=environment, stdin=given, start_new_session=True, **streams) as process,
        ):
            os.close(theirs)
            os.write(ours, answer.encode())
            said = b""
            while part := _read(ours):
                said += part
            os.close(ours)
            assert process.wait(timeout=PATIENCE_S) == code, said.decode()
        assert b"will be sent 4 calls" in said
        assert server.stats.executed.get("create", 0) == (2 if code == 0 else 0)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says EIO when the other side is gone
        return b""
