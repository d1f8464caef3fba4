"""A create that the job lets be sent again though it may have been executed: whatever follows, it stays in doubt."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import anyio
import pytest

from pipeline.calls.client import Client
from pipeline.endpoints.consequences import Override
from pipeline.endpoints.patsnap.codes import table_with
from pipeline.errors import CallError, Code, GivenUp, InDoubt, ItemRefused, RunPaused, RunStopped, Stopping
from pipeline.models import Kind, Task
from tests.support.virtual_time import run_virtually
from tests.support.virtual_vendor import Reply, VirtualVendor, client_of, create

BUSY = 67200100  # of a create: it may have been executed
Ended = Task | CallError | GivenUp | Stopping
TABLE = table_with({str(BUSY): Override(create="retry", attempts=3)})


@dataclass
class Meter:
    """Knows whether the intent stands, which is what a kill would find; `forbid` is raised before that attempt."""

    forbid: dict[int, CallError] = field(default_factory=dict)
    intended: bool = False
    kept: bool = False
    attempts: int = 0
    stood: list[bool] = field(default_factory=list)  # when the n-th attempt began

    async def before(self, kind: Kind, request_id: str) -> None:
        self.attempts += 1
        self.stood.append(self.intended)
        if self.attempts in self.forbid:
            raise self.forbid[self.attempts]
        self.intended = True

    def sent(self, kind: Kind) -> None:
        pass

    def not_executed(self, kind: Kind) -> None:
        self.intended = self.intended and self.kept

    def refused(self) -> None:
        pass

    def may_exist(self) -> None:
        self.kept = True


async def ended(client: Client, meter: Meter) -> Ended:
    try:
        return await create(client, meter=meter)
    except (CallError, GivenUp, Stopping) as error:
        return error


def scripted(*replies: Reply) -> Callable[[Kind, int], Reply]:
    return lambda kind, number: replies[number - 1]


def one_create(*replies: Reply, meter: Meter | None = None, qps: float = 10.0) -> tuple[Ended, int, Meter]:
    """One create under the job's table: how it ended, how often it was sent, and its meter."""
    used = meter or Meter()

    async def scenario() -> tuple[Ended, int, Meter]:
        vendor = VirtualVendor(scripted(*replies))
        return await ended(client_of(vendor, table=TABLE, qps=qps), used), len(vendor.sent), used

    return run_virtually(scenario)


def assert_in_doubt(how: Ended, ends_run: type[CallError] | None) -> None:
    """In doubt, and this ends the run once that is recorded."""
    if ends_run is None:
        assert type(how) is InDoubt
    else:
        assert isinstance(how, GivenUp)
        assert (type(how.error), type(how.ends_run)) == (InDoubt, ends_run)


def test_it_is_sent_again_as_often_as_the_job_says_and_is_in_doubt_then() -> None:
    how, sent, meter = one_create(BUSY, BUSY, BUSY, None)
    assert (type(how), sent) == (InDoubt, 3)
    assert "it was sent 3 times, and each of them may exist" in str(how)
    assert meter.stood == [False, True, True], "a kill while it waits to be sent again finds it in doubt"
    assert meter.intended


def test_an_answer_ends_the_doubt() -> None:
    how, sent, _ = one_create(BUSY, None)
    assert (type(how), sent) == (Task, 2)


@pytest.mark.parametrize(
    ("then", "ends_run"),
    [
        pytest.param(68300004, None, id="refused for what it is"),
        pytest.param(67200005, RunPaused, id="the balance is used up"),
        pytest.param(67200004, RunStopped, id="no permission"),
        pytest.param("307", RunStopped, id="a redirect"),
        pytest.param(68300008, None, id="another doubt"),
    ],
)
def test_what_a_later_attempt_meets_takes_nothing_back(then: Reply, ends_run: type[CallError] | None) -> None:
    how, sent, meter = one_create(BUSY, then)
    assert sent == 2
    assert_in_doubt(how, ends_run)
    assert meter.intended


def test_what_is_sent_too_fast_in_between_keeps_its_intent() -> None:
    how, sent, meter = one_create(BUSY, 67200002, None)
    assert (type(how), sent) == (Task, 3)
    assert meter.stood == [False, True, True]


@pytest.mark.parametrize(
    ("forbidden", "ends_run"),
    [
        pytest.param(RunPaused("the budget is used up", code="budget", sent=False), RunPaused, id="budget"),
        pytest.param(ItemRefused("the links expired", code=Code.EXPIRED, sent=False), None, id="expired links"),
    ],
)
def test_an_attempt_that_may_not_be_made_any_more_leaves_the_doubt(
    forbidden: CallError, ends_run: type[CallError] | None
) -> None:
    how, sent, meter = one_create(BUSY, meter=Meter(forbid={2: forbidden}))
    assert sent == 1
    assert_in_doubt(how, ends_run)
    assert meter.intended


def test_a_run_that_ends_while_it_waits_to_be_sent_again_leaves_it_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.5)  # else one run in some thousands waits for less than that

    async def scenario() -> tuple[Ended, Meter]:
        meter = Meter()
        table = table_with({str(BUSY): Override(create="retry", base_s=600)})
        client = client_of(VirtualVendor(scripted(BUSY)), table=table)
        found: list[Ended] = []
        async with anyio.create_task_group() as around:

            async def call() -> None:
                found.append(await ended(client, meter))

            around.start_soon(call)
            await anyio.sleep(0.1)
            client.stop()
        return found[0], meter

    how, meter = run_virtually(scenario)
    assert isinstance(how, InDoubt)
    assert meter.intended


def test_a_run_without_retries_left_leaves_it_in_doubt() -> None:
    async def scenario() -> tuple[list[Ended], int]:
        endless: Iterator[Reply] = iter(lambda: BUSY, None)
        vendor = VirtualVendor(lambda kind, number: next(endless) if number != 1 else None)
        client = client_of(vendor, table=TABLE, qps=1000)
        return [await ended(client, Meter()) for _ in range(40)], len(vendor.sent)

    found, sent = run_virtually(scenario)
    assert sent <= 40 + 50
    assert {type(how.error if isinstance(how, GivenUp) else how) for how in found[1:]} == {InDoubt}


def test_what_the_job_calls_failed_fails_and_keeps_its_intent_until_it_is_recorded() -> None:
    async def scenario() -> tuple[Ended, Meter]:
        meter = Meter()
        table = table_with({str(BUSY): Override(create="fail")})
        return await ended(client_of(VirtualVendor(scripted(BUSY)), table=table), meter), meter

    how, meter = run_virtually(scenario)
    assert isinstance(how, ItemRefused)
    assert meter.intended
