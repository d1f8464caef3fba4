"""The ownership of shards by a command that a person types, one shard after the other, as a worker has it.

A shard is claimed where it was given back, or where its owner ended or is dead; it goes on in a folder of its own, and
is given back in the end. One that a worker has is left to it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.cluster.claims import Claim, Claims, GivenBack, Standing
from pipeline.cluster.epochs import folder_of, read_note
from pipeline.cluster.joining import place_of_leases
from pipeline.cluster.layout import shard_folder
from pipeline.cluster.mending import Mend, renew
from pipeline.cluster.split import read_split
from pipeline.cluster.takeover import take_over
from pipeline.cluster.whole_run import WholeRun
from pipeline.errors import JournalError, RunLocked, SpecError
from pipeline.journal.copying import copy_file
from pipeline.journal.emergency import opening
from pipeline.journal.places import AS_RUN, JOURNAL, SUMMARY
from pipeline.journal.sql.forecast import PAID_SEARCHES, expiries
from pipeline.journal.sql.items import counts
from pipeline.journal.storage import reading_only
from pipeline.leases.lease import Lease
from pipeline.leases.members import scope_of
from pipeline.leases.opening import open_store
from pipeline.leases.store import StoreUnknown
from pipeline.models import UNFINISHED, State
from pipeline.results.summary import item_counts
from pipeline.system.fault import Fault, typed

_LOOK_S = 0.2


class Owner:
    """The owner of shards of one run, with a lease of its own that goes on meanwhile.

    account  the digest of the one that calls are sent with; "" where none is sent
    """

    def __init__(self, run: Path, lease: Lease, *, say: Callable[[str], None], account: str = "") -> None:
        self._run = run
        self._lease = lease
        self._claims = Claims(lease.store, read_split(run))
        self._say = say
        self._account = account
        self._silence_s = lease.takeover_s + 4 * lease.renew_s  # by then silence is death
        self._until = time.monotonic() + self._silence_s  # by then a lease is ours, if the store answers
        self._first_asked: dict[str, float] = {}  # about an incarnation of a scope, which was looked at from then on

    @contextmanager
    def owned(self, shard: int) -> Iterator[Path]:
        """Own a shard until the block ends; yield its new run directory. Raises RunLocked where a worker has it."""
        claim, _ = self._claim(shard)
        ours = self._lease.incarnation
        taken = take_over(shard_folder(self._run, shard), claim, worker=ours)
        if taken is None:
            raise self._lost(shard)
        self._bring_end(taken.folder)
        try:
            yield taken.folder
        finally:
            back = self._give_back(claim, taken.folder)
        if not back or self._lease.incarnation != ours:
            raise self._lost(shard)

    @contextmanager
    def mended(self, shard: int, mend: Mend) -> Iterator[Path | None]:
        """Own a shard until the block ends; yield its repaired run directory, None where nothing was damaged.

        One that was repaired is open to workers then: they take in what its list has and its journal does not know.
        Raises RunLocked where a worker has it, JournalError where it cannot be repaired.
        """
        claim, before = self._claim(shard)
        ours, folder = self._lease.incarnation, None
        try:
            with opening(shard_folder(self._run, shard)):
                folder = renew(shard_folder(self._run, shard), claim, worker=ours, mend=mend)
            yield folder
        finally:
            if folder is None:
                back = self._claims.put_back(claim, before)
            else:
                back = self._give_back(claim, folder, GivenBack.OPEN)
        if not back or self._lease.incarnation != ours:
            raise self._lost(shard)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Have no shard owned while the block lasts. Raises RunLocked where a worker has one, or had one in the end."""
        before = {one.shard: one.number for one in self._all_free()}
        yield
        if changed := [one.shard for one in self._claims.look() if one.number != before[one.shard]]:
            raise RunLocked(self._begun(changed[0]))

    @contextmanager
    def whole(self) -> Iterator[WholeRun]:
        """Own all shards at once until the block ends, and give them back as they stood. Raises RunLocked as above."""
        shards = self._all_free()
        run = WholeRun(self._claims, self._lease)
        try:
            for one in shards:
                if not run.claim(one):
                    raise RunLocked(self._begun(one.shard))
            yield run
        finally:
            run.put_back()

    def _begun(self, shard: int) -> Fault:
        what = f"a worker began to work on shard {shard:04} meanwhile; wait for its end, then try again"
        return Fault(what, where=str(self._run), fix=typed("status", self._run))

    def _all_free(self) -> list[Standing]:
        """Wait until every shard's owner is known to have ended; return how they stand."""
        told = False
        while True:
            standings = self._claims.look()
            owned = [one for one in standings if not self._is_free(one)]
            if self._lease.allowed() and not owned:
                return standings
            if alive := [one for one in owned if self._has_waited(one)]:
                raise RunLocked(self._in_use(alive[0]))
            if not owned and time.monotonic() > self._until:
                raise RunLocked(_silent(self._run))
            if owned and not told:
                told = True
                self._tell_waiting(owned[0].shard)
            time.sleep(_LOOK_S)

    def _tell_waiting(self, shard: int) -> None:
        self._say(f"shard {shard:04} has an owner; waiting for a moment to see whether it lives")

    def standings(self) -> list[Standing]:
        """Return how the shards with items stand. Raises StoreUnknown."""
        return self._claims.look()

    def _claim(self, shard: int) -> tuple[Claim, Standing]:
        told = False
        while True:
            standing = next(one for one in self._claims.look() if one.shard == shard)
            self._refuse_another_account(standing)
            is_free = self._is_free(standing)
            if self._lease.allowed() and is_free:
                claim = self._claims.claim(standing, self._lease.incarnation)
                if claim is not None:
                    return claim, standing
            elif self._has_waited(standing):
                raise RunLocked(self._in_use(standing))
            elif standing.worker and not told:
                told = True
                self._tell_waiting(shard)
            time.sleep(_LOOK_S)

    def _refuse_another_account(self, shard: Standing) -> None:
        """Raise SpecError where the calls would be those of an account that cannot see what is paid in a shard."""
        if self._account and shard.account is not None and shard.account.digest != self._account:
            what = (
                f"shard {shard.shard:04} belongs to account {shard.account.name}, whose credentials are another one's "
                "now: put those back that it was begun with; nothing was sent"
            )
            raise SpecError(Fault(what, where=str(self._run)))

    def _is_free(self, shard: Standing) -> bool:
        return not shard.worker or bool(self._lease.dead({shard.worker}))

    def _has_waited(self, shard: Standing) -> bool:
        """Return whether an owner would be known to be dead by now, if it were."""
        now = time.monotonic()
        return now > self._first_asked.setdefault(scope_of(shard.worker), now) + self._silence_s

    def _in_use(self, shard: Standing) -> Fault:
        owner = self._lease.members.living.get(shard.worker)
        who = f"by process {owner.pid} on {owner.host}" if owner is not None else "by a worker"
        what = f"shard {shard.shard:04} is being worked on {who}; wait for its end, then try again"
        return Fault(what, where=str(self._run), fix=typed("status", self._run))

    def _lost(self, shard: int) -> RunLocked:
        what = f"another machine took shard {shard:04} over meanwhile, and what was decided in it may not stand; look"
        return RunLocked(Fault(what, where=str(self._run), fix=typed("status", self._run)))

    def _bring_end(self, folder: Path) -> None:
        """Bring the summary of the run before, and its job: a takeover leaves out both, for each run writes them anew.

        The summary tells of the run that the journal knows as the last one, until another begins in the folder.
        """
        note = read_note(folder)
        if note is not None and note.base:
            for name in (SUMMARY, AS_RUN):  # the job last: with it the folder counts as begun
                copy_file(folder_of(folder.parent, note.base) / name, folder / name)

    def _give_back(self, claim: Claim, folder: Path, given: GivenBack = GivenBack.DONE) -> bool:
        """Give a shard back as its journal says: open where items wait, else as `given`."""
        if not (folder / JOURNAL).is_file():
            return self._claims.give_back(claim, GivenBack.OPEN)
        with reading_only(folder) as db:
            standing = counts(db)
            ends = expiries(db, now=time.time())
        waits = any(standing.get(state) for state in (*UNFINISHED, State.REPORT_PENDING))
        until = ends[PAID_SEARCHES].first if PAID_SEARCHES in ends else 0.0
        state = GivenBack.OPEN if waits else given
        in_doubt, open_items = standing.get(State.IN_DOUBT, 0), item_counts(standing)["open"]
        return self._claims.give_back(claim, state, hits_until=until, in_doubt=in_doubt, open_items=open_items)


@contextmanager
def owning(run: Path, leases: str | None, *, say: Callable[[str], None]) -> Iterator[Owner]:
    """Take part in the leases of a run until the block ends; by default they lie beside it.

    Raises SpecError, or JournalError where they are not there.
    """
    split = read_split(run)
    # In a scope of the run's: it sends nothing and needs no account; workers that wait for its shards look there, too.
    lease = Lease(open_store(place_of_leases(run, leases)), split.id, lease_s=split.lease_s)
    lease.say = say
    with lease:
        try:
            yield Owner(run, lease, say=say)
        except StoreUnknown as exc:
            raise JournalError(_silent(run)) from exc


def _silent(run: Path) -> Fault:
    what = "the leases of this run do not answer, so nobody knows who works on it; try again later"
    return Fault(what, where=str(run))
