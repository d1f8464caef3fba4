"""The key `method`: what a submit takes, and what it refuses because its endpoint lacks it."""

import json

import pytest

from pipeline.endpoints.interface import Creation
from pipeline.endpoints.patsnap.ai39_submit import SubmitSearch, TaskSubmission
from pipeline.endpoints.patsnap.endpoints import endpoints_for
from pipeline.job.load import load_job, write_as_run
from pipeline.job.outlook import not_looked_at
from pipeline.job.schema import JobSpec
from pipeline.models import Choice, Kind
from tests.support.fixtures import Faults, Load
from tests.support.job_files import MINIMAL

SUBMIT = f"{MINIMAL}method: submit\ntask: {{country: [US, EU]}}\n"
FILTERS = "{apply_start_time: '20200101', loc_items: ['26-05', '06-01'], main_field: lamp}"
WHOLE = f"{SUBMIT}search: {{filters: {FILTERS}}}\n"


def kinds(spec: JobSpec, *, local: bool = False) -> tuple[Kind, ...]:
    return tuple(kind for kind in spec.kinds(local=local) if kind is not Kind.QUERY)


def test_a_search_and_then_a_task_is_the_default(load: Load) -> None:
    spec = load(MINIMAL)
    assert (spec.method, spec.submits) == ("search-then-task", False)
    assert kinds(spec) == (Kind.SEARCH, Kind.CREATE)


def test_a_submit_is_one_create_whose_report_is_waited_for(load: Load) -> None:
    spec = load(SUBMIT)
    assert spec.submits
    assert kinds(spec) == (Kind.CREATE,)
    assert kinds(spec, local=True) == (Kind.UPLOAD, Kind.CREATE)
    assert (spec.search.endpoint, spec.task.report) == ("AI39-submit", "wait")


def test_a_submit_asks_what_the_job_says(load: Load) -> None:
    spec = load(WHOLE)
    endpoints = endpoints_for(spec.search, report_lang=spec.task.report_lang, country=spec.task.country)
    assert isinstance(endpoints.create, TaskSubmission)
    body = endpoints.create.request(Creation("https://a.example/1.jpg", Choice(b"[]", 0, 0))).body
    assert json.loads(body or b"") == {
        "url": "https://a.example/1.jpg",
        "country": ["US", "EU"],
        "lang": "en",
        "apply_start_time": "20200101",
        "loc_items": ["26-05", "06-01"],
        "main_field": "lamp",
    }
    assert endpoints.names[Kind.CREATE] == "AI39-submit"
    assert Kind.SEARCH not in endpoints.names


def test_what_a_submit_leaves_out_of_sight_is_said_with_its_countries(load: Load) -> None:
    assert not_looked_at(load(WHOLE)) == [
        "patents outside US, EU",
        "applications before 20200101",
        "designs outside Locarno 26-05, 06-01",
        "patents without lamp in their texts, names, numbers and classes",
        "utility models",
        "hits beyond those returned",
    ]


def test_a_submit_that_was_written_as_run_is_read_back_as_it_was(load: Load, tmp_path) -> None:
    spec = load(WHOLE)
    raw, _ = write_as_run(spec)
    file = tmp_path / "spec.yaml"
    file.write_bytes(raw)
    again = load_job(file, as_run=True)
    assert isinstance(again.search, SubmitSearch)
    assert again.asked() == spec.asked()


@pytest.mark.parametrize(
    ("section", "field", "words"),
    [
        ("search: {limit: 50}", "search.limit", "AI39-submit does not take it: the vendor decides how many hits"),
        ("search: {min_score: 0.5}", "search.min_score", "AI39-submit does not take it"),
        ("search: {depth: 300}", "search.depth", "AI39-submit does not take it: it has no further pages"),
        ("search: {filters: {legal_status: 3}}", "search.filters.legal_status", "AI39-submit does not take it"),
        ("search: {filters: {offset: 100}}", "search.filters.offset", "AI39-submit does not take it"),
        ("search: {filters: {apply_end_time: '20240101'}}", "search.filters.apply_end_time", "does not take it"),
        ("search: {filters: {loc_items: '26-05'}}", "search.filters.loc_items", "must be a list"),
        ("search: {filters: {loc_items: [26-05 OR 06-01]}}", "search.filters.loc_items", "no Locarno code"),
        ("search: {endpoint: P060}", "search.endpoint", "so P060 is never asked"),
    ],
)
def test_what_its_endpoint_lacks_is_refused(faults: Faults, section: str, field: str, words: str) -> None:
    [line] = faults(f"{SUBMIT}{section}\n")
    assert f" {field}: " in line
    assert words in line


@pytest.mark.parametrize(
    ("task", "field", "words"),
    [
        ("{}", "task.country", "required with `method: submit`"),
        ("{country: [US], report: off}", "task.report", "off is refused with `method: submit`"),
        ("{country: [US], report: 'off'}", "task.report", "the hits come with the report"),
        ("{country: [US], enabled: false}", "task.enabled", "there is always a task"),
        ("{country: [US], max_hits: 20}", "task.max_hits", "the vendor chooses the hits that it compares"),
    ],
)
def test_a_task_that_a_submit_cannot_have_is_refused(faults: Faults, task: str, field: str, words: str) -> None:
    [line] = faults(f"{MINIMAL}method: submit\ntask: {task}\n")
    assert f" {field}: " in line
    assert words in line


def test_a_word_that_is_no_method_is_told_the_methods(faults: Faults) -> None:
    [line] = faults(f"{MINIMAL}method: submits\n")
    assert "allowed: 'search-then-task' or 'submit'" in line
    assert "did you mean 'submit'?" in line


def test_the_endpoint_of_a_submit_is_named_by_its_method_alone(faults: Faults) -> None:
    [line] = faults(f"{MINIMAL}search: {{endpoint: AI39-submit}}\n")
    assert " search.endpoint: " in line
    assert "write `method: submit`" in line


@pytest.mark.parametrize("wrong", ["search: []", "search: 5", "task: []", "task: 5"])
def test_a_section_that_is_no_mapping_is_a_fault_and_no_crash(faults: Faults, wrong: str) -> None:
    assert faults(f"{MINIMAL}method: submit\n{wrong}\n")
