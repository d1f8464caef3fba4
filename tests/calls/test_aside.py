"""Calls for details and for reports: whatever goes wrong with them alone, no paid call waits for it."""

from datetime import UTC, time

import anyio
import pytest

from pipeline.calls.health import ASIDE
from pipeline.calls.limiter import Limiter
from pipeline.calls.rate import NOTHING_ACCEPTED_S
from pipeline.calls.retry import Tries
from pipeline.endpoints.consequences import consequence
from pipeline.endpoints.interface import Refusal
from pipeline.endpoints.patsnap.codes import TABLE
from pipeline.errors import CallError, HoldAll, RunPaused, SlowDown, TryAgain
from pipeline.models import Kind
from tests.support.healths import Patient, with_patient

DETAILS = Kind.DETAILS


def error_of(condition: str) -> CallError:
    return consequence(Refusal(condition), DETAILS, table=TABLE)


def ready(patient: Patient) -> Patient:
    patient.limiters[DETAILS] = Limiter(10)
    return patient


@pytest.mark.parametrize("condition", ["http_5xx", "no_answer", "malformed", "672"])
def test_however_often_they_fail_no_other_call_waits_and_no_run_ends(condition: str) -> None:
    async def scenario(patient: Patient) -> None:
        assert ready(patient).health.paused_s == 0
        error = error_of(condition)
        assert isinstance(error, TryAgain)
        for _ in range(60):
            assert patient.failed(error, DETAILS) is None
        assert patient.goes()
        assert patient.health.paused_s == 0

    with_patient(scenario)


def test_the_limit_of_the_day_on_details_makes_no_other_call_wait_for_tomorrow() -> None:
    async def scenario(patient: Patient) -> None:
        error = error_of("67200007")
        assert isinstance(error, RunPaused)
        assert ready(patient).failed(error, DETAILS) is None
        assert patient.goes()
        assert patient.health.waits_until is None
        assert patient.health.retry(DETAILS, error, Tries()) is None

    with_patient(scenario, resets_at=time(10, 0, tzinfo=UTC))


@pytest.mark.parametrize("kind", ASIDE)
def test_refusals_for_speed_that_never_end_are_told_their_caller_and_make_no_other_call_wait_for_tomorrow(
    kind: Kind,
) -> None:
    async def refuse_as_long_as_others_go(patient: Patient) -> None:
        while patient.goes():
            await anyio.sleep(1.0)
            assert patient.failed(SlowDown("too fast", code="67200002"), kind) is None

    async def scenario(patient: Patient) -> None:
        patient.limiters[kind] = Limiter(10)
        with pytest.raises(RunPaused, match="accepts no calls at this rate"):
            await refuse_as_long_as_others_go(patient)
        assert anyio.current_time() > 1000 + NOTHING_ACCEPTED_S
        assert patient.goes()
        assert patient.health.waits_until is None

    with_patient(scenario, resets_at=time(10, 0, tzinfo=UTC))


def test_a_platform_that_is_full_is_full_for_all() -> None:
    async def scenario(patient: Patient) -> None:
        error = error_of("67200001")
        assert isinstance(error, HoldAll)
        ready(patient).failed(error, DETAILS)
        assert not patient.goes()

    with_patient(scenario)
