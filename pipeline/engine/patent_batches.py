"""Patents asked for in batches: those of many items go into one call, and each patent is asked for once.

An id takes this way: wanted by an item, looked up in the cache, claimed there, gathered with others for up to a second,
asked for in a call of up to a hundred, answered, and kept in the cache before anybody is told.
"""

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import anyio
from anyio.abc import TaskGroup

from pipeline.endpoints.details import MOST_AT_ONCE, NOT_FOUND, PENDING, REFUSED
from pipeline.results.patent_counts import PatentCounts

LINGER_S = 1.0  # a batch that is not full waits so long for more
GATHER_S = 0.02  # ids are looked up together that are wanted within so long
LOOK_AGAIN_S = 1.0  # patents that another process asks for are looked up again this often
MOST_CALLS = 24  # under way at once
REMEMBERED = 20_000  # patents whose answers stay in memory; the others are in the cache

Answers = dict[str, bytes | None]  # by patent id; None for a patent that was not found


class Taken(NamedTuple):
    """A look into the cache: what is known, what is ours to ask for now, and what others are asking for."""

    known: Answers
    ours: list[str]
    others: list[str]


class Cache(Protocol):
    """The cache of patents (run/known_patents.py). Its methods block."""

    @property
    def usable(self) -> bool: ...
    def take(self, endpoint: str, ids: Sequence[str]) -> Taken: ...
    def keep(self, endpoint: str, answers: Answers) -> None: ...
    def give_back(self, endpoint: str, ids: Collection[str]) -> None: ...


class Answered(NamedTuple):
    """The end of one call: what was answered, and for the patents without an answer the reason."""

    answers: Answers
    missing: Mapping[str, str]


Tell = Callable[[Answered], Awaitable[None]]
Ask = Callable[[Sequence[str], Callable[[], None], Tell], Awaitable[Answered]]


class WantedPatent:
    """A patent that items want to know of: its answer, or why there is none (yet)."""

    __slots__ = ("answer", "done", "missing")

    def __init__(self) -> None:
        self.answer: bytes | None = None
        self.missing = PENDING
        self.done = anyio.Event()

    def end(self, answer: bytes | None, missing: str = "") -> None:
        """Tell all who wait what came, or why nothing comes."""
        self.answer, self.missing = answer, missing
        self.done.set()


class PatentBatches:
    """The patents of one endpoint, over all items of a run.

    name   the vendor's name of the endpoint, under which the cache keeps its answers
    ask    asks for some patents; it calls one function as its call leaves, and tells another of parts that come early
    """

    def __init__(
        self, name: str, ask: Ask, cache: Cache, counts: PatentCounts, *, disk: anyio.CapacityLimiter | None = None
    ) -> None:
        self._name = name
        self._ask = ask
        self._cache = cache
        self._counts = counts
        self._disk = disk or anyio.CapacityLimiter(1)
        self._wanted: OrderedDict[str, WantedPatent] = OrderedDict()
        self._refused: set[str] = set()  # of this run: they are not asked for again
        self._new: deque[str] = deque()
        self._queue: deque[str] = deque()
        self._elsewhere: set[str] = set()
        self._stopped = False
        self._came = anyio.Event()
        self._full = anyio.Event()
        self._calls = anyio.Semaphore(MOST_CALLS)

    def want(self, ids: Iterable[str]) -> list[WantedPatent]:
        """Want these patents; return them in order, as far as they are known now."""
        return [self._want(id_) for id_ in ids]

    async def run(self) -> None:
        """Look up, gather and ask, until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._look_up)
            await self._send(group)

    def stop(self) -> None:
        """Wait for nothing more: what was not asked for is pending."""
        self._stopped = True
        waiting = [*self._new, *self._queue, *self._elsewhere]
        for pending in (self._new, self._queue, self._elsewhere):
            pending.clear()
        self._end(dict.fromkeys(waiting, PENDING))
        self._wake()

    def _want(self, id_: str) -> WantedPatent:
        wanted = self._wanted.get(id_)
        if wanted is not None:
            self._wanted.move_to_end(id_)
            return wanted
        wanted = self._wanted[id_] = WantedPatent()
        if id_ in self._refused:
            self._end({id_: REFUSED})
        elif self._stopped:
            self._end({id_: PENDING})
        else:
            self._new.append(id_)
            self._wake()
        return wanted

    async def _look_up(self) -> None:
        while True:
            if not self._new:
                came = self._came
                with anyio.move_on_after(LOOK_AGAIN_S if self._elsewhere else None):
                    await came.wait()
            await anyio.sleep(GATHER_S)
            ids = [*self._new, *self._elsewhere]
            self._new.clear()
            if not ids:
                continue
            take = self._cache.take
            taken = await anyio.to_thread.run_sync(take, self._name, ids, limiter=self._disk)
            self._elsewhere = set(taken.others)
            self._counts.from_cache += len(taken.known)
            self._answer(taken.known)
            self._queue += taken.ours
            if self._stopped:
                self.stop()
            self._wake()

    async def _send(self, group: TaskGroup) -> None:
        while True:
            while not self._queue:
                await self._came.wait()
            if len(self._queue) < MOST_AT_ONCE:
                self._full = anyio.Event()
                with anyio.move_on_after(LINGER_S):
                    await self._full.wait()
            batch = [self._queue.popleft() for _ in range(min(MOST_AT_ONCE, len(self._queue)))]
            if batch:
                await self._calls.acquire()
                sent = anyio.Event()
                group.start_soon(self._one, batch, sent.set)
                await sent.wait()  # else batches that are not full would stand in line for their permits

    async def _one(self, batch: list[str], on_sent: Callable[[], None]) -> None:
        try:
            asked = await self._ask(batch, on_sent, self._take)
        finally:
            on_sent()
            self._calls.release()
        await self._take(asked)

    async def _take(self, asked: Answered) -> None:
        """Keep what was answered, and tell all who wait for it."""
        with anyio.CancelScope(shield=True):  # what was answered is paid
            if asked.answers:
                keep = self._cache.keep
                await anyio.to_thread.run_sync(keep, self._name, asked.answers, limiter=self._disk)
            if asked.missing:
                give_back = self._cache.give_back
                await anyio.to_thread.run_sync(give_back, self._name, list(asked.missing), limiter=self._disk)
        self._answer(asked.answers)
        self._end(asked.missing)

    def _answer(self, answers: Answers) -> None:
        for id_, answer in answers.items():
            wanted = self._wanted.get(id_)
            if wanted is not None:
                wanted.end(answer, NOT_FOUND if answer is None else "")
        self._forget_some()

    def _end(self, missing: Mapping[str, str]) -> None:
        """Tell why there is no answer; an item that wants the patent later asks again, but for one that is refused."""
        self._refused |= {id_ for id_, why in missing.items() if why == REFUSED}
        for id_, why in missing.items():
            if (wanted := self._wanted.pop(id_, None)) is not None:
                wanted.end(None, why)

    def _forget_some(self) -> None:
        while len(self._wanted) > REMEMBERED and self._cache.usable:
            id_, oldest = next(iter(self._wanted.items()))
            if not oldest.done.is_set():
                return
            del self._wanted[id_]

    def _wake(self) -> None:
        if len(self._queue) >= MOST_AT_ONCE or self._stopped:
            self._full.set()
        self._came.set()
        self._came = anyio.Event()
