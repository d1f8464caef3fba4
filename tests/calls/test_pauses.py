"""Gates before which calls wait: for how long, and which call may probe; in virtual time."""

from datetime import UTC, datetime, time

import anyio
import pytest

from pipeline.calls.pauses import Gate, PauseGate, QuotaGate
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.errors import Code, HoldAll, RunPaused
from pipeline.models import Kind
from tests.support.virtual_time import run_virtually

DAILY = "67200007"
MORNING = datetime(2026, 11, 21, 9, 0, tzinfo=UTC).timestamp()
HOUR = 3600.0


@pytest.mark.parametrize(("create", "search"), [(0.0, 0.0), (0.0, 9.0), (9.0, 0.0)])
def test_a_create_does_not_probe_while_a_call_waits_that_may_be_repeated(create: float, search: float) -> None:
    """Whoever came first, and whoever wakes first."""

    async def scenario() -> list[tuple[str, bool]]:
        gate = Gate(anyio.current_time)
        gate.shut(anyio.current_time() + 10.0)
        through: list[tuple[str, bool]] = []

        async def call(name: str, after_s: float) -> None:
            await anyio.sleep(after_s)
            probe = await gate.turn(anyio.sleep, Kind(name))
            through.append((name, probe))
            await anyio.sleep(1.0)
            assert gate.answered(Kind(name)) is probe
            if probe:
                gate.done()

        async with anyio.create_task_group() as calls:
            calls.start_soon(call, "create", create)
            calls.start_soon(call, "search", search)
        return through

    assert run_virtually(scenario) == [("search", True), ("create", False)]


def test_a_call_that_no_longer_waits_keeps_no_other_from_probing() -> None:
    async def scenario() -> bool:
        gate = Gate(anyio.current_time)
        gate.shut(anyio.current_time() + 10.0)
        with anyio.move_on_after(5.0):
            await gate.turn(anyio.sleep, Kind.SEARCH)
        with anyio.fail_after(60.0):
            return await gate.turn(anyio.sleep, Kind.CREATE)

    assert run_virtually(scenario)


def test_a_probe_that_fails_lets_another_one_go() -> None:
    async def scenario() -> tuple[bool, bool]:
        gate = Gate(anyio.current_time)
        gate.shut(anyio.current_time())
        first = await gate.turn(anyio.sleep, Kind.SEARCH)
        gate.done()
        return first, await gate.turn(anyio.sleep, Kind.SEARCH)

    assert run_virtually(scenario) == (True, True)


def test_a_call_that_came_through_before_the_gate_may_open_does_not_open_it() -> None:
    async def scenario() -> tuple[bool, bool]:
        gate = Gate(anyio.current_time)
        gate.shut(anyio.current_time() + 10.0)
        return gate.answered(Kind.SEARCH), gate.closed

    assert run_virtually(scenario) == (False, True)


# --- a full platform ---


FULL = HoldAll("the platform is full", code="67200000")


def test_a_full_platform_pauses_for_30_seconds_doubled_up_to_10_minutes() -> None:
    async def scenario() -> list[float]:
        gate, pauses = PauseGate(), []
        for _ in range(7):
            gate.pause_all(FULL)
            pauses.append(gate.wait_s)
            await anyio.sleep(gate.wait_s)
        return pauses

    assert run_virtually(scenario) == [30, 60, 120, 240, 480, 600, 600]


def test_a_refusal_of_a_call_from_before_the_pause_does_not_lengthen_it() -> None:
    async def scenario() -> float:
        gate = PauseGate()
        gate.pause_all(FULL)
        await anyio.sleep(10)
        gate.pause_all(FULL)
        return gate.wait_s

    assert run_virtually(scenario) == 20


def test_an_hour_without_an_accepted_call_pauses_the_run() -> None:
    async def scenario() -> None:
        gate = PauseGate()
        while anyio.current_time() <= 1000 + 3600:
            gate.pause_all(FULL)
            await anyio.sleep(gate.wait_s)
        with pytest.raises(RunPaused, match="no call was accepted for an hour: the platform is full") as pause:
            gate.pause_all(FULL)
        assert pause.value.code == "67200000"

    run_virtually(scenario)


def test_an_accepted_call_starts_the_pauses_and_the_hour_anew() -> None:
    async def scenario() -> list[float]:
        gate, pauses = PauseGate(), []
        for _ in range(100):
            gate.pause_all(FULL)
            pauses.append(gate.wait_s)
            await anyio.sleep(gate.wait_s + 30)
            assert gate.answered(Kind.SEARCH)
        return pauses

    assert set(run_virtually(scenario)) == {30}


def test_a_shorter_pause_takes_nothing_from_a_longer_one() -> None:
    async def scenario() -> float:
        gate = PauseGate()
        gate.pause(30.0)
        gate.pause(10.0)
        gate.pause(0.0)
        return gate.wait_s

    assert run_virtually(scenario) == 30


