"""The accounts that a worker uses, one at a time: the one in which it is of most use, then the next.

A process sends all calls per second of an account by itself. So each account gets a worker before one gets two, and
then whichever has the fewest for its calls per second. Workers that begin together choose after one another: each puts
its choice into a series of the store, behind those that it has seen.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import NamedTuple

from pipeline.cluster.claims import AccountLabel, GivenBack, Standing
from pipeline.cluster.joining import Joined
from pipeline.cluster.machines import FRESH_S, WorkerStatus, workers_in
from pipeline.cluster.sharing import label_of
from pipeline.leases.series import Series
from pipeline.leases.store import Store, StoreUnknown
from pipeline.run.load import Job
from pipeline.system.wording import count, listed

_ROOM = "a"  # of the series of choices; each entry has all that counts of those before, and none is dropped


class Stopped(NamedTuple):
    """The end of an account for this worker."""

    code: int  # the exit code, as `run` has them
    why: str


class Accounts:
    """The accounts of a job as one worker may use them, by their digests.

    now      the one that is used, or was last; "" before the first
    stopped  those that were refused to this worker
    """

    def __init__(self, job: Job, joined: Joined, store: Store, worker: str) -> None:
        self.jobs = {one.account: one for one in job.each_account()}
        self.several = bool(job.spec.accounts)
        self.now = ""
        self.stopped: dict[str, Stopped] = {}
        self._named = job.spec.accounts
        self._run = joined.folder
        self._worker = worker
        self._store = store
        self._series = f"{_ROOM}/{joined.split.id}"

    def name_of(self, account: str) -> str:
        """Return the job's name for an account; "" for the one account."""
        label = label_of(self.jobs[account])
        return "" if label is None else label.name

    def concerns(self, shard: Standing) -> bool:
        """Return whether this worker may use the account of a shard, or any account for it."""
        if shard.account is None:
            return len(self.stopped) < len(self.jobs)
        return shard.account.digest in self.jobs and shard.account.digest not in self.stopped

    def fits(self, shard: Standing) -> bool:
        """Return whether a shard may be worked on with the account that is used now."""
        return shard.account is None or shard.account.digest == self.now

    def choose(self, shards: Collection[Standing]) -> Job | None:
        """Choose the account to use from now on, for one of these shards; None where none can be used."""
        if not self.several:
            [self.now] = self.jobs
            return self.jobs[self.now]
        own = {one.account.digest for one in shards if one.account is not None}
        new = any(one.account is None for one in shards)
        among = [one for one in self.jobs if one not in self.stopped and (new or one in own)]
        if not among:
            return None
        self.now = self._chosen(among) if len(self.jobs) > 1 else among[0]
        return self.jobs[self.now]

    def needed_by(self, mine: Sequence[Standing], others: Sequence[Standing]) -> list[Standing]:
        """Return the shards for which this worker should change to another account; none where it should stay.

        `mine` are the free shards of the account in use, `others` those of other accounts.

        Begun ones of an account that nobody uses come before new ones: what is paid in them grows too old.
        """
        if not others or (mine and mine[0].begun):
            return []
        if not mine:
            return list(others)
        used = {one.account for one in self._living()}
        return [one for one in others if one.account is not None and one.account.name not in used]

    def left_over(self, shards: Collection[Standing], say: Callable[[str], None]) -> int:
        """Say which shards wait for an account that this worker cannot use; return the exit code for them."""
        code = 0
        waiting = [one for one in shards if one.state is not GivenBack.DONE and not one.worker]
        for account, stopped in self.stopped.items():
            new = len(self.stopped) == len(self.jobs)
            mine = [one for one in waiting if (new if one.account is None else one.account.digest == account)]
            if mine:
                code = max(code, stopped.code)
                say(f"account {self.name_of(account)}: {_wait(mine)} for it: {stopped.why}")
        names = set(map(self.name_of, self.jobs))
        for label in sorted({one.account for one in waiting if one.account is not None} - self._known()):
            if label.name in self._named and label.name not in names:
                continue  # other workers have its credentials
            code = max(code, 1)
            mine = [one for one in waiting if one.account == label]
            say(
                f"account {label.name}: {_wait(mine)} for the credentials that they were begun with: what was paid in "
                "them is that account's, and another one cannot see it"
            )
        return code

    def _known(self) -> set[AccountLabel]:
        return {label for one in self.jobs.values() if (label := label_of(one)) is not None}

    def _living(self) -> list[WorkerStatus]:
        return [one for one in workers_in(self._run) if one.name != self._worker and one.is_there(now=time.time())]

    def _chosen(self, among: Collection[str]) -> str:
        """Choose one, and let the others know before they choose; where the store is silent, choose all the same."""
        choices = Series(self._store, self._series)
        with suppress(StoreUnknown):
            while True:
                told, now = choices.look().get("chosen", {}), time.time()
                fresh = {name: (one, at) for name, (one, at) in told.items() if now - at < FRESH_S}
                best = self._best(among, {name: one for name, (one, _) in fresh.items()})
                if choices.put({"chosen": fresh | {self._worker: (self.name_of(best), now)}}):
                    return best
        return self._best(among, {})

    def _best(self, among: Collection[str], chosen: dict[str, str]) -> str:
        told = {one.name: one.account for one in self._living()}
        used = Counter(account for name, account in (told | chosen).items() if name != self._worker)

        def crowded(account: str) -> tuple[float, float]:
            per_s = _per_s(self.jobs[account])
            return used[self.name_of(account)] / per_s, -per_s

        return min(among, key=crowded)


def _wait(shards: Sequence[Standing]) -> str:
    return f"{count(len(shards), 'shard waits', 'shards wait')} ({listed([f'{one.shard:04}' for one in shards])})"


def _per_s(job: Job) -> float:
    """Return how many items an account can bring to their end in a second, by the slower of the calls that all make."""
    return min(job.spec.api.qps_of(kind) for kind in job.spec.kinds(local=False))
