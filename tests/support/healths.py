"""A health with all that it tells, in virtual time."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time
from typing import TypeVar

import anyio

from pipeline.calls.access import Access
from pipeline.calls.endings import Endings
from pipeline.calls.health import Health, Waits
from pipeline.calls.limiter import Limiter
from pipeline.calls.pauses import QuotaGate
from pipeline.calls.reach import ReachGate
from pipeline.calls.stats import Stats
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.endpoints.patsnap.credentials import Credentials
from pipeline.endpoints.patsnap.oauth import Token
from pipeline.errors import CallError, RunPaused, RunStopped
from pipeline.models import PAID, Kind
from tests.support.virtual_time import run_virtually

NINE = datetime(2026, 11, 21, 9, 0, tzinfo=UTC).timestamp()
T = TypeVar("T")


class Patient:
    """A health with all that it tells, on the virtual loop's clock; the loop begins at second 1,000, at nine."""

    def __init__(self, *, resets_at: time | None = None) -> None:
        self.limiters = {kind: Limiter(10) for kind in PAID}
        self.stats = Stats()
        self.endings = Endings()
        self.tokens = 0
        self.access = Access(
            Credentials(client_id="id", client_secret="secret"), fetch=self._token, clock=anyio.current_time
        )
        self.quota = QuotaGate(resets_at, table=TABLE, now=lambda: NINE + anyio.current_time() - 1000)
        self.health = Health(
            self.limiters,
            self.access,
            table=TABLE,
            waits=Waits(self.quota, ReachGate()),
            stats=self.stats,
            sleep=self.endings.sleep,
        )

    async def _token(self, _refused: str) -> Token:
        self.tokens += 1
        return Token(f"token-{self.tokens}", 1800.0)

    def failed(
        self, error: CallError, kind: Kind = Kind.SEARCH, *, answered: bool = True
    ) -> RunPaused | RunStopped | None:
        return self.health.failed(kind, error, answered=answered, bearer=self.access.bearer)

    def goes(self) -> bool:
        """Return whether a call may go without waiting."""
        return not self.health.closed_to(Kind.SEARCH, ())


def with_patient(scenario: Callable[[Patient], Awaitable[T]], **parts: time) -> T:
    async def run() -> T:
        return await scenario(Patient(**parts))

    return run_virtually(run)
