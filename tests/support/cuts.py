"""A run that dies: its directory, and the note about it elsewhere, put back as they lay on disk at one of its moments.

with cut_at(3, run) as cut:
    run_job(path)      # goes on to its end; then everything is as a death at its fourth moment would have left it
assert cut.happened
"""

import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from pipeline.journal.budget import Budget
from pipeline.journal.identity import NOTE
from pipeline.journal.steps import Steps
from pipeline.run.directory import known_runs

_LARGE = 4 << 20  # the room that a run sets aside is no part of what it leaves


class Cut:
    """A death at the moment of a number, counted from 0. The moments are the same ones in every such run."""

    def __init__(self, moment: int, folder: Path) -> None:
        self.happened = False
        self._left = moment
        self._folder = folder
        self._files: dict[Path, bytes] = {}

    async def moment(self, writer: Any) -> None:
        """Keep the files of this moment if it is the one; what was handed to the journal before is in it."""
        self._left -= 1
        if self._left != -1:
            return
        await writer.do(lambda disk: None)
        # The counters outside of the journal come first: they may be behind it, never ahead.
        notes = [self._folder / NOTE, *_notes(self._folder)]
        others = [path for path in self._folder.rglob("*") if path.is_file() and path not in notes]
        kept = [path for path in (*notes, *others) if path.is_file() and path.stat().st_size < _LARGE]
        self._files = {path: path.read_bytes() for path in kept}
        self.happened = True

    def put_back(self) -> None:
        """Let everything be as it was at the moment."""
        if not self.happened:
            return
        rmtree(self._folder)
        for path, data in self._files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def _notes(folder: Path) -> list[Path]:
    """Find the note about a run directory in the folder of all of them."""
    places = known_runs()
    if places is None or not (folder / NOTE).is_file():
        return []
    return [places / f"{json.loads((folder / NOTE).read_bytes())['id']}.json"]


@contextmanager
def cut_at(moment: int | None, folder: Path) -> Iterator[Cut]:
    """Let a run with one item at a time die at a moment: before a call, or around what an item's outcome leaves."""
    cut = Cut(-1 if moment is None else moment, folder)

    def around(method: Callable[..., Awaitable[Any]], *, before: bool, after: bool) -> Callable[..., Awaitable[Any]]:
        async def cutting(self: Any, *arguments: Any, **options: Any) -> Any:
            if before:
                await cut.moment(self._writer)
            result = await method(self, *arguments, **options)
            if after:
                await cut.moment(self._writer)
            return result

        return cutting

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Budget, "reserve", around(Budget.reserve, before=True, after=False))
        patch.setattr(Steps, "intend", around(Steps.intend, before=False, after=True))
        for name in ("settle", "leave_open"):
            patch.setattr(Steps, name, around(getattr(Steps, name), before=True, after=True))
        yield cut
    cut.put_back()
