"""The client of a vendor: one call, from its first attempt to its answer or to the error it ends with."""

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.calls.access import Access, Fetch, Sleep, TokenSource
from pipeline.calls.attempt import Attempt, Attempts
from pipeline.calls.endings import Endings
from pipeline.calls.health import Health, Waits
from pipeline.calls.last_word import last_word
from pipeline.calls.limiter import Limiter
from pipeline.calls.pauses import QuotaGate
from pipeline.calls.reach import ReachGate
from pipeline.calls.retry import Tries
from pipeline.calls.stats import Stats
from pipeline.calls.transport import Transport
from pipeline.endpoints.consequences import Table, consequence, row_for
from pipeline.endpoints.interface import Answer, Asked, Endpoint, Got, Refusal, Request
from pipeline.endpoints.own_answers import OF_ANOTHER
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.errors import (
    CallError,
    GivenUp,
    Stopping,
    TryAgain,
)
from pipeline.models import Kind
from pipeline.ports import Meter
from pipeline.system.clock import steady
from pipeline.system.masking import masked

_log = logging.getLogger(__name__)


class Client:
    """Sends the calls of a run. `table` is its error table, `waits` are the gates at which its calls wait.

    stats     the counts of all calls so far, by default noted for no account
    limiters  the limiter of each paid kind
    """

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        limiters: Mapping[Kind, Limiter],
        *,
        table: Table = TABLE,
        waits: Waits | None = None,
        stats: Stats | None = None,
        share_tokens: Callable[[Fetch, Sleep], Fetch] | None = None,
    ) -> None:
        """Begin with no token.

        Machines that share their tokens give `share_tokens`: of the function that asks the vendor, and of a sleep that
        ends with the run, it makes the function that fetches tokens. Without it the vendor is asked.
        """
        self.stats = stats or Stats()
        self.limiters = limiters
        self._table = table
        self._endings = Endings()
        sleep = functools.partial(self._endings.sleep, Kind.TOKEN)
        tokens = TokenSource(transport, credentials, self.stats.sent, sleep=sleep)
        fetch = tokens.fetch if share_tokens is None else share_tokens(tokens.fetch, sleep)
        self._access = Access(credentials, fetch=fetch, clock=steady)
        self._health = Health(
            limiters,
            self._access,
            table=table,
            waits=waits or Waits(QuotaGate(None, table=table), ReachGate()),
            stats=self.stats,
            sleep=self._endings.sleep,
        )
        self._attempts = Attempts(transport, self._access, limiters, self._health, stats=self.stats)

    async def call(self, endpoint: Endpoint[Asked, Got], asked: Asked, meter: Meter) -> Got:
        """Ask an endpoint until it answers or the call is given up.

        Raises CallError for its consequence, GivenUp where that concerns more than this call, or Stopping when the run
        ends. A create is sent again only when the vendor provably did not execute it, or the job says so.
        """
        request = endpoint.request(asked)
        doubted: list[CallError] = []
        try:
            return await self._until_answered(request, endpoint, meter, doubted)
        except (CallError, GivenUp, Stopping) as end:
            word = last_word(doubted, end)
            if word is end:
                raise
            raise word from end

    @property
    def retries_left(self) -> bool:
        """Return whether at least half of the run's retries are there, so that calls that lacked one may go again."""
        return self._health.retries_left

    @property
    def paused_s(self) -> float:
        """Seconds for which no call of any kind goes."""
        return self._health.paused_s

    @property
    def waits_until(self) -> float | None:
        """The moment when calls that wait for the day's limit try again (epoch seconds); None while none waits."""
        return self._health.waits_until

    @property
    def unreachable(self) -> bool:
        """Return whether calls wait until the vendor can be reached."""
        return self._health.unreachable

    @property
    def blocked(self) -> bool:
        """Return whether no call but a probe goes; nobody knows for how long."""
        return self._health.blocked

    @property
    def quota(self) -> QuotaGate:
        """The gate that waits for the day's limit to be lifted."""
        return self._health.quota

    def stop(self, *kinds: Kind) -> None:
        """Send nothing more of these kinds, by default of any: calls that wait for a permit or a retry get Stopping.

        While all wait for the vendor, for the day's limit to be lifted, or for the account to accept any call of those
        that would go on, they end together: a drain would only wait with them.
        """
        waits = self.waits_until is not None or self.unreachable
        waits |= any(limiter.accepts_nothing for kind, limiter in self.limiters.items() if kind not in kinds)
        ended = (() if waits else kinds) or (*self.limiters, Kind.TOKEN)
        self._endings.end(ended)
        for kind in self.limiters.keys() & ended:
            self.limiters[kind].close()

    def clock_jumped(self) -> None:
        """Renew the token and send no burst after a sleep of the machine or a step of its clock."""
        self._access.renew()
        for limiter in self.limiters.values():
            limiter.start_evenly()

    async def _until_answered(
        self, request: Request, endpoint: Endpoint[Any, Got], meter: Meter, doubted: list[CallError]
    ) -> Got:
        """Send the call until it is answered or given up; `doubted` gets the attempts that may have been executed."""
        kind, tries = request.kind, Tries(self.limiters[request.kind].accepted)
        while True:
            this = self._attempts.new(request, meter)
            try:
                result = await self._once(this, endpoint)
            except Stopping:
                meter.not_executed(kind)
                raise
            except CallError as error:
                if this.answer is not None and not self._is_unclear(error):
                    this.refused()
                if error.may_exist:
                    doubted.append(error)
                    meter.may_exist()  # its intent stays, also while the call waits to be sent again
                else:
                    meter.not_executed(kind)
                pause_s = self._after(error, this, tries)
                await self._endings.sleep(kind, pause_s)
            else:
                self._health.answered(kind)
                if this.counted is not None:
                    this.counted.granted += 1
                if this.answer is not None:
                    self.stats.granted(kind, this.answer.headers)
                return result
            finally:
                self._health.done(this.probed)

    def _after(self, error: CallError, this: Attempt, tries: Tries) -> float:
        """Return the seconds to wait before the call is sent again; raises what it ends with if it is not."""
        kind, answered = this.request.kind, this.answer is not None
        ends_run = self._health.failed(kind, error, answered=answered, bearer=this.bearer)
        if ends_run is not None:
            raise GivenUp(error, ends_run)
        pause_s = self._health.retry(kind, error, tries)
        if pause_s is None:
            raise GivenUp(error) if isinstance(error, TryAgain) and tries.attempt < error.attempts else error
        return pause_s

    def _is_unclear(self, error: CallError) -> bool:
        """Return whether a call that ended so may have been executed, and billed, whatever its kind."""
        row = row_for(error, self._table)
        return row is None or row.may_exist

    async def _once(self, this: Attempt, endpoint: Endpoint[Any, Got]) -> Got:
        """Send one attempt and read its answer. Raises CallError as the table says, or Stopping."""
        try:
            return endpoint.read(await this.send())
        except Refusal as refusal:
            error = consequence(
                refusal,
                this.request.kind,
                table=self._table,
                sent=this.sent,
                request_id=this.request_id,
                correlation_id=_correlation_id(this.answer),
            )
            if refusal.condition == OF_ANOTHER:
                self.stats.of_others += 1
                _log.warning("answer.of_another kind=%s request=%s %s", this.request.kind, this.request_id, error)
            # `from None`: behind a refusal may stand an error of aiohttp, whose text holds the apikey.
            raise error from None


def _correlation_id(answer: Answer | None) -> str | None:
    """Return the vendor's id of an answer, masked, then cut; None when it sent none."""
    if answer is None:
        return None
    # Headers have no encoding: what is no UTF-8 is read as Latin-1, so that a secret in it is known for one.
    raw = answer.headers.get("x-correlation-id", "").encode("utf-8", "surrogateescape")
    try:
        said = raw.decode("utf-8")
    except UnicodeDecodeError:
        said = raw.decode("latin-1")
    return masked(said)[:128] or None
