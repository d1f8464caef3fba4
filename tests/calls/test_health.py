"""The one listener to answers: whom it tells, which calls it lets go, when they are retried; in virtual time."""

from collections.abc import Callable
from datetime import UTC, time
from typing import Any

import anyio
import pytest

from pipeline.calls.retry import MAX_DEFERRALS, Tries
from pipeline.endpoints.consequences import consequence
from pipeline.endpoints.interface import Refusal
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.errors import (
    CallError,
    HoldAll,
    InDoubt,
    ItemRefused,
    Reconnect,
    RefreshToken,
    RunPaused,
    RunStopped,
    SlowDown,
    Stopping,
    TryAgain,
)
from pipeline.models import Kind
from pipeline.reports import APART_S
from tests.support.healths import NINE, Patient, with_patient

DAILY = RunPaused("for today", code="67200007")
TEN = time(10, 0, tzinfo=UTC)


def error_of(condition: str, kind: Kind = Kind.SEARCH, *, code: str = "") -> CallError:
    return consequence(Refusal(condition, code=code), kind, table=TABLE)


# --- told once per answer ---


def test_refusals_for_speed_slow_the_kind_that_was_refused_and_are_counted() -> None:
    async def scenario(patient: Patient) -> None:
        patient.failed(SlowDown("too fast", code="67200002"))
        await anyio.sleep(2.0)
        patient.failed(SlowDown("too fast", code="67200002", retry_after_s=3.0))
        assert patient.limiters[Kind.SEARCH].rate == 9.0
        assert patient.limiters[Kind.SEARCH].paused_s == patient.health.paused_s == 3.0
        assert patient.limiters[Kind.CREATE].rate == 10.0
        assert patient.stats.too_fast[Kind.SEARCH] == 2
        assert patient.goes()

    with_patient(scenario)


def test_a_full_platform_pauses_all_calls() -> None:
    async def scenario(patient: Patient) -> None:
        patient.failed(HoldAll("full", code="67200000"))
        assert patient.health.paused_s == 30.0
        assert not patient.goes()

    with_patient(scenario)


def test_a_refused_token_is_renewed_before_the_next_call_and_only_for_who_sent_it() -> None:
    async def scenario(patient: Patient) -> None:
        await patient.access.ready()
        refused = RefreshToken("no", code="67200003")
        patient.health.failed(Kind.SEARCH, refused, answered=True, bearer="an older one")
        await patient.access.ready()
        assert patient.tokens == 1
        patient.failed(refused)
        await patient.access.ready()
        assert patient.tokens == 2

    with_patient(scenario)


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(lambda patient: patient.health.answered(Kind.SEARCH), id="granted"),
        pytest.param(lambda patient: patient.failed(error_of("68300010")), id="refused for what it is"),
        pytest.param(lambda patient: patient.failed(error_of("67200100")), id="failed with an answer"),
    ],
)
def test_any_answer_to_a_token_shows_that_it_is_accepted(between: Callable[[Patient], object]) -> None:
    async def scenario(patient: Patient) -> None:
        for _ in range(5):
            await patient.access.ready()
            patient.failed(RefreshToken("no", code="67200003"))
            await patient.access.ready()
            between(patient)
        assert patient.tokens == 6

    with_patient(scenario)


def test_a_failure_without_an_answer_says_nothing_about_the_token() -> None:
    async def scenario(patient: Patient) -> None:
        for _ in range(2):
            await patient.access.ready()
            patient.failed(RefreshToken("no", code="67200003"))
            await patient.access.ready()
            patient.failed(error_of("no_answer"), answered=False)
        with pytest.raises(RunStopped, match="refused the credentials"):
            patient.failed(RefreshToken("no", code="67200003"))

    with_patient(scenario)


def test_a_vendor_that_goes_down_pauses_all_calls_until_a_probe_succeeds() -> None:
    async def scenario(patient: Patient) -> None:
        patient.health.answered(Kind.SEARCH)
        for _ in range(20):
            patient.failed(error_of("no_answer"), answered=False)
        assert patient.health.paused_s == 30.0
        probed = await patient.health.open(Kind.SEARCH)
        assert anyio.current_time() == 1030.0
        assert len(probed) == 1
        assert patient.health.closed_to(Kind.SEARCH, ())
        assert not patient.health.closed_to(Kind.SEARCH, probed)
        patient.health.answered(Kind.SEARCH)
        assert not patient.health.closed_to(Kind.SEARCH, ())

    with_patient(scenario)


def test_refusals_with_an_answer_show_that_the_vendor_is_up() -> None:
    async def scenario(patient: Patient) -> None:
        for _ in range(40):
            patient.failed(error_of("no_answer"), answered=False)
            patient.failed(error_of("68300010"))
            patient.failed(error_of("67200003"))
            await patient.access.ready()
        assert patient.goes()

    with_patient(scenario)


