"""The endpoints that an account has used on this machine, and what is said of the first item with a new one."""

import functools
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.calls.account import account_of
from pipeline.calls.stats import Stats
from pipeline.endpoints.interface import Endpoints
from pipeline.engine.first_items import First, FirstItems
from pipeline.models import Kind
from pipeline.results.summary import Said, billed
from pipeline.run.load import Job
from pipeline.run.options import RunOptions
from pipeline.system.files import write_whole
from pipeline.system.folders import state_folder

_log = logging.getLogger(__name__)


class UsedEndpoints:
    """The file of one account that counts, by endpoint, the items that ended well with it; lost, it counts anew."""

    def __init__(self, folder: Path, account: str) -> None:
        self._file = folder / f"{account}.json"
        self._telling = FileLock(folder / f"{account}.lock", timeout=0, mode=0o600)

    def counts(self) -> dict[str, int]:
        """Read the counts; none where the file is not there or cannot be read."""
        try:
            noted = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(name): int(count) for name, count in noted.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def keep(self, name: str, count: int) -> None:
        """Keep a count. A run is worth more than that: one that cannot be written is counted again next time."""
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            data = json.dumps(self.counts() | {name: count}).encode()
            write_whole(self._file, data, durable=False, several_writers=True)
        except OSError as exc:
            _log.warning("endpoints.not_noted error=%s", exc.strerror)

    def is_told(self, names: Iterable[str]) -> bool:
        """Return whether another process of this machine tells of a first item with these endpoints, or has done so.

        Where none does it is ours to tell, until `end_telling`: workers that begin together tell once.
        """
        counts = self.counts()
        if all(counts.get(name) for name in names):
            return True
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._telling.acquire()
        except Timeout:
            return True
        except OSError:  # better twice than not at all
            return False
        return False

    def end_telling(self) -> None:
        """Let others tell of endpoints that are new still. Do it without harm where we told nothing."""
        self._telling.release()


def used_endpoints(job: Job) -> UsedEndpoints | None:
    """Return the file of the job's account; None on the sandbox, which nobody pays, and where no home is known."""
    state = None if job.spec.sandbox else state_folder()
    if state is None:
        return None
    return UsedEndpoints(state / "endpoints", account_of(job.spec.api.base_url, job.credentials))


@contextmanager
def first_items(job: Job, options: RunOptions, endpoints: Endpoints, stats: Stats) -> Iterator[FirstItems]:
    """Make the care that a run takes of its first items: none where all of its endpoints were used before."""
    used = used_endpoints(job)
    if used is None:
        yield FirstItems()
        return
    # A report comes long after its task: nothing waits for it, and it may be asked for again.
    also = () if job.spec.details is None else (Kind.DETAILS,)
    names: dict[Kind, str] = {kind: name for kind, name in endpoints.names.items() if kind is not Kind.QUERY}
    names |= {kind: job.spec.names[kind] for kind in also}
    counts = used.counts()
    try:
        yield FirstItems(
            {kind: counts.get(name, 0) for kind, name in names.items()},
            also=also,
            keep=lambda kind, count: used.keep(names[kind], count),
            go_on=functools.partial(_go_on, job.spec.vendor, options, used, names, stats),
        )
    finally:
        used.end_telling()


async def _go_on(
    vendor: str, options: RunOptions, used: UsedEndpoints, names: Mapping[Kind, str], stats: Stats, first: First
) -> bool:
    """Tell what the first item came to and what it cost; return whether to go on."""
    if options.confirm is None and used.is_told(names[kind] for kind in first.kinds):
        return True
    new = " and ".join(names[kind] for kind in first.kinds)
    sent = ", ".join(f"{count} {kind}" for kind, count in stats.sent.items() if count and kind is not Kind.TOKEN)
    cost = billed(stats.units, Said(stats.said, stats.answers), vendor=vendor, sent=True)
    text = (
        f"this account has not used {new} on this machine before, so one item ran alone: {first.item!r} is "
        f"{first.state.word.replace('_', ' ')}; calls sent: {sent}; {cost}"
    )
    _log.info("endpoints.first_item item=%s state=%s %s", first.item, first.state.word, cost)
    if options.confirm is not None:
        return await options.confirm(text)
    options.say(f"{text}; going on")
    return True
