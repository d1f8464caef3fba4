"""Processes that start warm: forked from a server that has loaded the program, so that a start costs no imports.

Tests start the program many hundred times, and most of the processor time of a short command are its imports. In all
else they are processes as ever: children of the test, with their own number, descriptors, environment, folder and end.

A command starts cold, in a new interpreter, where the interpreter would read something at its start that is not as in
the test's own process, where its code is about what is loaded when or about memory, and outside of pytest. With
COLD_STARTS=1 all do.
"""

import atexit
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import resource
import runpy
import signal
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
_READ_AT_THE_START = ("PYTHON", "LC_", "LANG", "MALLOC_", "LD_", "TZ", "COVERAGE")
# Code that speaks of these is to have an interpreter of its own.
_ABOUT_THE_START = ("sys.modules", "sys.meta_path", "addaudithook", "maxrss")
_LOADED_WHEN_USED = (
    "anyio._backends._asyncio",
    "dotenv",
    "encodings.idna",
    "jinja2",
    "platformdirs",
    "pydantic.type_adapter",
)
_NOT_LOADED = ("pipeline.__main__",)  # to load it is to run it
_LIMITS = 16  # RLIM_NLIMITS of Linux
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h


def can_be_warm(command: Sequence[str], environment: Mapping[str, str], options: Mapping[str, Any]) -> bool:
    """Return whether a command is `python -m pipeline ...` or `python -c CODE ...`, and needs no new interpreter."""
    known = options.keys() <= {"stdin", "stdout", "stderr", "start_new_session"}
    in_tests = "PYTEST_VERSION" in os.environ and "COLD_STARTS" not in os.environ
    if not known or not in_tests or sys.platform != "linux" or command[0] != sys.executable:
        return False
    own_code = command[2] if command[1:2] == ["-c"] else ""
    if (not own_code and command[1:3] != ["-m", "pipeline"]) or any(word in own_code for word in _ABOUT_THE_START):
        return False
    return _of_the_start(environment) == _of_the_start(os.environ)


def _umask() -> int:
    [line] = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask:"))
    return int(line.split()[1], 8)


def _deaf() -> list[int]:
    """List the signals that a process inherits as ignored; Popen gives those that Python ignores itself back."""
    own = (signal.SIGPIPE, signal.SIGXFSZ)
    return [one for one in signal.valid_signals() if one not in own and signal.getsignal(one) is signal.SIG_IGN]


def _of_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_READ_AT_THE_START)}


class WarmProcess(subprocess.Popen[str]):
    """A child process as of Popen, started by the server of this process."""

    def _execute_child(
        self,
        args: Any, executable: Any, preexec_fn: Any, close_fds: Any, pass_fds: Any, cwd: Any, env: Any,
        startupinfo: Any, creationflags: Any, shell: Any,
        p2cread: int, p2cwrite: int, c2pread: int, c2pwrite: int, errread: int, errwrite: int,
        restore_signals: Any, gid: Any, gids: Any, uid: Any, umask: Any, start_new_session: bool, *_: Any,
    ) -> None:  # fmt: skip
        own = [there if there != -1 else number for number, there in enumerate((p2cread, c2pwrite, errwrite))]
        order = {"command": args, "cwd": os.fspath(cwd or os.getcwd()), "env": dict(env), "session": start_new_session}
        order |= {"umask": _umask(), "limits": [resource.getrlimit(one) for one in range(_LIMITS)], "deaf": _deaf()}
        self.pid = _server().start(order, own)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]