def test_a_picture_that_is_refused_opens_the_gates_and_a_budget_that_is_used_up_does_not() -> None:
    async def scenario(patient: Patient) -> None:
        patient.failed(HoldAll("full", code="67200000"))
        await anyio.sleep(31)
        patient.failed(RunPaused("the budget is used up", code="budget", sent=False), answered=False)
        assert not patient.goes()
        patient.failed(error_of("68300010"))
        assert patient.goes()

    with_patient(scenario)


# --- the end of the run ---


def test_a_vendor_that_never_answered_pauses_the_run() -> None:
    async def scenario(patient: Patient) -> None:
        for _ in range(19):
            patient.failed(error_of("http_5xx"))
        with pytest.raises(RunPaused, match="seems to be down"):
            patient.failed(error_of("http_5xx"))

    with_patient(scenario)


def test_a_create_in_doubt_is_recorded_before_a_vendor_that_is_down_ends_the_run() -> None:
    async def scenario(patient: Patient) -> None:
        for _ in range(25):
            assert patient.failed(error_of("no_answer", Kind.CREATE), Kind.CREATE, answered=False) is None

    with_patient(scenario)


def test_the_fifth_unknown_code_within_a_minute_stops_the_run() -> None:
    async def scenario(patient: Patient) -> None:
        for _ in range(4):
            patient.failed(error_of("683", code="68300099"))
        with pytest.raises(RunStopped, match=r"api\.errors"):
            patient.failed(error_of("683", code="68300099"))

    with_patient(scenario)


def test_a_create_in_doubt_is_recorded_before_unknown_codes_or_a_redirect_stop_the_run() -> None:
    async def scenario(patient: Patient) -> list[RunStopped | None]:
        redirected = patient.failed(error_of("http_3xx", Kind.CREATE), Kind.CREATE)
        return [
            redirected,
            *(patient.failed(error_of("683", Kind.CREATE, code="68300099"), Kind.CREATE) for _ in range(5)),
        ]

    assert [type(ends_run) for ends_run in with_patient(scenario)] == [RunStopped, *[type(None)] * 4, RunStopped]


# --- the limit of the day ---


@pytest.mark.parametrize(
    ("resets_at", "again_s"), [pytest.param(TEN, 0.0, id="waiting"), pytest.param(None, None, id="not waiting")]
)
def test_the_days_limit_is_waited_for_only_where_the_run_is_to_wait(
    resets_at: time | None, again_s: float | None
) -> None:
    async def scenario(patient: Patient) -> tuple[float | None, float | None]:
        patient.failed(DAILY)
        return patient.health.retry(Kind.SEARCH, DAILY, Tries()), patient.health.waits_until

    assert with_patient(scenario, **({"resets_at": resets_at} if resets_at else {})) == (
        again_s,
        NINE + 3600 if resets_at else None,
    )


def test_fifteen_minutes_of_refusals_at_the_lowest_rate_are_waited_for_like_the_days_limit() -> None:
    async def scenario(patient: Patient) -> None:
        while patient.health.waits_until is None:
            await anyio.sleep(1.0)
            patient.failed(SlowDown("too fast", code="67200002"))
        assert 1900 < anyio.current_time() < 2000

    with_patient(scenario, resets_at=TEN)


# --- open ---


def test_where_nothing_is_wrong_a_call_goes_at_once_and_probes_nothing() -> None:
    async def scenario(patient: Patient) -> None:
        assert await patient.health.open(Kind.SEARCH) == ()
        assert anyio.current_time() == 1000.0

    with_patient(scenario)


def test_a_call_that_waits_for_two_gates_gives_the_first_one_back_when_the_run_ends() -> None:
    """Else nobody would ever probe the day's limit again."""

    async def scenario(patient: Patient) -> bool:
        patient.failed(DAILY)
        await anyio.sleep(3601)
        patient.failed(HoldAll("full", code="67200000"))
        async with anyio.create_task_group() as calls:

            async def one() -> None:
                with pytest.raises(Stopping):
                    await patient.health.open(Kind.SEARCH)

            calls.start_soon(one)
            await anyio.sleep(1)
            patient.endings.end([Kind.SEARCH])
        return await patient.quota.turn(anyio.sleep, Kind.CREATE)

    assert with_patient(scenario, resets_at=TEN)


# --- retry ---


