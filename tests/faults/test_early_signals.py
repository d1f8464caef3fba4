"""Signals before a run works, and to commands that only look: they end at once, with one line, and nothing is sent."""

import os
import shutil
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest
from platformdirs import user_state_path

from pipeline import RunOptions, run_job
from pipeline.calls.account import account_of, use_account
from pipeline.endpoints.patsnap.credentials import Credentials
from tests.support.jobs import ACCOUNT, job, pipeline, vendor
from tests.support.processes import completed, python

ENDING = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
NAMES = [number.name for number in ENDING]

# The child sends the signal to itself, so that the moment is the same on every machine.
START = "import os, sys\nfrom pipeline.cli import main as cli\n"
FINDER = """
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["MODULE"]:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(os.environ["NUMBER"]))

sys.meta_path.insert(0, Finder())
"""
WHEN_LOADED = f"{FINDER}cli.main()"
ENTRIES = {
    "python -m": "import runpy\nrunpy.run_module('pipeline', run_name='__main__')",
    "command": "from pipeline.__main__ import main\nsys.exit(main())",
}
WHILE_IT_WAITS = """
import threading, time
sleep = time.sleep

def sleeping(seconds):
    if threading.current_thread() is threading.main_thread():  # another thread looks for signals that nobody hears
        os.kill(os.getpid(), int(os.environ["NUMBER"]))
    sleep(seconds)

time.sleep = sleeping
cli.main()
"""
WHILE_SOURCES_ARE_READ = """
from pipeline.engine import intake
read, count = intake._next_batch, []
intake.BATCH = 2

def reading(source):
    count.append(source)
    if len(count) == 2:
        os.kill(os.getpid(), int(os.environ["NUMBER"]))
    return read(source)

intake._next_batch = reading
cli.main()
"""
WHILE_PICTURES_ARE_LOOKED_AT = """
from pipeline.sources import inspection
look = inspection._verdict_on

def looking(*picture):
    os.kill(os.getpid(), int(os.environ["NUMBER"]))
    return look(*picture)

inspection._verdict_on = looking
cli.main()
"""


def stopped(code: str, *arguments: str | Path, cwd: Path, number: int, module: str = "") -> tuple[int, list[str]]:
    """Run the command line in `code`; return its exit code and the lines on stderr."""
    environment = {**ACCOUNT, "NUMBER": str(int(number)), "MODULE": module}
    done = pipeline(*arguments, cwd=cwd, code=code, **environment)
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def stopped_as_first_process(code: str, *arguments: str | Path, cwd: Path, number: int) -> tuple[int, list[str]]:
    """Do as `stopped` does, with the command line as process 1 of a container; skips where that is not allowed."""
    container = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if shutil.which(container[0]) is None or subprocess.run([*container, "true"], capture_output=True).returncode:
        pytest.skip("a process can be number 1 only where `unshare` is allowed")
    command = [*container, *python(START + "assert os.getpid() == 1\n" + code, *arguments)]
    done = completed(command, cwd=cwd, env={**os.environ, **ACCOUNT, "NUMBER": str(int(number)), "MODULE": "typer"})
    return done.returncode, done.stderr.splitlines()


WAYS = [stopped, stopped_as_first_process]
AS = ["any process", "process 1"]


@pytest.mark.parametrize("way", WAYS, ids=AS)
@pytest.mark.parametrize(("number", "code"), ENDING.items(), ids=NAMES)
def test_a_run_that_waits_for_the_account_ends_at_once(tmp_path: Path, way: object, number: int, code: int) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url)
        credentials = Credentials(client_id="sandbox", client_secret="sandbox-secret")
        folder = user_state_path("infringement-pipeline") / "accounts"
        with use_account(folder, account_of(server.url, credentials), job="other", say=lambda _: None):
            ended, said = way(WHILE_IT_WAITS, "run", path, "--busy", "wait", cwd=tmp_path, number=number)  # type: ignore[operator]
        assert ended == code
        assert said[0].startswith("waiting: the calls per second of this account are in use")
        assert said[1:] == [f"stopped by {signal.Signals(number).name}; run again to go on"]
        assert server.stats.calls("token") == 0
        assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("way", WAYS, ids=AS)
def test_a_run_that_reads_changed_sources_ends_at_once_and_goes_on_later(tmp_path: Path, way: object) -> None:
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url, pictures=3)
        assert run_job(path, options=RunOptions(environment=ACCOUNT)).exit_code == 0
        job(tmp_path, url=server.url, pictures=9)
        ended, said = way(WHILE_SOURCES_ARE_READ, "run", path, "-q", cwd=tmp_path, number=signal.SIGTERM)  # type: ignore[operator]
        assert (ended, said) == (143, ["stopped by SIGTERM; run again to go on"])
        assert server.stats.calls("search") == 3
        summary = run_job(path, options=RunOptions(environment=ACCOUNT))
    assert (summary.exit_code, summary.items["tasked"], summary.calls_this_run["create"]) == (0, 9, 6)


