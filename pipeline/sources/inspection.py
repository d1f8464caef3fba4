"""Every local picture of a job, opened before a run: it is free, and what cannot be sent is known at once."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pipeline.errors import Code, ItemRefused
from pipeline.job.schema import JobSpec
from pipeline.models import Item, Problem
from pipeline.sources.items import Note, read_items
from pipeline.sources.looks import Looks, looking
from pipeline.sources.pictures import read_picture, stamp_of
from pipeline.sources.stamps import Stamp

Watch = Callable[[int], None]
_AHEAD = 8  # pictures a processor has before it, so that it never waits; each takes up to 4 MB


def inspect_items(
    spec: JobSpec,
    *,
    quick: bool = False,
    hashed: bool = False,
    watch: Watch | None = None,
    note: Note | None = None,
) -> Iterator[Item]:
    """Yield the job's items, each local picture opened on all processors; one that cannot be sent has a problem.

    `quick` opens none and tells copies of a file by nothing but their paths. `watch` is told how many pictures were
    looked at to the end. `hashed` and `note` are as `read_items` says. Raises SpecError as `read_items` does.
    """
    if quick:
        yield from read_items(spec, contents=False, hashed=hashed, note=note)
        return
    workers = os.cpu_count() or 1
    with looking() as looks, ThreadPoolExecutor(workers) as pool:
        ahead: deque[tuple[Item, _Look | None]] = deque()
        seen = 0

        def judged() -> Item:
            nonlocal seen
            item, look = ahead.popleft()
            fault = look.fault() if look is not None else ""
            if look is not None:
                seen += 1
                if watch is not None:
                    watch(seen)
            return _with_fault(item, fault) if fault else item

        for item in read_items(spec, hashed=hashed, note=note):
            is_picture = item.local and item.problem is None
            ahead.append((item, _Look(spec.root_path, item.source, looks, pool) if is_picture else None))
            if len(ahead) > workers * _AHEAD:
                yield judged()
        while ahead:
            yield judged()


class _Look:
    """A look at one picture, under way or known already."""

    def __init__(self, root: Path, source: str, looks: Looks, pool: ThreadPoolExecutor) -> None:
        self._looks = looks
        self._stamp = _stamp_of(root, source)
        self._known = looks.fault(self._stamp) if self._stamp is not None else None
        self._future: Future[str] | None = None
        if self._known is None:
            self._future = pool.submit(_fault_of, root, source)

    def fault(self) -> str:
        """Wait for what is wrong with the picture; "" when nothing is."""
        if self._future is None:
            return self._known or ""
        fault = self._future.result()
        if self._stamp is not None and "cannot be read" not in fault:  # permissions change without the file
            self._looks.note_fault(self._stamp, fault)
        return fault


def _stamp_of(root: Path, source: str) -> Stamp | None:
    try:
        return stamp_of(root, source)
    except (OSError, RuntimeError, ValueError):
        return None


def _fault_of(root: Path, source: str) -> str:
    try:
        read_picture(root, source)
    except ItemRefused as refused:
        return refused.message
    return ""


def _with_fault(item: Item, fault: str) -> Item:
    message = f"{item.origin}: {item.source}: {fault}"
    return replace(item, problem=Problem("read", Code.PICTURE, message, "fail", True))
