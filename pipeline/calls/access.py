"""Access to the vendor's endpoints: the bearer that every paid call carries, and the token call that renews it."""

import random
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Protocol

import anyio
from aiolimiter import AsyncLimiter

from pipeline.calls.retry import LONGEST_RETRY_AFTER_S, delay_s
from pipeline.calls.transport import Headers, Transport
from pipeline.endpoints.consequences import consequence
from pipeline.endpoints.interface import Refusal
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.endpoints.patsnap.oauth import AccessToken, Token
from pipeline.errors import (
    CallError,
    Code,
    HoldAll,
    ItemRefused,
    RefreshToken,
    RunPaused,
    RunStopped,
    SlowDown,
    TryAgain,
)
from pipeline.models import Kind
from pipeline.system.masking import hide
from pipeline.system.wording import count

MAX_TRIES = 4  # of a token call that is refused for speed, as of one that failed
FULL_S = 20.0  # to wait when the platform is full and does not say for how long
RENEW_AT = 5 / 6  # of a token's lifetime, counted from before it was asked for
MAX_REFUSALS = 3
_TOKEN = AccessToken()
_NEVER, _AT_ONCE = float("inf"), float("-inf")


class Fetched(Protocol):
    """A token that `fetch` brought: the vendor's, or one that machines share."""

    @property
    def value(self) -> str: ...
    @property
    def lifetime_s(self) -> float: ...


Fetch = Callable[[str], Awaitable[Fetched]]
Sleep = Callable[[float], Awaitable[None]]


class Access:
    """The bearer of the moment: the API key, or an access token that one caller at a time renews for all.

    bearer  the API key or the latest token; "" before the first
    apikey  the query parameter that goes with a token; None with an API key

    `fetch(refused)` brings a token, and raises RunPaused or RunStopped when there is none to be had. `refused` is the
    bearer that was refused last; whoever shares tokens with other machines brings a newer one than that. `clock` is in
    monotonic seconds.
    """

    def __init__(self, credentials: Credentials, *, fetch: Fetch, clock: Callable[[], float]) -> None:
        self.bearer = credentials.api_key
        self.apikey = credentials.client_id or None
        self._has_key = bool(credentials.api_key)
        self._variables = credentials.variables
        self._fetch = fetch
        self._clock = clock
        self._fetching = anyio.Lock()
        self._renew_at = _NEVER if self._has_key else _AT_ONCE
        self._refused = ""  # the bearer that was refused last
        self._refusals = 0  # fresh tokens in a row
        self._failure: RunPaused | RunStopped | None = None
        self._tries = 0
        self._unreached: TryAgain | None = None  # the failure of the last try, when nobody was reached

    async def ready(self) -> None:
        """Make sure that `bearer` is fresh. Of many callers one fetches a token; an error of `fetch` reaches them all.

        Raises what `fetch` raised.
        """
        if self._clock() < self._renew_at:
            return
        tries = self._tries
        async with self._fetching:
            if self._clock() < self._renew_at:
                return
            if self._failure is not None:  # the run is ending: one more token call for each caller would only delay it
                raise type(self._failure)(self._failure.message, code=self._failure.code, sent=False)
            if self._unreached is not None and self._tries != tries:  # it failed for all who waited meanwhile
                raise _like(self._unreached)
            asked_at = self._clock()
            self._tries += 1
            self._unreached = None
            try:
                token = await self._fetch(self._refused)
            except TryAgain as failure:
                self._unreached = failure
                raise _like(failure) from None
            except (RunPaused, RunStopped) as failure:
                self._failure = failure
                raise
            hide([token.value], passing=True)
            self.bearer = token.value
            self._renew_at = asked_at + RENEW_AT * token.lifetime_s

    def renew(self) -> None:
        """Fetch a new token before the next call: after a sleep or a step of the clock its age is unknown."""
        if not self._has_key:
            self._renew_at = _AT_ONCE

    def answered(self) -> None:
        """Count an answer that did not refuse the bearer."""
        self._refusals = 0

    def refused(self, bearer: str, reason: str) -> None:
        """Renew the token if it is `bearer` that was refused; another caller may have renewed it already.

        Raises RunStopped after three fresh tokens in a row, or at once for an API key.
        """
        if bearer != self.bearer or self._clock() >= self._renew_at:
            return
        self._refusals += 1
        self._refused = bearer
        if self._has_key or self._refusals >= MAX_REFUSALS:
            what = f"the vendor refused the credentials: {reason}. Check {self._variables}"
            raise RunStopped(what, code=Code.CREDENTIALS)
        self._renew_at = _AT_ONCE


