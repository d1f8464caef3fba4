"""The `details` section: off by default, and paced and capped by itself."""

import pytest

from pipeline.job.sections import DetailsSpec
from pipeline.models import PAID, Kind
from tests.support.fixtures import Faults, Load
from tests.support.job_files import MINIMAL


def test_details_are_off_unless_a_job_wants_them(load: Load) -> None:
    for text in ("", "details: off\n", "details: 'off'\n", "details: null\n", "details: false\n"):
        spec = load(MINIMAL + text)
        assert spec.details is None
        assert spec.paced == PAID


def test_a_job_that_wants_them_has_defaults(load: Load) -> None:
    assert load(MINIMAL + "details: {}\n").details == DetailsSpec(top=5, above=0.8, family=False)
    spec = load(MINIMAL + "details: {top: 3, above: 0.5, family: true}\n")
    assert spec.details == DetailsSpec(top=3, above=0.5, family=True)
    assert spec.paced == (*PAID, Kind.DETAILS)


@pytest.mark.parametrize(
    ("text", "key"),
    [("{top: 0}", "top"), ("{top: 101}", "top"), ("{above: 1.1}", "above"), ("{family: maybe}", "family")],
)
def test_what_makes_no_sense_is_refused_with_its_place(text: str, key: str, faults: Faults) -> None:
    (fault,) = faults(f"{MINIMAL}details: {text}\n")
    assert f"details.{key}" in fault


@pytest.mark.parametrize(
    ("qps", "expected"), [("5", 1.0), ("0.5", 0.5), ("{search: 50}", 1.0), ("{search: 50, details: 7}", 7.0)]
)
def test_details_keep_a_pace_of_their_own_below_that_of_all(qps: str, expected: float, load: Load) -> None:
    assert load(f"{MINIMAL}api: {{qps: {qps}}}\n").api.qps_of(Kind.DETAILS) == expected


def test_what_a_job_asks_of_its_run_directory_is_the_same_with_and_without_details(load: Load) -> None:
    assert load(MINIMAL + "details: {top: 3}\n").asked() == load(MINIMAL).asked()
