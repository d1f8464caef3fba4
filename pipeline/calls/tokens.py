"""Where access tokens come from: one call at a time, paced and tried again apart from the paid calls."""

import random
import uuid
from collections.abc import Awaitable, Callable, MutableMapping

from aiolimiter import AsyncLimiter

from pipeline.calls.access import Credentials
from pipeline.calls.retry import delay_s
from pipeline.calls.transport import Headers, Transport
from pipeline.endpoints.patsnap import wire
from pipeline.errors import HoldAll, ItemRefused, RefreshToken, RunPaused, RunStopped, SlowDown, TryAgain
from pipeline.models import Kind


class TokenSource:
    """Asks the vendor for tokens. `sent` counts the calls, `sleep` sleeps and raises Stopping once the run ends."""

    def __init__(
        self,
        transport: Transport,
        credentials: Credentials,
        sent: MutableMapping[Kind, int],
        *,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._sent = sent
        self._sleep = sleep
        self._pace = AsyncLimiter(1, 1.0)

    async def fetch(self) -> wire.Token:
        """Ask for a token, up to four times. Raises RunPaused when nobody answers, RunStopped when it is refused."""
        attempt = 1
        while True:
            await self._sleep(0.0)
            try:
                async with self._pace:
                    return wire.read_token(await self._ask())
            except TryAgain as error:
                pause_s = delay_s(attempt, error, jitter=random.random())  # noqa: S311 - jitter, not cryptography
                if pause_s is None:
                    reason = f"no access token after {attempt} attempts: {error.message}"
                    raise RunPaused(reason, code=error.code, sent=False) from None
                attempt += 1
                await self._sleep(pause_s)
            except (RefreshToken, SlowDown, HoldAll, ItemRefused) as error:
                hint = ". Check PATSNAP_CLIENT_ID and PATSNAP_CLIENT_SECRET" if isinstance(error, RefreshToken) else ""
                raise RunStopped(f"no access token: {error.message}{hint}", code=error.code, sent=False) from None

    async def _ask(self) -> wire.Answer:
        async def leave(headers: Headers) -> None:
            headers["Authorization"] = self._credentials.basic
            self._sent[Kind.TOKEN] += 1

        return await self._transport.exchange(
            wire.token_request(), request_id=uuid.uuid4().hex, apikey=None, leave=leave
        )
