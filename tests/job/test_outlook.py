"""Sentences about a job: what its search leaves out of sight, and what is allowed but probably not meant."""

import pytest

from pipeline.job.outlook import not_looked_at, warnings
from tests.support.fixtures import Load
from tests.support.job_files import MINIMAL


def phrases(load: Load, extra: str) -> list[str]:
    return not_looked_at(load(f"{MINIMAL}{extra}\n"))


def test_what_is_never_looked_at_is_said_without_any_filter(load: Load) -> None:
    assert phrases(load, "") == ["utility models", "hits beyond the first 100"]


@pytest.mark.parametrize(
    ("extra", "phrase"),
    [
        ("search: {limit: 10}", "hits beyond the first 10"),
        ("search: {min_score: 0.85}", "hits scored below 0.85 (kept in the record, left out of the task)"),
        ("search: {filters: {loc: 06-01}}", "designs outside Locarno 06-01"),
        ("search: {filters: {assignees: Acme}}", "patents of anyone but Acme"),
        ("search: {filters: {legal_status: [3, 11]}}", "patents whose legal status is not granted or withdrawn"),
        ("search: {filters: {apply_start_time: '20200101'}}", "applications before 20200101"),
        ("search: {filters: {apply_end_time: '20200101'}}", "applications after 20200101"),
        ("search: {filters: {public_start_time: '20200101'}}", "publications before 20200101"),
        ("search: {filters: {public_end_time: '20200101'}}", "publications after 20200101"),
        ("search: {filters: {offset: 5}}\ntask: {enabled: false}", "the first 5 hits"),
        ("search: {endpoint: P060, filters: {country: [US, EU]}}", "patents outside US, EU"),
        (
            "search: {endpoint: P060, filters: {simple_legal_status: 1}}",
            "patents that are not active",
        ),
        ("search: {endpoint: P060, model: 3, patent_type: U}", "designs"),
    ],
)
def test_every_filter_says_what_it_leaves_out_of_sight(load: Load, extra: str, phrase: str) -> None:
    assert phrase in phrases(load, extra)


@pytest.mark.parametrize(
    "extra",
    ["search: {filters: {offset: 0}}", "search: {filters: {order: desc}}", "search: {min_score: 0}"],
)
def test_what_excludes_nothing_is_not_mentioned(load: Load, extra: str) -> None:
    assert phrases(load, extra) == phrases(load, "")


@pytest.mark.parametrize(
    ("extra", "warned"),
    [
        ("task: {country: [US, EU]}", True),
        ("", False),
        ("task: {country: [US], enabled: false}", False),
        ("search: {endpoint: P060}\ntask: {country: [US]}", False),
    ],
)
def test_countries_of_a_task_do_not_limit_p009_and_it_says_so(load: Load, extra: str, warned: bool) -> None:
    said = warnings(load(f"{MINIMAL}{extra}\n"))
    assert bool(said) is warned
    assert all("worldwide" in line and "US, EU" in line for line in said)


def test_a_rehearsal_says_what_its_hits_are_worth(load: Load) -> None:
    (said,) = warnings(load(MINIMAL).rehearsed())
    assert "say nothing about the products" in said


@pytest.mark.parametrize(
    ("images", "of_urls", "of_files"),
    [
        ("[{url: 'https://example.com/1.jpg'}]", True, False),
        ("[{path: 'photos/*.jpg'}]", False, True),
        ("[{url: 'https://example.com/1.jpg'}, {path: a.jpg}]", True, True),
        ("[{manifest: list.csv}]", True, True),  # it is not read yet
    ],
)
def test_a_rehearsal_says_what_stands_for_the_pictures_that_this_job_lists(
    load: Load, images: str, of_urls: bool, of_files: bool
) -> None:
    (said,) = warnings(load(f"version: 1\nname: job\nimages: {images}\nupload: {{public: true}}\n").rehearsed())
    assert ("for each URL a drawn picture" in said, "local pictures are searched as they are" in said) == (
        of_urls,
        of_files,
    )
