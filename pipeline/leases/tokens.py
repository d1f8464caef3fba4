"""One access token for all machines of an account: one of them asks the vendor, the others wait for what it got.

The series holds a claim before each token. Whoever finds the newest token about to expire, or refused, puts a claim,
asks the vendor, and puts the token, sealed. A claim that brings no token in time is followed by another one's.
"""

import json
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import anyio

from pipeline.errors import Code, RunPaused, SpecError
from pipeline.leases.series import Series
from pipeline.leases.store import Store, StoreUnknown, name_of
from pipeline.system import clock as clocks
from pipeline.system.fault import Fault
from pipeline.system.masking import hide

CLAIM_S = 20.0  # a claim that brought no token for so long is dead
SKEW_S = 5.0  # by which the clocks of two machines may differ
LOOK_S = 0.25  # how often others look whether the token has come
PATIENCE_S = 600.0  # for a store that does not answer; then the run pauses


class SharedToken(NamedTuple):
    """An access token, and how long it still lives."""

    value: str
    lifetime_s: float


class Issued(Protocol):
    """A token as the vendor gave it."""

    @property
    def value(self) -> str: ...
    @property
    def lifetime_s(self) -> float: ...


class Sealing(Protocol):
    """The seal of an account (leases.sealed)."""

    def close(self, data: bytes) -> str: ...
    def open(self, text: str) -> bytes | None: ...


def seal_for(secret: str, account: str) -> Sealing:
    """Make the seal of an account. Raises SpecError where its library is not installed."""
    try:
        from pipeline.leases.sealed import Seal
    except ModuleNotFoundError as error:
        what = "sharing an access token between machines needs the library cryptography, which is not installed"
        fix = "pip install 'infringement-pipeline[cluster]'"
        raise SpecError(Fault(what, where="api.leases", fix=fix)) from error
    return Seal(secret, account)


class SharedTokens:
    """The token of one account, as this process sees it; one caller at a time fetches it.

    ask       asks the vendor for a token; what it raises is raised by `fetch`
    sleep     waits, and raises Stopping once the run ends
    renew_at  the part of its life after which a token is renewed
    """

    def __init__(
        self,
        store: Store,
        account: str,
        seal: Sealing,
        ask: Callable[[], Awaitable[Issued]],
        *,
        sleep: Callable[[float], Awaitable[None]],
        renew_at: float,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = clocks.steady,
    ) -> None:
        self._series = Series(store, f"t/{name_of(account)}/token")
        self._seal = seal
        self._ask = ask
        self._sleep = sleep
        self._renew_at = renew_at
        self._wall, self._clock = wall, clock
        self._us = secrets.token_hex(8)
        self._claim = (0, 0.0)  # the number of the claim that we wait for, and when we saw it first

    async def fetch(self, refused: str) -> SharedToken:
        """Return the newest token, or ask the vendor for one: nobody else does meanwhile.

        A token that was `refused` is not returned again.
        """
        silent_since: float | None = None
        while True:
            found = await anyio.to_thread.run_sync(self._look, refused)
            if isinstance(found, SharedToken):
                return found
            if found is _CLAIMED:
                if (token := await self._issue()) is not None:
                    return token
                continue
            silent_since = None if found is _OTHERS else silent_since or self._clock()
            if silent_since is not None and self._clock() - silent_since > PATIENCE_S:
                what = "the store of the leases does not answer, and no token is asked for without it; run again later"
                raise RunPaused(what, code=Code.LEASES, sent=False)
            await self._sleep(LOOK_S)

    async def _issue(self) -> SharedToken | None:
        """Ask the vendor and let the others have the token; None where another one has claimed it meanwhile."""
        asked_at, token = self._wall(), None
        try:
            token = await self._ask()
        finally:
            if token is None:  # the others need not wait until the claim is dead
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(self._put, {"by": self._us, "until": 0})
        hide([token.value], passing=True)
        what = {"value": token.value, "issued_at": asked_at, "lifetime_s": token.lifetime_s}
        entry = {"sealed": self._seal.close(json.dumps(what).encode()), "expires": asked_at + token.lifetime_s}
        if await anyio.to_thread.run_sync(self._put, entry) is False:
            return None
        return SharedToken(token.value, token.lifetime_s)

    def _put(self, body: dict[str, object]) -> bool | None:
        """Put what follows our claim; return False where there is an entry of another, None where nobody knows."""
        try:
            return self._series.put(body)
        except StoreUnknown:  # `_look` finds out
            return None

    def _look(self, refused: str) -> "SharedToken | str":
        """Return a token that can be used, `_CLAIMED` if we are to ask for one, `_OTHERS` or `_SILENT` to wait."""
        try:
            if self._series.is_doubtful:
                self._series.settle()
            body = self._series.look()
            if "sealed" in body:
                if (token := self._opened(str(body["sealed"]), refused)) is not None:
                    return token
            elif self._is_alive(self._series.number, body):
                return _OTHERS
            claimed = self._series.put({"by": self._us, "until": self._wall() + CLAIM_S})
        except StoreUnknown:
            return _SILENT
        return _CLAIMED if claimed else _OTHERS

    def _opened(self, sealed: str, refused: str) -> SharedToken | None:
        """Return the token of an entry; None where it was refused, is about to expire, or cannot be opened."""
        if (data := self._seal.open(sealed)) is None:  # another secret: the vendor decides which one it takes
            return None
        token = json.loads(data)
        value = str(token["value"])
        hide([value], passing=True)
        age_s = max(0.0, self._wall() - float(token["issued_at"]))
        left_s = float(token["lifetime_s"]) - age_s / self._renew_at  # so that all renew it at one moment
        if value == refused or left_s <= 0:
            return None
        return SharedToken(value, left_s)

    def _is_alive(self, number: int, claim: dict[str, object]) -> bool:
        """Return whether a token may still come of a claim, by its own word and by how long we have seen it."""
        if not number or claim.get("by") == self._us:
            return False
        if self._claim[0] != number:
            self._claim = (number, self._clock())
        until = claim.get("until")
        ends = float(until) + SKEW_S if isinstance(until, int | float) and until else 0.0
        return self._wall() < ends and self._clock() < self._claim[1] + CLAIM_S


_CLAIMED, _OTHERS, _SILENT = "claimed", "others", "silent"