def test_what_threads_leave_is_closed_before_its_modules_go(tmp_path: Path) -> None:
    """Closed later, a generator would say in a traceback that it cannot be."""
    left = """
import gc, threading
def waits(cycle):
    try:
        yield
    finally:
        os.write(2, b"closed")
def held(cycle):
    next(cycle[0])
    threading.main_thread().join()
cycle = []
cycle.append(waits(cycle))
threading.Thread(target=held, args=[cycle]).start()
del cycle
gc.disable()
cli.main()
"""
    done = pipeline("schema", cwd=tmp_path, code=left)
    assert (done.returncode, done.stderr) == (0, "closed")


def test_a_first_process_hears_signals_from_its_first_line(tmp_path: Path) -> None:
    ended, said = stopped_as_first_process(WHEN_LOADED, "schema", cwd=tmp_path, number=signal.SIGTERM)
    assert (ended, said) == (143, ["stopped by SIGTERM; run again to go on"])


@pytest.mark.parametrize("module", ["pipeline.cli.errors", "typer", "pipeline.cli.options"])
@pytest.mark.parametrize(("number", "code"), ENDING.items(), ids=NAMES)
def test_a_command_that_is_still_loading_ends_with_one_line(
    tmp_path: Path, module: str, number: int, code: int
) -> None:
    ended, said = stopped(WHEN_LOADED, "schema", cwd=tmp_path, number=number, module=module)
    assert (ended, said) == (code, [f"stopped by {signal.Signals(number).name}; run again to go on"])


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("module", ["pipeline.cli", "pipeline.cli.main", "pipeline.system.signals"])
def test_ctrl_c_before_the_command_line_listens_is_one_line_too(tmp_path: Path, entry: str, module: str) -> None:
    environment = {**os.environ, "NUMBER": str(int(signal.SIGINT)), "MODULE": module}
    code = f"import os, sys\n{FINDER}{ENTRIES[entry]}"
    done = completed(python(code, "schema"), cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "stopped by SIGINT; run again to go on\n"


def test_installed_commands_begin_where_ctrl_c_is_heard() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["scripts"].values()) == {"pipeline.__main__:main"}


COMMANDS = ["run", "retry", "collect", "resolve", "repair", "check", "plan", "status", "schema", "demo", "sandbox"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_hears_signals_while_its_own_part_is_loaded(tmp_path: Path, command: str) -> None:
    module = f"pipeline.cli.commands.{command}"
    arguments = [] if command in ("schema", "demo", "sandbox") else ["there"]
    arguments += ["--only", "failed"] if command == "retry" else []
    ended, said = stopped(WHEN_LOADED, command, *arguments, cwd=tmp_path, number=signal.SIGINT, module=module)
    assert (ended, said) == (130, ["stopped by SIGINT; run again to go on"])


@pytest.mark.parametrize("command", ["check", "plan"])
def test_ctrl_c_ends_a_look_at_pictures_with_one_line(tmp_path: Path, product: bytes, command: str) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(product + bytes(number))
    path = job(tmp_path, url="sandbox", images=[{"path": "*.jpg"}], name="looked-at")
    ended, said = stopped(WHILE_PICTURES_ARE_LOOKED_AT, command, path, cwd=tmp_path, number=signal.SIGINT)
    assert (ended, said) == (130, ["stopped by SIGINT; run again to go on"])


def test_a_run_under_nohup_goes_on_when_the_terminal_closes(tmp_path: Path) -> None:
    code = f"{START}import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n{WHILE_SOURCES_ARE_READ}"
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url)
        environment = {**os.environ, **ACCOUNT, "NUMBER": str(int(signal.SIGHUP))}
        done = completed(python(code, "run", path, "-q"), cwd=tmp_path, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_signal_that_something_swallowed_still_keeps_the_run_from_paying(tmp_path: Path) -> None:
    code = """
from pipeline.system import signals
signals.hear()
try:
    os.kill(os.getpid(), 15)
    sum(range(9))
except KeyboardInterrupt:
    pass  # as a destructor does, say
cli.main()
"""
    with vendor(tmp_path) as server:
        path = job(tmp_path, url=server.url)
        ended, said = stopped(code, "run", path, "-q", cwd=tmp_path, number=signal.SIGTERM)
        assert server.stats.calls("token") == 0
    assert (ended, said) == (143, ["stopped by SIGTERM; run again to go on"])