class _Server:
    """The server, as the process that started it sees it."""

    def __init__(self) -> None:
        self._socket, there = socket.socketpair()
        with there:
            command = [sys.executable, "-m", "tests.support.warm_starts", str(there.fileno())]
            self._process = subprocess.Popen(
                command, cwd=_ROOT, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        self._one_at_a_time = threading.Lock()
        self._prctl = ctypes.CDLL(None).prctl
        atexit.register(self._end)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()

    def start(self, order: dict[str, Any], descriptors: list[int]) -> int:
        """Start a process with these descriptors as its first three; return its number. It is a child of this one."""
        data = json.dumps(order).encode("ascii")
        with self._one_at_a_time:
            self._prctl(_SUBREAPER, 1, 0, 0, 0)  # whose parent ends becomes ours
            try:
                socket.send_fds(self._socket, [len(data).to_bytes(8, "big")], descriptors)
                self._socket.sendall(data)
                number = self._socket.recv(8)
            finally:
                self._prctl(_SUBREAPER, 0, 0, 0, 0)
        assert number, "the server of warm starts has ended"
        return int.from_bytes(number, "big")


@cache
def _server() -> _Server:
    return _Server()


def _serve(asked: socket.socket) -> dict[str, Any]:
    """Start what is asked for until the other end closes; return, in each new process, what it is to run."""
    while True:
        size, descriptors, _, _ = socket.recv_fds(asked, 8, 3)
        if not size:
            os._exit(0)
        left, data = int.from_bytes(size, "big"), b""
        while len(data) < left:
            if not (part := asked.recv(left - len(data))):
                os._exit(0)
            data += part
        number = _forked_twice()
        if number == 0:
            asked.close()
            for own, there in enumerate(descriptors):
                os.dup2(there, own)
                os.close(there)
            order: dict[str, Any] = json.loads(data)
            return order
        for there in descriptors:
            os.close(there)
        asked.sendall(number.to_bytes(8, "big"))


def _forked_twice() -> int:
    """Fork a process whose parent has ended; return its number, and 0 in the process itself."""
    reads, writes = os.pipe()
    between = os.fork()
    if between:
        os.close(writes)
        os.waitpid(between, 0)
        number = int(os.read(reads, 20))
        os.close(reads)
        return number
    number = os.fork()
    if number:
        os.write(writes, str(number).encode())
        os._exit(0)
    os.close(reads)
    os.close(writes)
    return 0


def _become(order: dict[str, Any]) -> None:
    """Be a process that was started with this command, folder and environment, as far as Python code can see."""
    if order["session"]:
        os.setsid()
    os.umask(order["umask"])
    for number, limit in enumerate(order["limits"]):
        resource.setrlimit(number, limit)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in order["deaf"]:
        signal.signal(number, signal.SIG_IGN)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.stdin, sys.stdout, sys.stderr = (_text(number) for number in range(3))
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
    sys.orig_argv[:] = order["command"]


def _text(number: int) -> io.TextIOWrapper:
    """Open one of the first three descriptors as the interpreter does."""
    of_ours = (sys.stdin, sys.stdout, sys.stderr)[number]
    file = io.FileIO(number, "r" if number == 0 else "w", closefd=False)
    raw = io.BufferedReader(file) if number == 0 else io.BufferedWriter(file)
    through = bool(os.environ.get("PYTHONUNBUFFERED"))
    lines = not through and (number == 2 or file.isatty())
    return io.TextIOWrapper(
        raw, encoding=of_ours.encoding, errors=of_ours.errors, line_buffering=lines, write_through=through
    )


def _run(command: list[str]) -> None:
    if command[1] == "-m":
        sys.argv[:] = command[2:]
        sys.path[0] = os.getcwd()
        runpy.run_module("pipeline", run_name="__main__", alter_sys=True)
        return
    sys.argv[:] = command[1:2] + command[3:]
    sys.path[0] = ""
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    exec(compile(command[2], "<string>", "exec"), main.__dict__)


def _load() -> None:
    """Load what commands load, and keep it out of the search for garbage, so that processes share its memory."""
    import pipeline
    from pipeline.cli.main import command_line
    from pipeline.results.page.shell import template

    command_line(chinese=False)
    ours = [module.name for module in pkgutil.walk_packages(pipeline.__path__, "pipeline.")]
    for name in (*ours, *_LOADED_WHEN_USED):
        if name not in _NOT_LOADED:
            importlib.import_module(name)
    for name in ("head", "runs", "without_script"):
        template(name)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the test, and for what that has started
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        _load()
        order = _serve(orders)
    _become(order)
    # What was registered last is called first. Without the freeze Python would look at the end of each process through
    # all that is loaded, several times, and so copy the memory that they share.
    atexit.register(gc.freeze)
    atexit.register(gc.collect)
    _run(order["command"])
