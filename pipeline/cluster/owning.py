"""The ownership of shards by a command that a person types, one shard after the other, as a worker has it.

A shard is claimed where it was given back, or where its owner ended or is dead; it goes on in a folder of its own, and
is given back in the end. One that a worker has is left to it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.cluster.claims import Claim, Claims, Given, Standing
from pipeline.cluster.epochs import folder_of, read_note
from pipeline.cluster.joining import place_of_leases
from pipeline.cluster.layout import shard_folder
from pipeline.cluster.split import read_split
from pipeline.cluster.takeover import take_over
from pipeline.errors import RunLocked, SpecError
from pipeline.journal.copying import copy_file
from pipeline.journal.places import AS_RUN, JOURNAL
from pipeline.journal.sql.forecast import PAID_SEARCHES, expiries
from pipeline.journal.sql.items import counts
from pipeline.journal.storage import reading_only
from pipeline.leases.lease import Lease
from pipeline.leases.opening import open_store
from pipeline.models import UNFINISHED, State
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
        self._until = time.monotonic() + lease.takeover_s + 4 * lease.renew_s  # by then silence is death

    @contextmanager
    def owned(self, shard: int) -> Iterator[Path]:
        """Own a shard until the block ends; yield its new run directory. Raises RunLocked where a worker has it."""
        claim = self._claim(shard)
        ours = self._lease.incarnation
        taken = take_over(shard_folder(self._run, shard), claim, worker=ours)
        if taken is None:
            raise self._lost(shard)
        self._bring_job(taken.folder)
        try:
            yield taken.folder
        finally:
            back = self._give_back(claim, taken.folder)
        if not back or self._lease.incarnation != ours:
            raise self._lost(shard)

    def _claim(self, shard: int) -> Claim:
        told = False
        while True:
            standing = next(one for one in self._claims.look() if one.shard == shard)
            self._refuse_another_account(standing)
            if self._lease.allowed() and self._is_free(standing):
                claim = self._claims.claim(standing, self._lease.incarnation)
                if claim is not None:
                    return claim
            elif time.monotonic() > self._until:
                raise RunLocked(self._in_use(standing))
            elif standing.worker and not told:
                told = True
                self._say(f"shard {shard:04} has an owner; waiting for a moment to see whether it lives")
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
        return not shard.worker or shard.worker in self._lease.members.dead

    def _in_use(self, shard: Standing) -> Fault:
        owner = self._lease.members.living.get(shard.worker)
        who = f"by process {owner.pid} on {owner.host}" if owner is not None else "by a worker"
        what = f"shard {shard.shard:04} is being worked on {who}; wait for its end, then try again"
        return Fault(what, where=str(self._run), fix=typed("status", self._run))

    def _lost(self, shard: int) -> RunLocked:
        what = f"another machine took shard {shard:04} over meanwhile, and what was decided in it may not stand; look"
        return RunLocked(Fault(what, where=str(self._run), fix=typed("status", self._run)))

    def _bring_job(self, folder: Path) -> None:
        """Bring the job as it was run, which each run writes anew and a takeover leaves out."""
        note = read_note(folder)
        if note is not None and note.base:
            copy_file(folder_of(folder.parent, note.base) / AS_RUN, folder / AS_RUN)

    def _give_back(self, claim: Claim, folder: Path) -> bool:
        """Give a shard back as its journal says: open where items wait, else done."""
        if not (folder / JOURNAL).is_file():
            return self._claims.give_back(claim, Given.OPEN)
        with reading_only(folder) as db:
            standing = counts(db)
            ends = expiries(db, now=time.time())
        waits = any(standing.get(state) for state in (*UNFINISHED, State.REPORT_PENDING))
        until = ends[PAID_SEARCHES].first if PAID_SEARCHES in ends else 0.0
        state = Given.OPEN if waits else Given.DONE
        return self._claims.give_back(claim, state, hits_until=until, in_doubt=standing.get(State.IN_DOUBT, 0))


@contextmanager
def owning(run: Path, leases: str | None, *, say: Callable[[str], None]) -> Iterator[Owner]:
    """Take part in the leases of a run until the block ends; by default they lie beside it.

    Raises SpecError, or JournalError where they are not there.
    """
    lease = Lease(open_store(place_of_leases(run, leases)), lease_s=read_split(run).lease_s)
    lease.say = say
    with lease:
        yield Owner(run, lease, say=say)
