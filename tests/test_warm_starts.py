"""Processes of tests that start warm: to the code that they run they are what a new interpreter would be."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import python, running, until_said
from tests.support.warm_starts import WarmProcess

LOOK = """
import gc, json, locale, os, resource, signal, sys, tempfile, threading
streams = (sys.stdin, sys.stdout, sys.stderr)
json.dump({
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "flags": list(sys.flags), "name": __name__,
    "folder": os.getcwd(), "environment": dict(os.environ), "umask": os.umask(0o22), "given": sys.stdin.read(),
    "own_session": os.getsid(0) == os.getpid(), "parent": os.getppid(), "descriptors": os.listdir("/proc/self/fd"),
    "streams": [(one.encoding, one.errors, one.line_buffering, one.write_through, one.fileno()) for one in streams],
    "the_same": streams == (sys.__stdin__, sys.__stdout__, sys.__stderr__), "locale": locale.getlocale(),
    "handlers": [str(signal.getsignal(one)) for one in sorted(signal.valid_signals())],
    "mask": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "threads": [one.name for one in threading.enumerate()],
    "limits": [resource.getrlimit(one) for one in range(16)],
    "garbage": (gc.isenabled(), gc.get_threshold()), "switch_s": sys.getswitchinterval(),
    "temporary": tempfile.gettempdir(),
}, sys.stdout)
sys.stderr.write("said\\n")
sys.exit(7)
"""


def look(folder: Path, **options: Any) -> tuple[dict[str, Any], str, int]:
    environment = {**os.environ, "A_NEW_ONE": "\N{SNOWMAN}", "TMPDIR": str(folder)}
    with running(python(LOOK, "a word"), cwd=folder, env=environment, stdin=subprocess.PIPE, **options) as process:
        out, err = process.communicate("given \N{SNOWMAN}")
    return json.loads(out), err, process.returncode


@pytest.fixture
def unusual() -> Iterator[None]:
    """Have another umask, another limit and another ignored signal than when the server was started."""
    umask, heard = os.umask(0o27), signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGUSR2, heard)
    os.umask(umask)


@pytest.mark.parametrize("options", [{}, {"start_new_session": True}], ids=["plain", "session"])
def test_code_sees_what_it_sees_in_a_new_interpreter(
    options: dict[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unusual: None
) -> None:
    warm = look(tmp_path, **options)
    monkeypatch.setenv("COLD_STARTS", "1")
    cold = look(tmp_path, **options)
    cold[0]["environment"].pop("COLD_STARTS")
    assert {name: warm[0][name] for name, value in cold[0].items() if warm[0][name] != value} == {}
    assert warm == cold


def test_it_is_a_child_that_can_be_killed_and_says_how_it_ended(tmp_path: Path) -> None:
    wait = "import sys, time\nsys.stderr.write('here\\n')\nsys.stderr.flush()\ntime.sleep(600)"
    with running(python(wait), cwd=tmp_path) as process:
        assert isinstance(process, WarmProcess) is (sys.platform == "linux" and "COLD_STARTS" not in os.environ)
        until_said(process, "here")
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
