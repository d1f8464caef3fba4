"""The worker: it claims shards of a run until none is left, and runs each as an ordinary job in a folder of its own.

One lease, and one share of the account, last as long as the process. A shard belongs to the incarnation that claimed
it: when that one is lost, the shard's run sends nothing more, records the answers on their way, and ends.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.cluster.claims import Claim, Claims, Given, Standing, free, owners
from pipeline.cluster.epochs import folder_of
from pipeline.cluster.joining import Joined, answers, join
from pipeline.cluster.late_lines import hand_in, hand_over, there_are
from pipeline.cluster.layout import ITEMS, shard_folder
from pipeline.cluster.prepared import ahead_of
from pipeline.cluster.returns import Returns
from pipeline.cluster.takeover import take_over
from pipeline.cluster.telling import Telling, named
from pipeline.errors import JournalError, PipelineError
from pipeline.journal.emergency import opening, require_room
from pipeline.leases.account import SharedAccount
from pipeline.leases.store import StoreUnknown
from pipeline.results.summary import RunSummary
from pipeline.run.cluster_runs import shared_folder
from pipeline.run.leased import LeasedShare, leased
from pipeline.run.load import Job
from pipeline.run.local import LocalExecutor
from pipeline.run.locks import on_this_machine
from pipeline.run.options import Given as Held
from pipeline.run.options import RunOptions
from pipeline.run.stop import Stop

_FINISHED = (0, 1, 7)  # exit codes of a run that came to its end


@dataclass(frozen=True, slots=True)
class WorkOptions:
    """Options of one worker; `run` are those of each shard's run. `aside` takes shards up that were set aside.

    `done` is told of each shard that came to its end here: the worker's own folder, and the shard's run directory.
    """

    name: str | None = None
    aside: bool = False
    run: RunOptions = field(default_factory=RunOptions)
    done: Callable[[Path, Path], None] = lambda place, run: None


class AccountOfOwner(SharedAccount):
    """The account as it is open to the owner of a shard: to one incarnation, and to none that comes after it."""

    owner = ""

    def pace(self, kind: str) -> Callable[[], float]:
        """Return what a limiter asks at every permit; 0 once the incarnation that claimed the shard is lost."""
        inner = super().pace(kind)
        return lambda: inner() if self.owner == self.lease.incarnation else 0.0


def work(job: Job, options: WorkOptions) -> int:
    """Work on shards until none is left; return the exit code, as `run` has them.

    Raises SpecError, or JournalError where no run was split here.
    """
    joined = join(job, say=options.run.say)
    assert job.spec.cluster is not None
    with (
        named(joined.folder, options.name) as place,
        on_this_machine(job, options.run, joined.leases) as part,
        leased(
            job,
            joined.leases,
            part,
            say=options.run.say,
            lease_s=job.spec.cluster.lease_s,
            budgets=joined.split.id,
            account=AccountOfOwner,
        ) as share,
    ):
        return Worker(job, joined, options, share, place).work()


class Worker:
    """One process that works on a run."""

    def __init__(self, job: Job, joined: Joined, options: WorkOptions, share: LeasedShare, place: Path) -> None:
        self._job = job
        self._joined = joined
        self._options = options
        self._share = share
        assert isinstance(share.account, AccountOfOwner)
        self._account = share.account
        self._lease = share.account.lease
        self._claims = Claims(self._lease.store, joined.split)
        self._say = options.run.say
        self._ahead = ahead_of(shared_folder(job.spec), joined.split.job, joined.split.fingerprint)
        self._place = place
        self._stop: Stop | None = None
        self._asked = False
        self._code = 0
        self._left: set[int] = set()  # shards whose run ended here with items that it did not begin
        self._failed: set[int] = set()  # shards whose journal failed here though the shared folder answered
        self._returns = Returns(self._lease, self._claims, joined.folder)
        self._telling = Telling(place, self._take_down, self._slots)
        self._looked = threading.Event()
        self._lease.on_lost = self._lose
        self._lease.after_looks(self._looked.set)

    def work(self) -> int:
        """Claim and work on shards until none is left, or something ends the work; return the exit code."""
        with self._telling:
            hand_over(self._joined.folder)
            ending = None
            while ending is None and not self._asked:
                shards = self._look()
                claim = None if shards is None else self._claim(shards)
                if claim is not None:
                    ending = self._own(claim)
                elif shards is not None and all(map(self._is_over, shards)):
                    return max(self._code, int(self._set_aside(shards)))
                else:
                    self._wait()
            return 1 if ending is None else ending

    # --- claiming ---

    def _look(self) -> list[Standing] | None:
        """Return how the shards stand; None while this machine may not act."""
        if not self._lease.allowed():
            return None
        if self._returns.pay():
            with suppress(StoreUnknown):
                return self._claims.look()
        return None

    def _claim(self, shards: list[Standing]) -> Claim | None:
        """Claim the first shard that is free; one that is done is, too, where late lines may end its doubts."""
        also = [Given.OPEN, Given.ASIDE] if self._options.aside else [Given.OPEN]
        wanted = free(shards, self._lease.dead(owners(shards)), also=also)
        wanted += [one for one in shards if one.state is Given.DONE and one.in_doubt and self._has_late_lines(one)]
        for shard in (one for one in wanted if one.shard not in self._left):
            with suppress(StoreUnknown):
                if (claim := self._claims.claim(shard, self._lease.incarnation)) is not None:
                    return claim
        return None

    def _is_over(self, shard: Standing) -> bool:
        return not shard.worker and (shard.state is not Given.OPEN or shard.shard in self._left)

    def _has_late_lines(self, shard: Standing) -> bool:
        return not shard.worker and there_are(folder_of(self._shard(shard.shard), shard.base))

    def _wait(self) -> None:
        """Wait for a moment, or until the lease has looked at the others: one may have died."""
        self._account.hungry(())
        self._looked.wait(self._lease.renew_s / 2)
        self._looked.clear()

    def _shard(self, number: int) -> Path:
        return shard_folder(self._joined.folder, number)

    def _set_aside(self, shards: list[Standing]) -> bool:
        """Say which shards a person must look at; return whether there are any."""
        aside = [one for one in shards if one.state is Given.ASIDE]
        for one in aside:
            self._say(
                f"shard {one.shard:04} is set aside: its run ended its worker again and again; see "
                f"{folder_of(self._shard(one.shard), one.base)}, then `pipeline work JOB --set-aside`"
            )
        return bool(aside)

    # --- owning ---

    def _own(self, claim: Claim) -> int | None:
        """Work on a shard that is ours, and give it back; return the exit code where that ends the work."""
        owner = self._lease.incarnation
        self._stop, self._account.owner = (stop := Stop()), owner
        self._account.hungry(self._account.slots)
        try:
            with opening(self._shard(claim.shard)):
                taken = take_over(self._shard(claim.shard), claim, worker=owner)
        except JournalError as error:
            self._not_taken(claim, error)
            return None
        if taken is None:
            return None
        if taken.poisoned and not self._options.aside:
            self._returns.give_back(claim, Given.ASIDE)
            return None
        self._telling.begin(claim.shard, claim.epoch)
        summary: RunSummary | None = None
        state = Given.OPEN
        try:
            summary = self._run(claim, taken.folder)
            state = Given.DONE if summary.exit_code in _FINISHED and not summary.items["not_started"] else Given.OPEN
        except JournalError as error:
            self._say(f"shard {claim.shard:04}: {error}")
            state = self._after_failure(claim, error)
        except PipelineError:
            raise
        except Exception as exc:
            state = Given.ASIDE
            self._say(f"shard {claim.shard:04}: a bug of this program ended its run ({type(exc).__name__}: {exc})")
        finally:
            self._stop = None
            self._returns.give_back(claim, state)
            self._telling.end(None if summary is None else summary.items, done=state is Given.DONE)
            if state is Given.DONE:
                self._options.done(self._place, taken.folder)
        return None if summary is None else self._after(claim, summary, state, stop)

    def _run(self, claim: Claim, folder: Path) -> RunSummary:
        """Run a shard; once more where lines of an owner before came meanwhile."""
        assert self._stop is not None
        api = self._job.spec.api.model_copy(update={"leases": self._joined.leases})
        spec = self._job.spec.of_shard(self._shard(claim.shard) / ITEMS)
        job = replace(self._job, spec=spec.model_copy(update={"api": api, "notify": None}))
        options = replace(
            self._options.run, given=Held(folder, self._share, self._ahead), stop=self._stop, observer=self._telling
        )
        hand_in(folder)
        if self._asked or self._lease.incarnation != self._account.owner:
            self._stop.silence()  # before it has begun: it only takes in what there is
        summary = LocalExecutor().run(job, options)
        if summary.items["in_doubt"] and hand_in(folder):
            summary = LocalExecutor().run(job, options)
        return summary

    def _after(self, claim: Claim, summary: RunSummary, state: Given, stop: Stop) -> int | None:
        items = summary.items
        lost = self._lease.incarnation != self._account.owner
        said = f"{items['settled']:,} settled, {items['open']:,} open, {items['not_started']:,} not started"
        self._say(f"shard {claim.shard:04}: {said}" + ("; the lease was lost, others go on with it" if lost else ""))
        if state is Given.DONE:
            self._code = max(self._code, summary.exit_code)
            return None
        if lost:
            return 128 + stop.signal_number if stop.signal_number else None
        if summary.exit_code in _FINISHED and not self._asked:
            self._left.add(claim.shard)
            self._code = max(self._code, summary.exit_code)
            return None
        return summary.exit_code

    def _not_taken(self, claim: Claim, error: JournalError) -> None:
        """Leave a shard whose run directory could not be made: to whoever comes, or alone where that cannot help."""
        self._say(f"shard {claim.shard:04}: {error}")
        if self._after_failure(claim, error) is Given.ASIDE:
            self._returns.refuse(claim)
        else:
            self._returns.leave(claim)

    def _after_failure(self, claim: Claim, error: JournalError) -> Given:
        """Wait until the shared folder answers; return how a shard is to be given back whose journal failed.

        What failed because the folder was out of reach goes on; so does, once, what failed for a moment that was over
        when we looked. Raises the error where the folder has no room, since every shard would meet the same.
        """
        folder = self._joined.folder
        with suppress(OSError):  # out of reach
            _refuse_full(folder, error)
        if answers(folder):
            if claim.shard not in self._failed:
                self._failed.add(claim.shard)
                return Given.OPEN
            self._code = error.exit_code
            self._say(f"shard {claim.shard:04} is set aside: {error}")
            return Given.ASIDE
        self._say("the shared folder is out of reach; this worker goes on when it answers again")
        self._account.hungry(())  # others may use its calls meanwhile
        while not answers(folder):
            time.sleep(self._lease.renew_s / 2)
        self._say("the shared folder answers again")
        hand_over(folder)
        return Given.OPEN

    # --- what comes from outside; called from other threads ---

    def _lose(self, _: str) -> None:
        """Let nothing more be sent in the name of an incarnation that was declared dead."""
        if (stop := self._stop) is not None:
            stop.silence()

    def _take_down(self) -> None:
        self._asked = True
        if (stop := self._stop) is not None:
            stop.set()

    def _slots(self) -> dict[str, int]:
        return {kind: len(slots.held) for kind, slots in self._account.slots.items()}


def _refuse_full(folder: Path, error: JournalError) -> None:
    """Raise the error that ended a shard's run where the shared folder has no room for another. Raises OSError."""
    try:
        require_room(folder, 1)
    except JournalError:
        raise error from None