class TokenSource:
    """Asks the vendor for access tokens, at most one call a second, apart from the paid calls.

    `sent` counts the calls per kind. `sleep(seconds)` waits, and raises Stopping once the run ends.
    """

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        sent: MutableMapping[Kind, int],
        *,
        sleep: Sleep,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._sent = sent
        self._sleep = sleep
        self._pace = AsyncLimiter(1, 1.0)

    async def fetch(self, refused: str = "") -> Token:
        """Ask for a token, up to four times; the vendor gives a new one whichever was `refused`.

        Raises TryAgain when the vendor was not reached, RunPaused when it gives none, RunStopped when it refuses one.
        """
        attempt = 1
        while True:
            await self._sleep(0.0)
            try:
                async with self._pace:
                    return await self._once()
            except (TryAgain, SlowDown, HoldAll) as error:
                if error.code == "not_sent" and not error.sent:
                    raise  # all calls wait at a gate for that
                pause_s = pause_before_next_s(attempt, error)
                if pause_s is None:
                    reason = f"no access token after {count(attempt, 'attempt')}: {error.message}"
                    raise RunPaused(reason, code=error.code, sent=False) from None
                attempt += 1
                await self._sleep(pause_s)
            except (RefreshToken, ItemRefused) as error:
                hint = f". Check {self._credentials.variables}" if isinstance(error, RefreshToken) else ""
                raise RunStopped(f"no access token: {error.message}{hint}", code=error.code, sent=False) from None

    async def _once(self) -> Token:
        """Ask for a token once. Raises CallError by the vendor's own table: a job's rows are about its paid calls."""
        attempt = TokenAttempt(uuid.uuid4().hex, self._credentials.basic, self._sent)
        try:
            return _TOKEN.read(await self._transport.exchange(_TOKEN.request(None), attempt))
        except Refusal as refusal:
            raise consequence(refusal, Kind.TOKEN, table=TABLE, sent=attempt.sent) from None


def _like(error: TryAgain) -> TryAgain:
    """Return another error that says the same: each call that failed may be told of its own."""
    return TryAgain(error.message, code=error.code, condition=error.condition, sent=error.sent)


def pause_before_next_s(attempt: int, error: CallError) -> float | None:
    """Return the seconds to wait before a token is asked for again, or None to give up.

    A refusal for speed is waited out without jitter: too early would be one more of them.
    """
    if isinstance(error, TryAgain):
        return delay_s(attempt, error, jitter=random.random())  # noqa: S311 - jitter, not cryptography
    if attempt >= MAX_TRIES:
        return None
    least_s = FULL_S if isinstance(error, HoldAll) else 2.0 ** (attempt - 1)
    return max(least_s, min(error.retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))


@dataclass(slots=True, eq=False)
class TokenAttempt:
    """One attempt of the token call: no intent, no permit, the credentials instead of a bearer."""

    request_id: str
    authorization: str
    counts: MutableMapping[Kind, int]
    sent: bool = False
    apikey: str | None = None

    async def depart(self, headers: Headers, require_open: Callable[[], None]) -> None:
        require_open()
        headers["Authorization"] = self.authorization
        self.counts[Kind.TOKEN] += 1
