"""The giving back of shards by a worker, now or as soon as the store answers.

Nobody else may take a shard whose owner lives; so what could not be given back must not be forgotten while we live on.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from pipeline.cluster.claims import Claim, Claims, GivenBack, Why
from pipeline.cluster.epochs import folder_of
from pipeline.cluster.layout import shard_folder
from pipeline.errors import PipelineError
from pipeline.journal.sql.forecast import PAID_SEARCHES, expiries
from pipeline.journal.sql.items import counts
from pipeline.journal.sql.sent_calls import nothing_executed
from pipeline.journal.storage import reading_only
from pipeline.leases.lease import Lease
from pipeline.leases.store import StoreUnknown
from pipeline.models import WAITING, State
from pipeline.results.summary import item_counts

_TRIES = 3


class Returns:
    """The shards of one run that a worker gives back."""

    def __init__(self, lease: Lease, claims: Claims, run: Path) -> None:
        self._lease = lease
        self._claims = claims
        self._run = run
        self._owed: list[Callable[[], bool]] = []  # what the store does not know yet, in its order

    def give_back(self, claim: Claim, state: GivenBack, why: Why = Why.UNKNOWN) -> None:
        """Give a shard back that we worked on; `why` says for what reason it is set aside."""
        hits_until, in_doubt, open_items = 0.0, 0, 0
        folder = folder_of(shard_folder(self._run, claim.shard), claim.epoch)
        with suppress(PipelineError, OSError), reading_only(folder) as db:
            found = counts(db)
            if not any(number for one, number in found.items() if one is not State.PENDING) and nothing_executed(db):
                claim = claim._replace(account=None)  # nothing in it is an account's own: let any have it
            in_doubt, open_items = found.get(State.IN_DOUBT, 0), item_counts(found)["open"]
            if state is GivenBack.OPEN and any(found.get(one) for one in WAITING):
                first = expiries(db, now=time.time()).get(PAID_SEARCHES)
                hits_until = 0.0 if first is None else first.first
        give = partial(self._claims.give_back, claim, state, why=why, hits_until=hits_until)
        self._owe(partial(give, in_doubt=in_doubt, open_items=open_items))

    def refuse(self, claim: Claim) -> None:
        """Set a shard aside whose run directory could not be made."""
        self._owe(partial(self._claims.refuse, claim))

    def leave(self, claim: Claim) -> None:
        """Give a shard back in which we did nothing, and never shall."""
        self._owe(partial(self._claims.leave, claim))

    def pay(self) -> bool:
        """Give back what is owed; return whether the store knows all of it.

        A shard that others took meanwhile, because they found us dead, stays theirs.
        """
        with suppress(StoreUnknown):
            while self._owed:
                self._owed[0]()
                del self._owed[0]
        return not self._owed

    def _owe(self, give: Callable[[], bool]) -> None:
        self._owed.append(give)
        for _ in range(_TRIES):
            if self.pay():
                return
            time.sleep(self._lease.renew_s / 2)
