"""The log of tasks: every create that was executed, whatever its client was told."""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pipeline.sandbox.validate import Creation, PatentMessage, Submission
from pipeline.system.files import private
from pipeline.system.structs import decode

LIFETIME_S = 28_800  # eight hours, as the vendor says

_FILE = "tasks.jsonl"


class LoggedPatent(msgspec.Struct, frozen=True):
    """A patent of a task; `score` is the search's, 0 to 1, None when the request had none."""

    patent_id: str
    patent_pn: str
    title: str
    score: float | None = None
    url: str = ""


class LoggedTask(msgspec.Struct, frozen=True):
    """One executed create.

    request_sha256: the digest of the request's body in hexadecimal
    submitted: it is a task of the newer pair, which searches by itself
    total: the patents that its own search found in all
    """

    task_id: str
    at: datetime
    urls: tuple[str, ...]
    report_lang: str
    country: tuple[str, ...]
    patents: tuple[LoggedPatent, ...]
    request_sha256: str
    submitted: bool = False
    total: int = 0

    @property
    def patent_ids(self) -> tuple[str, ...]:
        """The patents' ids, in the order of the request."""
        return tuple(patent.patent_id for patent in self.patents)


class TaskLog:
    """The file `tasks.jsonl` of a folder. A task is in it before its id is sent to anyone."""

    def __init__(self, folder: Path, *, clock: Callable[[], float]) -> None:
        self._path = folder / _FILE
        self._clock = clock
        self._file = private(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        self._end = _cut_torn_line(self._file)
        # Offset and length of each task's line; read at the first query, since most sandboxes never get one.
        self._index: dict[str, tuple[int, int]] | None = None

    def add(self, creation: Creation, *, request: bytes) -> LoggedTask:
        """Execute one create: give it an id and write it down."""
        task = LoggedTask(
            task_id=str(uuid.uuid4()),
            at=datetime.fromtimestamp(self._clock(), UTC),
            urls=creation.urls,
            report_lang=creation.report_lang,
            country=creation.country or (),
            patents=tuple(_logged(message) for message in creation.patent_messages),
            request_sha256=hashlib.sha256(request).hexdigest(),
        )
        return self._write(task)

    def submit(
        self, submission: Submission, patents: tuple[LoggedPatent, ...], total: int, *, request: bytes
    ) -> LoggedTask:
        """Execute one submit, whose search found these patents."""
        task = LoggedTask(
            task_id=str(uuid.uuid4()),
            at=datetime.fromtimestamp(self._clock(), UTC),
            urls=(submission.url,),
            report_lang=submission.lang,
            country=submission.country,
            patents=patents,
            request_sha256=hashlib.sha256(request).hexdigest(),
            submitted=True,
            total=total,
        )
        return self._write(task)

    def _write(self, task: LoggedTask) -> LoggedTask:
        line = msgspec.json.encode(task) + b"\n"
        os.write(self._file, line)
        if self._index is not None:
            self._index[task.task_id] = self._end, len(line)
        self._end += len(line)
        return task

    def find(self, task_id: str) -> LoggedTask | None:
        """Return a task younger than eight hours, else None."""
        if self._index is None:
            self._index = _index(self._path)
        place = self._index.get(task_id)
        if place is None:
            return None
        task = decode(os.pread(self._file, place[1], place[0]), LoggedTask)
        return task if self._clock() < task.at.timestamp() + LIFETIME_S else None

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_tasks(folder: Path) -> Iterator[LoggedTask]:
    """Yield the tasks that the sandbox of a folder executed, oldest first, without a line that is being written."""
    path = folder / _FILE
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield decode(line, LoggedTask)


def _logged(message: PatentMessage) -> LoggedPatent:
    return LoggedPatent(message.patent_id, message.patent_pn, message.title, message.score, message.url)


def _index(path: Path) -> dict[str, tuple[int, int]]:
    index: dict[str, tuple[int, int]] = {}
    offset = 0
    with path.open("rb") as lines:
        for line in lines:
            index[decode(line, LoggedTask).task_id] = offset, len(line)
            offset += len(line)
    return index


def _cut_torn_line(file: int) -> int:
    """Cut off the unfinished last line that a killed sandbox left; return the length of the file."""
    size = end = os.fstat(file).st_size
    while end and os.pread(file, 1, end - 1) != b"\n":
        end -= 1
    if end != size:
        os.ftruncate(file, end)
    return end
