"""The claims on the shards of a run: a series of entries for each shard, and the number of a claim is its epoch.

    {worker, base, tried, at}         claimed by an incarnation; `base` is the newest epoch that is known to have a run
                                      directory, `tried` are later claims of which that is not known
    {worker: null, state, base, ...}  given back: open, done, or set aside, then with the reason as `why`

Where a job has several accounts, every entry names the one of the first claim, and its successors carry it on: pictures
that were uploaded, links and tasks are an account's own, and another one cannot see them.

Of all who put the next entry one succeeds, so a shard has one owner; whoever acts on an old view loses. A claim counts
as given up only when its incarnation is known to be dead or to have ended, never because nothing is seen of it.
"""

import time
from collections.abc import Collection
from contextlib import suppress
from enum import StrEnum
from typing import Any, NamedTuple

from pipeline.cluster.split import Split
from pipeline.leases.store import Entry, Store, StoreUnknown, body_of, put_mine

ROOM = "s"  # of the series of shards
_SILENT_S = 1.0  # before a store that does not answer is asked again
_LATER = 8 * 3600.0  # seconds that paid hits may wait at most, about: what was interrupted long ago comes first


class GivenBack(StrEnum):
    """The state in which a shard is given back."""

    OPEN = "open"  # items wait
    DONE = "done"
    ASIDE = "aside"  # a person must look


class Why(StrEnum):
    """The reason why a shard is set aside."""

    DEATHS = "deaths"  # it ended worker after worker
    DAMAGE = "damage"  # its run directory could not be used
    BUG = "bug"  # of this program
    UNKNOWN = ""  # an earlier version noted none


class AccountLabel(NamedTuple):
    """The account that a shard belongs to."""

    digest: str  # that names it in the store
    name: str  # that the job has for it


class Standing(NamedTuple):
    """A shard as its newest entry shows it.

    number      of that entry; 0 where there is none
    worker      the incarnation that has it; "" when nobody does
    state       in which it was given back; open for one that nobody has begun
    base        the newest epoch that is known to have a run directory; 0 for none
    tried       later epochs that may have one
    hits_until  when the first paid hits that wait in it become too old (seconds since the epoch); 0 where none do
    in_doubt    how many of its items are in doubt, as its owner last knew
    account     to which it belongs; None for one that nobody has begun, and where the job has the one account
    why         it is set aside
    open_items  how many of its items are open, as its owner last knew
    """

    shard: int
    number: int = 0
    worker: str = ""
    state: GivenBack = GivenBack.OPEN
    base: int = 0
    tried: tuple[int, ...] = ()
    hits_until: float = 0.0
    in_doubt: int = 0
    account: AccountLabel | None = None
    why: Why = Why.UNKNOWN
    open_items: int = 0

    @property
    def begun(self) -> bool:
        """True once somebody has claimed it."""
        return self.number > 0

    def order(self) -> tuple[int, float, int]:
        """Return its place among those to be claimed: paid hits that grow too old first, then begun ones, then new."""
        if self.worker or self.hits_until:
            return 0, self.hits_until, self.shard
        return (1 if self.begun else 2), 0.0, self.shard


class Claim(NamedTuple):
    """A shard that is ours; `died` when the owner before was declared dead, and did not give it back."""

    shard: int
    epoch: int
    base: int
    tried: tuple[int, ...]
    died: bool
    account: AccountLabel | None = None


