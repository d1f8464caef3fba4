"""The call for a statement of account: not paid, not limited with the paid calls, and its body holds a secret."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import anyio

from pipeline.calls.access import Access, TokenSource, pause_before_next_s
from pipeline.calls.transport import Headers, Transport
from pipeline.endpoints.consequences import consequence
from pipeline.endpoints.interface import Refusal
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.endpoints.patsnap.statement import AccountStatement, Asked, Used
from pipeline.errors import CallError, HoldAll, RefreshToken, RunPaused, RunStopped, SlowDown, TryAgain
from pipeline.models import Kind
from pipeline.system.clock import steady

ANSWER_S = 60.0  # to wait for the answer: the vendor says that long spans are slow
_PACE_S = 1.0
_ENDPOINT = AccountStatement()


class Statements:
    """Asks for the statement of one account, a day at a time and at most one a second."""

    def __init__(self, transport: Transport, credentials: Credentials) -> None:
        tokens = TokenSource(transport, credentials, dict.fromkeys(Kind, 0), sleep=anyio.sleep)
        self._access = Access(credentials, fetch=tokens.fetch, clock=steady)
        self._transport = transport
        self._credentials = credentials
        self._asked = 0

    async def of(self, day: date) -> tuple[Used, ...]:
        """Return the use of a day. Raises RunPaused or RunStopped when there is no statement to be had."""
        attempt = 1
        while True:
            if self._asked:
                await anyio.sleep(_PACE_S)
            self._asked += 1
            try:
                await self._access.ready()
                used = await self._once(day)
                self._access.answered()
                return used
            except (TryAgain, SlowDown, HoldAll) as error:
                pause_s = pause_before_next_s(attempt, error)
                if pause_s is None:
                    raise RunPaused(f"no statement of account: {error.message}", code=error.code, sent=False) from None
                attempt += 1
                await anyio.sleep(pause_s)
            except RefreshToken as error:
                self._access.refused(self._access.bearer, error.message)
            except (RunPaused, RunStopped):
                raise
            except CallError as error:
                raise RunStopped(f"no statement of account: {error.message}", code=error.code, sent=False) from None

    async def _once(self, day: date) -> tuple[Used, ...]:
        attempt = _Attempt(uuid.uuid4().hex, self._access.bearer, self._credentials.client_id)
        asked = Asked(self._credentials.client_id, self._credentials.client_secret, day, day)
        try:
            return _ENDPOINT.read(await self._transport.exchange(_ENDPOINT.request(asked), attempt))
        except Refusal as refusal:
            raise consequence(refusal, _ENDPOINT.kind, table=TABLE, sent=attempt.sent) from None


@dataclass(slots=True, eq=False, repr=False)
class _Attempt:
    """One attempt: no intent and no permit, for nothing is paid."""

    request_id: str
    bearer: str
    apikey: str | None
    sent: bool = False

    async def depart(self, headers: Headers, require_open: Callable[[], None]) -> None:
        require_open()
        headers["Authorization"] = f"Bearer {self.bearer}"
