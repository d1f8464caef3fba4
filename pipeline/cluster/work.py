"""The worker: it claims shards of a run until none is left, and runs each as an ordinary job in a folder of its own.

One lease, and one share of the account, last as long as the process uses that account: the one that the job has, or one
of several, each in its turn. A shard belongs to the incarnation that claimed it: when that one is lost, the shard's run
sends nothing more, records the answers on their way, and ends.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.cluster.accounts import Accounts, Stopped
from pipeline.cluster.choosing import Choice
from pipeline.cluster.claims import Claim, Claims, GivenBack, Standing, Why, look_without_lease
from pipeline.cluster.failures import failed_by_itself, say_open, say_set_aside, wait_until_it_answers
from pipeline.cluster.joining import Joined, join, note_question, refuse_replaced
from pipeline.cluster.late_lines import hand_in, hand_over
from pipeline.cluster.layout import ITEMS, shard_folder
from pipeline.cluster.prepared import ahead_of
from pipeline.cluster.returns import Returns
from pipeline.cluster.sharing import AccountOfOwner, label_of, sharing
from pipeline.cluster.split import anew
from pipeline.cluster.takeover import take_over
from pipeline.cluster.telling import Telling, named
from pipeline.errors import JournalError, PipelineError, RunLocked
from pipeline.journal.emergency import opening
from pipeline.leases.opening import open_store
from pipeline.leases.slots import Slots
from pipeline.leases.store import StoreUnknown
from pipeline.results.summary import RunSummary
from pipeline.run.cluster_runs import shared_folder
from pipeline.run.leased import LeasedShare
from pipeline.run.load import Job
from pipeline.run.local import LocalExecutor
from pipeline.run.options import Given, RunOptions
from pipeline.run.stop import Stop

_FINISHED = (0, 1, 7)  # exit codes of a run that came to its end
_OF_ACCOUNT = (3, 4)  # of one that was refused or paused: with another account it may go on


@dataclass(frozen=True, slots=True)
class WorkOptions:
    """Options of one worker; `run` are those of each shard's run. `aside` takes shards up that were set aside.

    `done` is told of each shard that came to its end here: the worker's own folder, and the shard's run directory.
    """

    name: str | None = None
    aside: bool = False
    run: RunOptions = field(default_factory=RunOptions)
    done: Callable[[Path, Path], None] = lambda place, run: None


def work(job: Job, options: WorkOptions) -> int:
    """Work on shards until none is left; return the exit code, as `run` has them.

    Raises SpecError, or JournalError where no run was split here.
    """
    joined = join(job, say=options.run.say)
    note_question(joined, job)
    with named(joined.folder, options.name) as place:
        return Worker(job, joined, options, place).work()


class Worker:
    """One process that works on a run."""

    def __init__(self, job: Job, joined: Joined, options: WorkOptions, place: Path) -> None:
        self._job = job
        self._joined = joined
        self._options = options
        self._say = options.run.say
        self._ahead = ahead_of(shared_folder(job.spec), joined.split.job, joined.split.fingerprint)
        self._anew = anew(job.words)
        self._place = place
        self._store = open_store(joined.leases, say=self._say)
        self._accounts = Accounts(job, joined, self._store, place.name)
        self._choice = Choice(joined.folder, self._accounts, aside=options.aside)
        self._wanted: list[Standing] = []  # shards for which another account is used next
        self._idle_since = 0.0
        self._stop: Stop | None = None
        self._asked = False
        self._waiting = Stop()  # set once it is asked to end: it waits for an account no longer
        self._code = 0
        self._failed: set[int] = set()  # shards whose journal failed here though the shared folder answered
        self._slots: dict[str, Slots] = {}
        self._telling = Telling(place, self._take_down, lambda: {k: len(one.held) for k, one in self._slots.items()})
        self._looked = threading.Event()

    def work(self) -> int:
        """Use one account after the other until no shard is left, or something ends it; return the exit code."""
        with self._telling:
            hand_over(self._joined.folder)
            ending = None
            while ending is None and not self._asked:
                wanted = self._wanted
                if self._accounts.several and not wanted:
                    wanted = self._choice.unfinished(look_without_lease(self._store, self._joined.split))
                if (job := self._accounts.choose(wanted)) is None:
                    return self._end(look_without_lease(self._store, self._joined.split))
                with ExitStack() as using:
                    if (share := self._wait_for(job, using)) is not None:
                        self._use(job, share)
                        ending = self._work_here()
            return 1 if ending is None else ending

    def _wait_for(self, job: Job, using: ExitStack) -> LeasedShare | None:
        """Take part in an account, after others of this machine where that was asked for; None once we are to end."""
        options = replace(self._options.run, stop=self._waiting)
        try:
            return using.enter_context(sharing(job, self._joined.leases, self._joined.split, options))
        except RunLocked:
            if not self._asked:
                raise
            return None

    def _use(self, job: Job, share: LeasedShare) -> None:
        """Use an account from now on, with its lease and all that goes by it."""
        assert isinstance(share.account, AccountOfOwner)
        self._job, self._share, self._account, self._lease = job, share, share.account, share.account.lease
        self._claims = Claims(self._lease.store, self._joined.split, label_of(job))
        self._returns = Returns(self._lease, self._claims, self._joined.folder)
        self._lease.on_lost = self._lose
        self._lease.after_looks(self._looked.set)
        self._idle_since, self._slots = self._lease.clock(), share.account.slots
        self._telling.use(self._accounts.name_of(self._accounts.now))

    def _work_here(self) -> int | None:
        """Claim and work on shards with one account; return the exit code, None where another one is to be used."""
        while not self._asked:
            if (shards := self._look()) is None:
                self._wait()
                continue
            idle_s = self._lease.clock() - self._idle_since
            self._wanted = self._choice.elsewhere(shards, self._lease, idle_s=idle_s)
            if self._wanted or self._accounts.now in self._accounts.stopped:
                return None
            if (claim := self._choice.claim(shards, self._claims, self._lease)) is not None:
                if (ending := self._own(claim)) is not None:
                    return ending
                self._idle_since = self._lease.clock()
            elif all(map(self._choice.is_over, shards)):
                return self._end(shards)
            else:
                self._wait()
        return None

    def _end(self, shards: list[Standing]) -> int:
        aside = say_set_aside(self._joined.folder, shards, self._say, words=self._job.words)
        is_open = say_open(self._joined.folder, shards, self._say)
        return max(self._code, self._accounts.left_over(shards, self._say), int(aside or is_open))

    # --- claiming ---

    def _look(self) -> list[Standing] | None:
        """Return how the shards stand; None while this machine may not act."""
        if self._lease.allowed() and self._returns.pay():
            with suppress(StoreUnknown):
                return self._claims.look()
        return None

    def _wait(self) -> None:
        """Wait for a moment, or until the lease has looked at the others: one may have died."""
        self._account.hungry(())
        self._looked.wait(self._lease.renew_s / 2)
        self._looked.clear()

    def _shard(self, number: int) -> Path:
        return shard_folder(self._joined.folder, number)

    # --- owning ---

    def _own(self, claim: Claim) -> int | None:
        """Work on a shard that is ours, and give it back; return the exit code where that ends the work."""
        refuse_replaced(self._joined)
        self._stop, self._account.owner = (stop := Stop()), self._lease.incarnation
        self._account.hungry(self._account.slots)
        try:
            with opening(self._shard(claim.shard)):
                taken = take_over(self._shard(claim.shard), claim, worker=self._account.owner)
        except JournalError as error:
            self._not_taken(claim, error)
            return None
        if taken is None:
            return None
        if taken.poisoned and not self._options.aside:
            self._returns.give_back(claim, GivenBack.ASIDE, Why.DEATHS)
            return None
        self._telling.begin(claim.shard, claim.epoch)
        summary: RunSummary | None = None
        state, why = GivenBack.OPEN, Why.UNKNOWN
        try:
            summary = self._run(claim, taken.folder)
            state = (
                GivenBack.DONE
                if summary.exit_code in _FINISHED and not summary.items["not_started"]
                else GivenBack.OPEN
            )
        except JournalError as error:
            self._say(f"shard {claim.shard:04}: {error}")
            state, why = self._after_failure(claim, error), Why.DAMAGE
        except PipelineError:
            raise
        except Exception as exc:
            state, why = GivenBack.ASIDE, Why.BUG
            self._say(f"shard {claim.shard:04}: a bug of this program ended its run ({type(exc).__name__}: {exc})")
        finally:
            self._stop = None
            self._returns.give_back(claim, state, why if state is GivenBack.ASIDE else Why.UNKNOWN)
            self._telling.end(None if summary is None else summary.items, done=state is GivenBack.DONE)
            if state is GivenBack.DONE:
                self._options.done(self._place, taken.folder)
        return None if summary is None else self._after(claim, summary, state, stop)

    def _run(self, claim: Claim, folder: Path) -> RunSummary:
        """Run a shard; once more where lines of an owner before came meanwhile."""
        assert self._stop is not None
        api = self._job.spec.api.model_copy(update={"leases": self._joined.leases})
        spec = self._job.spec.of_shard(self._shard(claim.shard) / ITEMS)
        job = replace(self._job, spec=spec.model_copy(update={"api": api, "notify": None}))
        given = Given(folder, self._share, self._ahead, self._anew)
        options = replace(self._options.run, given=given, stop=self._stop, observer=self._telling)
        hand_in(folder)
        if self._asked or self._lease.incarnation != self._account.owner:
            self._stop.silence()  # before it has begun: it only takes in what there is
        summary = LocalExecutor().run(job, options)
        if summary.items["in_doubt"] and hand_in(folder):
            summary = LocalExecutor().run(job, options)
        return summary

    def _after(self, claim: Claim, summary: RunSummary, state: GivenBack, stop: Stop) -> int | None:
        items = summary.items
        lost = self._lease.incarnation != self._account.owner
        said = f"{items['settled']:,} settled, {items['open']:,} open, {items['not_started']:,} not started"
        self._say(f"shard {claim.shard:04}: {said}" + ("; the lease was lost, others go on with it" if lost else ""))
        if state is GivenBack.DONE:
            self._code = max(self._code, summary.exit_code)
            return None
        if lost:
            return 128 + stop.signal_number if stop.signal_number else None
        if summary.exit_code in _FINISHED and not self._asked:
            self._choice.left.add(claim.shard)
            self._code = max(self._code, summary.exit_code)
            return None
        if summary.exit_code in _OF_ACCOUNT and self._accounts.several:
            self._accounts.stopped[self._accounts.now] = Stopped(summary.exit_code, summary.exit_reason)
            return None
        if summary.exit_code not in _FINISHED and not self._asked:
            self._say(summary.exit_reason)
            self._telling.stops(summary.ended_by)
        return summary.exit_code

    def _not_taken(self, claim: Claim, error: JournalError) -> None:
        """Leave a shard whose run directory could not be made: to whoever comes, or alone where that cannot help."""
        self._say(f"shard {claim.shard:04}: {error}")
        if self._after_failure(claim, error) is GivenBack.ASIDE:
            self._returns.refuse(claim)
        else:
            self._returns.leave(claim)

    def _after_failure(self, claim: Claim, error: JournalError) -> GivenBack:
        """Wait until the shared folder answers; return how a shard is to be given back whose journal failed.

        What failed because the folder was out of reach goes on; so does, once, what failed for a moment that was over
        when we looked. Raises the error where the folder has no room, since every shard would meet the same.
        """
        if failed_by_itself(self._joined.folder, error):
            if claim.shard not in self._failed:
                self._failed.add(claim.shard)
                return GivenBack.OPEN
            self._code = error.exit_code
            self._say(f"shard {claim.shard:04} is set aside: {error}")
            return GivenBack.ASIDE
        wait_until_it_answers(self._joined.folder, self._account, self._say)
        return GivenBack.OPEN

    # --- what comes from outside; called from other threads ---

    def _lose(self, _: str) -> None:
        """Let nothing more be sent in the name of an incarnation that was declared dead."""
        if (stop := self._stop) is not None:
            stop.silence()

    def _take_down(self) -> None:
        self._asked = True
        self._waiting.set()
        if (stop := self._stop) is not None:
            stop.set()