class Claims:
    """The claims on the shards of one run. All calls block.

    account  to which a shard belongs from now on that belongs to none
    """

    def __init__(self, store: Store, split: Split, account: AccountLabel | None = None) -> None:
        self._store = store
        self._account = account
        self._room = f"{ROOM}/{split.id}"
        self._filled = [shard for shard, items in enumerate(split.counts) if items]

    def look(self) -> list[Standing]:
        """Return how every shard with items stands, as far as the store shows. Raises StoreUnknown."""
        found = self._store.newest(self._room)
        return [_standing(shard, found.get(self._series(shard))) for shard in self._filled]

    def claim(self, shard: Standing, worker: str) -> Claim | None:
        """Claim a shard that nobody has, or whose owner is dead; None where another was first. Raises StoreUnknown."""
        tried = (*shard.tried, shard.number) if shard.worker else shard.tried
        epoch, account = shard.number + 1, shard.account or self._account
        body = {"worker": worker, "base": shard.base, "tried": tried, "at": time.time()}
        if not put_mine(self._store, self._series(shard.shard), epoch, body | _of(account)):
            return None
        return Claim(shard.shard, epoch, shard.base, tried, bool(shard.worker), account)

    def refuse(self, claim: Claim) -> bool:
        """Set a shard aside whose run directory could not be made; return False as `give_back` does."""
        return self._without_folder(claim, GivenBack.ASIDE, [*claim.tried, claim.epoch], why=Why.DAMAGE)

    def leave(self, claim: Claim) -> bool:
        """Give a shard back in which we did nothing, and never shall; return False as `give_back` does."""
        return self._without_folder(claim, GivenBack.OPEN, list(claim.tried))

    def put_back(self, claim: Claim, before: Standing) -> bool:
        """Give a shard back as it stood before our claim, of which there is no folder and never will be."""
        times = {"hits_until": before.hits_until, "in_doubt": before.in_doubt, "open": before.open_items}
        body: dict[str, object] = {"worker": None, "state": before.state, "base": claim.base, **times}
        body |= {"tried": list(claim.tried), "why": before.why}
        return put_mine(self._store, self._series(claim.shard), claim.epoch + 1, body | _of(before.account))

    def _without_folder(self, claim: Claim, state: GivenBack, tried: list[int], *, why: Why = Why.UNKNOWN) -> bool:
        body: dict[str, object] = {"worker": None, "state": state, "base": claim.base, "tried": tried, "why": why}
        return put_mine(self._store, self._series(claim.shard), claim.epoch + 1, body | _of(claim.account))

    def give_back(
        self,
        claim: Claim,
        state: GivenBack,
        *,
        why: Why = Why.UNKNOWN,
        hits_until: float = 0.0,
        in_doubt: int = 0,
        open_items: int = 0,
    ) -> bool:
        """Give a shard back whose run directory is there and which nothing writes any more.

        Return False when somebody has claimed it meanwhile: we were taken for dead. Raises StoreUnknown.
        """
        body: dict[str, object] = {"worker": None, "state": state, "base": claim.epoch, "why": why}
        body |= {"hits_until": hits_until, "in_doubt": in_doubt, "open": open_items}
        return put_mine(self._store, self._series(claim.shard), claim.epoch + 1, body | _of(claim.account))

    def _series(self, shard: int) -> str:
        return f"{self._room}/{shard:04}"


def owners(shards: Collection[Standing]) -> frozenset[str]:
    """Return the incarnations that have shards, dead or alive."""
    return frozenset(one.worker for one in shards if one.worker)


def look_without_lease(store: Store, split: Split) -> list[Standing]:
    """Return how the shards stand; wait where the store does not answer."""
    while True:
        with suppress(StoreUnknown):
            return Claims(store, split).look()
        time.sleep(_SILENT_S)


def free(
    shards: Collection[Standing], dead: Collection[str], *, also: Collection[GivenBack] = (GivenBack.OPEN,)
) -> list[Standing]:
    """Return the shards that may be claimed, the most urgent first: of dead owners, and given back in these states."""
    return sorted(
        (one for one in shards if (one.worker in dead if one.worker else one.state in also)), key=Standing.order
    )


def _standing(shard: int, entry: Entry | None) -> Standing:
    if entry is None:
        return Standing(shard)
    body = body_of(entry.value)
    worker = body.get("worker")
    base, tried = _number(body.get("base")), tuple(map(_number, body.get("tried") or ()))
    account = AccountLabel(str(body["account"]), str(body.get("account_name", ""))) if "account" in body else None
    if isinstance(worker, str):
        until = _seconds(body.get("at")) + _LATER
        return Standing(shard, entry.number, worker, GivenBack.OPEN, base, tried, until, account=account)
    state = GivenBack(body["state"]) if body.get("state") in list(GivenBack) else GivenBack.ASIDE
    until, in_doubt = _seconds(body.get("hits_until")), _number(body.get("in_doubt"))
    why = Why(body["why"]) if body.get("why") in list(Why) else Why.UNKNOWN
    return Standing(
        shard, entry.number, "", state, base, tried, until, in_doubt, account, why, _number(body.get("open"))
    )


def _of(account: AccountLabel | None) -> dict[str, str]:
    return {} if account is None else {"account": account.digest, "account_name": account.name}


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
