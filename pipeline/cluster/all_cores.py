"""Parts of a first pass on all cores of this machine, each in a process; one that dies takes no other part with it."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from pipeline.cluster.prepared import Part, died_over
from pipeline.system.helpers import end_with_parent
from pipeline.system.processes import cores

R = TypeVar("R")

_WAITING = 2  # parts for each process, that which it works on included


def on_all_cores(function: Callable[[Part], R], parts: Iterable[Part]) -> Iterator[R]:
    """Yield what a function returns for each part, as it comes.

    What was under way when a process died, as where there was no memory left, is done once more, one part at a time.
    Raises SpecError for a part that ends its process again.
    """
    left = iter(parts)
    while unfinished := (yield from _together(function, left)):
        for part in unfinished:
            yield _alone(function, part)


def _together(function: Callable[[Part], R], left: Iterator[Part]) -> Generator[R, None, list[Part]]:
    """Yield the outcomes of parts until none is left, or a process dies; return those that have none."""
    workers = cores()
    going: dict[Future[R], Part] = {}
    with _pool(workers) as pool:
        while True:
            for part in islice(left, workers * _WAITING - len(going)):
                try:
                    going[pool.submit(function, part)] = part
                except BrokenProcessPool:
                    return [*going.values(), part]
            if not going:
                return []
            for one in wait(going, return_when=FIRST_COMPLETED).done:
                try:
                    outcome = one.result()
                except BrokenProcessPool:
                    return list(going.values())
                del going[one]
                yield outcome


def _alone(function: Callable[[Part], R], part: Part) -> R:
    with _pool(1) as pool:
        try:
            return pool.submit(function, part).result()
        except BrokenProcessPool:
            raise died_over(part) from None


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=end_with_parent)
