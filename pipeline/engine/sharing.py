"""Sharing of a picture's outcome with its twins, the later items that show it; a twin whose file changed is parted."""

from collections.abc import AsyncIterator

import anyio

from pipeline.engine.parts import Ports
from pipeline.engine.problems import problem_of
from pipeline.engine.views import digest_sent, read_views
from pipeline.errors import Code, ItemRefused
from pipeline.models import CONTENT, SETTLED, Problem, State, Work
from pipeline.results.reading import read_line
from pipeline.results.record import RecordLines
from pipeline.views import has_views


def is_alike(twin: Work, now: str | None, sent: str | None) -> bool:
    """Return whether a twin that has other bytes `now` than those that were `sent` shows the same pixels.

    `split` compared the pixels of exactly these two files: `twin.sha256` is the digest of the twin's,
    `twin.item.picture` names that of the first item's. A twin that has an upload was sent itself, and is not alike.
    """
    return twin.upload is None and now is not None and now == twin.sha256 and twin.item.picture == f"{CONTENT}{sent}"


class Sharing:
    """One round over the twins that wait. `parted` counts those that show another picture by now and wait on."""

    def __init__(self, ports: Ports, records: RecordLines, *, generation: int) -> None:
        self.parted = 0
        self._ports = ports
        self._records = records
        self._generation = generation

    async def share(self) -> AsyncIterator[State]:
        """Give every twin the outcome of its first item, without a call; yield its new state.

        A twin whose first item has no outcome yet goes on waiting, and so does one that is parted from it.
        """
        waiting = self._ports.ledger.waiting
        after = 0
        while batch := await waiting.take_twins(after=after, generation=self._generation):
            for twin, first_ord in batch:
                after = twin.ord
                state = await self._share(twin, first_ord)
                if state is not None:
                    yield state

    async def _share(self, twin: Work, first_ord: int) -> State | None:
        waiting, steps = self._ports.ledger.waiting, self._ports.ledger.steps
        first_id, state, line, problem = await waiting.standing(first_ord)
        settled = line if state in SETTLED else None
        if settled is None and (problem is None or state is State.REPORT_PENDING):
            return None
        own = None
        # The copies of a file were found when the sources were read: each may have been changed or removed since.
        if twin.item.local and (settled is not None or (problem is not None and problem.stage == "read")):
            sent = digest_sent(read_line(settled).image) if settled is not None else ""
            try:
                now = await self._digest(twin, sent)
            except ItemRefused as error:
                return await self._leave_open(twin, problem_of("read", error))
            alike = is_alike(twin, now, sent)
            if sent is not None and now != sent and not alike and await waiting.part(twin.ord, now):
                self.parted += 1
                return None
            own = now if alike else None
        if settled is not None:
            await steps.settle(twin, state, self._records.twin(twin, settled, own=own), None)
            return state
        assert problem is not None
        message = f"shows the same picture as {first_id!r}, which is open: {problem.message}"
        return await self._leave_open(twin, Problem(problem.stage, Code.SAME_PICTURE, message, "retry", True))

    async def _digest(self, twin: Work, sent: str | None) -> str:
        """Digest the file of a twin; one that is not what was `sent` is looked at to its end. Raises ItemRefused."""
        now = await anyio.to_thread.run_sync(self._ports.digest, twin.item.source, limiter=self._ports.reading)
        if now is not None and now == sent:
            return now
        if has_views(twin.item.source):
            return (await read_views(twin.item.source, self._ports))[1]
        read = self._ports.read_picture
        return (await anyio.to_thread.run_sync(read, twin.item.source, limiter=self._ports.reading)).sha256

    async def _leave_open(self, twin: Work, problem: Problem) -> State:
        await self._ports.ledger.steps.leave_open(twin, State.FAILED, problem, None)
        return State.FAILED
