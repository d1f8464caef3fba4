"""The statement of an account, asked day by day of a real sandbox."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline.calls import statement
from pipeline.calls.statement import Statements
from pipeline.calls.transport import open_transport
from tests.support.clients import CLIENT
from tests.support.jobs import FaultPlan, vendor

pytestmark = [pytest.mark.anyio, pytest.mark.proofs]  # a token is fetched at most once a second


async def test_tokens_that_the_vendor_refuses_once_a_day_do_not_end_the_bill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three fresh tokens refused in a row end it; each of these is followed by one that is accepted."""
    monkeypatch.setattr(statement, "_PACE_S", 0.0)
    days = 3
    faults = ",".join(f"statement:http_401@{2 * day + 1}" for day in range(days))
    with vendor(tmp_path, faults=FaultPlan.parse(faults)) as server:
        async with open_transport(server.url) as transport:
            statements = Statements(transport, CLIENT)
            for day in range(days):
                assert await statements.of(date(2026, 11, 1) + timedelta(days=day)) == ()
        assert server.stats.calls("statement") == 2 * days
