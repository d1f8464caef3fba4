"""The job as it is run: the file that a run directory keeps is itself a job, and the same one."""

import hashlib

import pytest

from pipeline.job.load import write_as_run
from tests.support.fixtures import Faults, Load
from tests.support.job_files import MINIMAL, P060, WHOLE


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(MINIMAL, id="minimal"),
        pytest.param(WHOLE, id="whole"),
        pytest.param(P060 + "  filters: {country: [US], legal_status: [1, 3]}\n", id="P060"),
        pytest.param(MINIMAL.replace("- url", "- id: '010'\n    url"), id="an id like a number"),
        pytest.param(MINIMAL + "    labels: {name: 手提包, when: '12:30:00'}\n", id="labels"),
        pytest.param(MINIMAL + "api: {qps: {search: 0.1, create: 2}, drain_s: 0.5}\n", id="fractions"),
    ],
)
def test_the_job_as_run_reads_as_the_same_job(load: Load, text: str) -> None:
    spec = load(text)
    raw, digest = write_as_run(spec)
    assert load(raw).model_dump() == spec.model_dump()
    assert digest == hashlib.sha256(raw).hexdigest()


def test_overrides_are_written_out(load: Load) -> None:
    raw, _ = write_as_run(load(MINIMAL, overrides=["api.qps=7", "output.dir=elsewhere"]))
    assert load(raw) == load(MINIMAL, overrides=["api.qps=7", "output.dir=elsewhere"])
    assert b"qps: 7\n" in raw


def test_the_digest_changes_with_the_job_alone(load: Load) -> None:
    before = write_as_run(load(MINIMAL))[1]
    assert write_as_run(load(MINIMAL + "# a remark\nsearch: {limit: 100}\n"))[1] == before
    assert write_as_run(load(MINIMAL + "search: {limit: 99}\n"))[1] != before


def test_the_job_of_an_earlier_version_is_read_with_the_pace_of_questions_that_it_wrote(load: Load) -> None:
    """Version 0.1.0 wrote `query: 5` where a job gave `qps` by kind; its run directories must still open."""
    written = MINIMAL + "api: {qps: {search: 20, create: 10, upload: 5, query: 5}}\n"
    assert load(written, as_run=True) == load(MINIMAL + "api: {qps: {search: 20, create: 10}}\n")


@pytest.mark.parametrize(
    "filters",
    [
        "{offset: 100}",
        "{loc: AND 07-01}",
        "{apply_end_time: '2024 131'}",
        "{apply_start_time: '20240201', apply_end_time: '20240131'}",
    ],
)
def test_the_job_of_an_earlier_version_is_read_though_its_filters_are_refused_today(
    load: Load, faults: Faults, filters: str
) -> None:
    written = MINIMAL + f"search: {{filters: {filters}}}\n"
    assert load(written, as_run=True).search.filters.asked()
    assert faults(written)


@pytest.mark.parametrize("api", ["api: 5", "api: {qps: [query]}", "api: {qps: {query: 5, qery: 5}}", "api: {query: 5}"])
def test_everything_else_is_refused_in_a_job_as_run_too(faults: Faults, api: str) -> None:
    assert faults(f"{MINIMAL}{api}\n", as_run=True)