# --- the limit of the day ---


class Day:
    """A gate of the quota that resets at ten, and a clock for it that is set by hand."""

    def __init__(self) -> None:
        self.at = MORNING
        self.said: list[str] = []
        self.gate = QuotaGate(time(10, 0, tzinfo=UTC), table=TABLE, now=lambda: self.at, say=self.said.append)

    def refused(self, after_s: float, kind: Kind = Kind.SEARCH, *, code: str = DAILY) -> float:
        """Refuse a call for the day, so long after nine; return for how long calls wait from then on."""
        self.at = MORNING + after_s
        error = RunPaused("for today", code=code)
        assert self.gate.waits_for(error)
        self.gate.refused(kind, error)
        return self.gate.wait_s

    def passed(self, after_s: float, kind: Kind = Kind.SEARCH) -> bool:
        self.at = MORNING + after_s
        return self.gate.answered(kind)


@pytest.mark.parametrize(
    ("code", "why"),
    [(DAILY, "the day's limit is reached; "), (Code.QUOTA, "the vendor accepts no calls, as at the day's limit; ")],
)
def test_the_day_is_named_as_the_reason_of_the_wait_only_where_the_vendor_names_it(code: str, why: str) -> None:
    day = Day()
    assert day.refused(0, code=code) == HOUR
    [line] = day.said
    assert line.startswith(f"{why}nothing is sent until 2026-11-21 ")


@pytest.mark.parametrize(
    ("after_opening_s", "waits_s"),
    [(0.0, 1800.0), (HOUR, 1800.0), (HOUR + 1, 23 * HOUR - 1), (9 * HOUR, 15 * HOUR)],
)
def test_a_refusal_soon_after_the_reset_means_half_an_hour_and_a_late_one_the_next_reset(
    after_opening_s: float, waits_s: float
) -> None:
    day = Day()
    assert day.refused(0) == HOUR
    assert day.passed(HOUR)
    assert day.refused(HOUR + after_opening_s) == waits_s


def test_a_refusal_soon_after_the_gate_was_opened_late_means_half_an_hour() -> None:
    day = Day()
    day.refused(0)
    assert day.refused(HOUR) == 1800
    assert day.passed(HOUR + 5400)
    assert day.refused(HOUR + 5400 + 3000) == 1800


def test_a_run_that_starts_soon_after_the_reset_does_not_wait_for_the_next_one() -> None:
    assert Day().refused(HOUR + 600) == 1800
    assert Day().refused(3 * HOUR) == 22 * HOUR


def test_no_probe_is_due_after_the_next_reset() -> None:
    day = Day()
    day.refused(0)
    assert day.refused(25 * HOUR - 600) == 600


@pytest.mark.parametrize("kind", [Kind.UPLOAD, Kind.CREATE])
def test_another_kind_of_call_does_not_say_that_the_limit_is_lifted(kind: Kind) -> None:
    day = Day()
    day.refused(0, Kind.SEARCH)
    assert not day.passed(HOUR + 1, kind)
    assert day.gate.closed
    assert day.passed(HOUR + 2, Kind.SEARCH)


def test_where_no_call_of_the_refused_kind_waits_others_go_one_at_a_time_and_open_nothing() -> None:
    async def scenario() -> tuple[list[bool], bool]:
        day = Day()
        day.refused(0, Kind.CREATE)
        day.at = MORNING + HOUR
        turns = []
        for _ in range(2):
            turns.append(await day.gate.turn(anyio.sleep, Kind.SEARCH))
            day.gate.answered(Kind.SEARCH)
            day.gate.done()
        return turns, day.gate.closed

    assert run_virtually(scenario) == ([True, True], True)


@pytest.mark.parametrize("refused", [Kind.CREATE, Kind.UPLOAD, Kind.SEARCH])
def test_a_call_of_the_kind_that_was_refused_probes_first(refused: Kind) -> None:
    async def scenario() -> Kind:
        gate = QuotaGate(time(10, 0, tzinfo=UTC), table=TABLE, now=lambda: MORNING + anyio.current_time() - 1000.0)
        gate.refused(refused, RunPaused("for today", code=DAILY))
        probes: list[Kind] = []

        async def wait(kind: Kind) -> None:
            if await gate.turn(anyio.sleep, kind):
                probes.append(kind)

        async with anyio.create_task_group() as around:
            for kind in (Kind.SEARCH, Kind.UPLOAD, Kind.CREATE):
                around.start_soon(wait, kind)
            await anyio.sleep(HOUR + 60)
            around.cancel_scope.cancel()
        [probe] = probes
        return probe

    assert run_virtually(scenario) is refused