@pytest.mark.parametrize(
    ("error", "tries", "again"),
    [
        (TryAgain("x", code="x", attempts=3), Tries(attempt=2), True),
        (TryAgain("x", code="x", attempts=3), Tries(attempt=3), False),
        (Reconnect("old", code="stale", sent=False), Tries(deferrals=999), True),
        (HoldAll("full", code="67200000"), Tries(deferrals=999), True),
        (SlowDown("fast", code="67200002"), Tries(accepted=6, deferrals=MAX_DEFERRALS - 1), True),
        (SlowDown("fast", code="67200002"), Tries(accepted=6, deferrals=MAX_DEFERRALS), False),
        (SlowDown("fast", code="67200002"), Tries(accepted=7, deferrals=MAX_DEFERRALS), True),
        (RefreshToken("no", code="67200003"), Tries(deferrals=MAX_DEFERRALS - 1), True),
        (RefreshToken("no", code="67200003"), Tries(deferrals=MAX_DEFERRALS), False),
        (ItemRefused("no", code="68300010"), Tries(), False),
        (InDoubt("lost", code="no_answer"), Tries(), False),
        (RunPaused("balance", code="67200005"), Tries(), False),
        (RunStopped("no permission", code="67200004"), Tries(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, CallError) else None,
)
def test_which_errors_are_retried(error: CallError, tries: Tries, again: bool) -> None:
    async def scenario(patient: Patient) -> float | None:
        patient.limiters[Kind.SEARCH].accepted = 7
        return patient.health.retry(Kind.SEARCH, error, tries)

    assert (with_patient(scenario) is not None) is again


@pytest.mark.parametrize(
    ("kind", "facts", "after_s"),
    [
        pytest.param(Kind.QUERY, {}, APART_S, id="a question that left"),
        pytest.param(Kind.QUERY, {"retry_after_s": 7.0}, 7.0, id="one that is to be asked again later still"),
        pytest.param(Kind.QUERY, {"sent": False}, 0.0, id="one that did not leave"),
        pytest.param(Kind.SEARCH, {}, 0.0, id="a call of another kind"),
    ],
)
def test_a_question_that_left_is_asked_again_after_two_seconds_at_the_earliest(
    kind: Kind, facts: dict[str, Any], after_s: float, no_jitter: None
) -> None:
    async def scenario(patient: Patient) -> float | None:
        return patient.health.retry(kind, TryAgain("x", code="x", attempts=3, **facts), Tries())

    assert with_patient(scenario) == after_s


def test_fifty_retries_are_spent_counted_and_refilled_by_granted_calls() -> None:
    async def scenario(patient: Patient) -> None:
        health, error = patient.health, error_of("67200100")
        assert (
            sum(health.retry(Kind.SEARCH, error, Tries()) is not None for _ in range(60)) == patient.stats.retried == 50
        )
        assert not health.retries_left
        for _ in range(11):
            health.answered(Kind.SEARCH)
        assert health.retry(Kind.SEARCH, error, Tries()) is not None
        for _ in range(260):
            health.answered(Kind.SEARCH)
        assert health.retries_left

    with_patient(scenario)


def test_what_spends_no_attempt_spends_no_retry() -> None:
    async def scenario(patient: Patient) -> None:
        for _ in range(100):
            assert patient.health.retry(Kind.SEARCH, SlowDown("fast", code="67200002"), Tries()) == 0.0
        assert patient.health.retries_left
        assert patient.stats.retried == 0

    with_patient(scenario)


@pytest.mark.parametrize("condition", ["no_data", "hits_missing"])
def test_a_success_that_brings_nothing_is_no_sign_of_a_vendor_that_is_down_and_ends_a_pause_for_one(
    condition: str,
) -> None:
    async def scenario(patient: Patient) -> None:
        patient.health.answered(Kind.SEARCH)
        for _ in range(100):
            patient.failed(error_of(condition))
        assert patient.goes()
        for _ in range(50):
            patient.failed(error_of("http_5xx", code="http_503"))
        assert not patient.goes()
        await anyio.sleep(patient.health.paused_s)
        patient.failed(error_of(condition))
        assert patient.goes()

    with_patient(scenario)


def test_a_create_that_met_a_full_platform_is_in_doubt_and_pauses_all_other_calls() -> None:
    async def scenario(patient: Patient) -> None:
        error = error_of("67200000", Kind.CREATE)
        assert (type(error), error.may_exist) == (InDoubt, True)
        assert isinstance(error_of("67200000", Kind.SEARCH), HoldAll)
        assert patient.failed(error, Kind.CREATE) is None
        assert patient.health.paused_s == 30.0
        assert not patient.goes()

    with_patient(scenario)


def test_a_create_in_doubt_at_a_platform_that_is_full_for_an_hour_ends_the_run_beside_its_doubt() -> None:
    async def scenario(patient: Patient) -> None:
        error = error_of("67200000", Kind.CREATE)
        assert patient.failed(error, Kind.CREATE) is None
        await anyio.sleep(3601)
        assert isinstance(patient.failed(error, Kind.CREATE), RunPaused)

    with_patient(scenario)
