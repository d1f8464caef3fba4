"""The notice at the end of a run: the job's own program gets the summary on stdin. Whatever it does, the run stands."""

import contextlib
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from pipeline.errors import PipelineError
from pipeline.job.document import MAX_BYTES
from pipeline.job.environment import PROXY, is_credential
from pipeline.job.notify import NotifySpec, notify_in
from pipeline.job.schema import JobSpec
from pipeline.results.summary import RunSummary, to_json
from pipeline.system.masking import masked
from pipeline.version import __version__

_SHOWN = 200  # characters of what a program that failed said
_KEPT = 16 << 10  # bytes of it
_LAST_WORDS_S = 1.0  # for what it said to be read, after its end

_log = logging.getLogger(__name__)


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """The notice of a run that ended without a summary: another process holds its directory, the disk is full, ..."""

    schema: int = 1
    job: str
    vendor: str  # empty where the job file is refused
    tool: str = __version__
    exit_code: int
    exit_reason: str
    state: str = "refused"


@contextlib.contextmanager
def notifying(spec: JobSpec, environment: Mapping[str, str]) -> Iterator[list[RunSummary]]:
    """Start the job's program when the block ends, with the summary that the block appends to what is yielded.

    An error of the block is told in its place, and goes on. Stops by a signal within the first moments are not told.
    """
    summaries: list[RunSummary] = []

    try:
        yield summaries
    except PipelineError as error:
        _notify(spec, _refused(spec, error), error.exit_code, environment)
        raise
    if summaries:
        _notify(spec, to_json(summaries[-1]), summaries[-1].exit_code, environment)


@contextlib.contextmanager
def telling_refusal(path: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Start the program that the job file at `path` names when the block refuses it: the owner of a run waits for word.

    Once the job is loaded, `notifying` tells how its run ended.
    """
    try:
        yield
    except PipelineError as error:
        with contextlib.suppress(OSError), path.open("rb") as file:
            wanted = notify_in(file.read(MAX_BYTES + 1))
            if wanted is not None:
                notice = _encoded(Refused(job=path.stem, vendor="", **_why(error)))
                _start(wanted, notice, path.resolve().parent, error.exit_code, environment)
        raise


def _refused(spec: JobSpec, error: PipelineError) -> bytes:
    return _encoded(Refused(job=spec.name, vendor=spec.vendor, **_why(error)))


def _why(error: PipelineError) -> dict[str, Any]:
    return {"exit_code": error.exit_code, "exit_reason": masked(str(error).splitlines()[0])}


def _encoded(notice: Refused) -> bytes:
    return msgspec.json.encode(notice) + b"\n"


def _notify(spec: JobSpec, notice: bytes, exit_code: int, environment: Mapping[str, str]) -> None:
    notify = spec.notify
    if notify is not None and (notify.when == "always" or exit_code):
        _start(notify, notice, spec.folder, exit_code, environment)


def _start(notify: NotifySpec, notice: bytes, folder: Path, exit_code: int, environment: Mapping[str, str]) -> None:
    """Start the program in the job's folder and wait for it; log what goes wrong, which the command line shows."""
    fault = _run(notify.command, notice, _handed_on(environment, exit_code), folder, notify.timeout_s)
    if fault:
        said = f"nobody was notified: `{notify.command[0]}` {fault}; see notify.command in the job file"
        _log.warning("notify.failed %s", said)


def _handed_on(environment: Mapping[str, str], exit_code: int) -> dict[str, str]:
    """Return the environment of the program: ours without the credentials, for a notice needs none."""
    kept = {name: value for name, value in environment.items() if name != PROXY and not is_credential(name)}
    return kept | {"PIPELINE_EXIT_CODE": str(exit_code)}


def _run(command: list[str], notice: bytes, environment: dict[str, str], folder: Path, timeout_s: float) -> str:
    """Run a program to its end, or until its time is over; return what went wrong, or ""."""
    try:
        # A session of its own: what the program starts is ended with it, and Ctrl-C reaches neither.
        process = subprocess.Popen(  # noqa: S603 - the command is the job owner's own, and no shell reads it
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    except (OSError, ValueError) as exc:
        return f"could not be started ({getattr(exc, 'strerror', None) or exc})"
    heard = _Heard(process, notice)
    try:
        process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return f"was ended after {timeout_s:g} s (notify.timeout_s)"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode == 0:
        return ""
    said = masked(heard.last().decode(errors="replace")).strip().splitlines()
    return f"ended with code {process.returncode}" + (f": {said[-1][:_SHOWN]}" if said else "")


class _Heard:
    """The pipes of a program: it is told the notice, and the end of what it says is kept.

    Nobody waits for either: what it leaves in the background may hold its stderr for ever, and it need not read.
    """

    def __init__(self, process: subprocess.Popen[bytes], notice: bytes) -> None:
        assert process.stdin is not None
        assert process.stderr is not None
        self._end = b""
        threading.Thread(target=self._tell, args=(process.stdin, notice), daemon=True).start()
        self._listening = threading.Thread(target=self._listen, args=(process.stderr,), daemon=True)
        self._listening.start()

    def last(self) -> bytes:
        """Return the end of what the program said before it ended."""
        self._listening.join(timeout=_LAST_WORDS_S)
        return self._end

    def _tell(self, stdin: IO[bytes], notice: bytes) -> None:
        with contextlib.suppress(BrokenPipeError), stdin:
            stdin.write(notice)

    def _listen(self, stderr: IO[bytes]) -> None:
        with stderr:
            while said := os.read(stderr.fileno(), _KEPT):
                self._end = (self._end + said)[-_KEPT:]
