"""The steps that the engine was told are durable, beyond an item's line: noted as they return, judged after a death.

laid      ID            the record of a task is laid by, its details are waited for
task      ID TASK       the task whose report is awaited
hits      ID            the hits that an intent is made of
page      ID NUMBER     a page of a deep search
view      SHA256        the upload of a picture that is a view
patent    ENDPOINT ID   what the vendor said of a patent, in the cache of the account
late      ID            details that came after their record
drawing   FILE          the drawing that a report brought
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.journal.steps import Steps
from pipeline.run import details as run_details
from pipeline.run import directory, execution
from pipeline.run.known_patents import KnownPatents


class Told(NamedTuple):
    """One step that the engine was told is durable."""

    step: str
    key: str
    value: str = ""


Note = Callable[[Told], None]


def noting_steps(patch: pytest.MonkeyPatch, note: Note) -> None:
    """Let everything that says a step is durable tell `note` so, once it has said it."""
    lay_by, await_report, intend, page = Steps.lay_by, Steps.await_report, Steps.intend, Steps.found_page
    view_uploaded, keep, append, keep_drawing = (
        Steps.view_uploaded,
        KnownPatents.keep,
        run_details.append,
        directory.keep_drawing,
    )

    async def laying_by(self: Steps, work: Any, line: Any) -> None:
        await lay_by(self, work, line)
        note(Told("laid", work.item.id))

    async def awaiting(self: Steps, work: Any, task: Any, asked: Any) -> None:
        await await_report(self, work, task, asked)
        note(Told("task", work.item.id, task.task_id))

    async def intending(self: Steps, work: Any, hits: Any, **how: Any) -> None:
        await intend(self, work, hits, **how)
        if hits is not None:
            note(Told("hits", work.item.id))

    async def paging(self: Steps, work: Any, hits: Any) -> None:
        await page(self, work, hits)
        note(Told("page", work.item.id, str(len(hits.paging.pages))))

    async def uploading(self: Steps, sha256: str, upload: Any) -> None:
        await view_uploaded(self, sha256, upload)
        note(Told("view", sha256))

    def keeping(self: KnownPatents, endpoint: str, answers: Any) -> None:
        keep(self, endpoint, answers)
        for patent in answers if self.usable else ():
            note(Told("patent", endpoint, patent))

    def appending(path: Path, item: str, details: Any, *, at: float) -> None:
        append(path, item, details, at=at)
        note(Told("late", item))

    def keeping_drawing(folder: Path, name: str, data: bytes) -> None:
        keep_drawing(folder, name, data)
        note(Told("drawing", name))

    for name, noting in (
        ("lay_by", laying_by),
        ("await_report", awaiting),
        ("intend", intending),
        ("found_page", paging),
        ("view_uploaded", uploading),
    ):
        patch.setattr(Steps, name, noting)
    patch.setattr(KnownPatents, "keep", keeping)
    patch.setattr(run_details, "append", appending)
    for module in (directory, execution):
        patch.setattr(module, "keep_drawing", keeping_drawing)


def to_file(path: Path) -> Note:
    """Return what notes steps at the end of a file, each at once."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return lambda told: os.write(file, ("\t".join(told) + "\n").encode()) and None


def read_told(path: Path) -> list[Told]:
    """Read the steps that all lives noted."""
    return [Told(*line.split("\t")) for line in path.read_text().splitlines()] if path.exists() else []
