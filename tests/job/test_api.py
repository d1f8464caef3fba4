"""The `api` section of a job: rows of the error table, the daily limit, items in doubt."""

from datetime import time, timedelta, timezone

import pytest

from pipeline.endpoints.consequences import Override
from pipeline.endpoints.patsnap.codes import ROWS, condition_of_code, table_with
from pipeline.errors import RunStopped
from pipeline.job.outlook import warnings
from pipeline.models import Kind
from tests.support.fixtures import Faults, Load
from tests.support.job_files import MINIMAL
from tests.support.refusals import error_for


def test_rows_of_the_error_table_may_be_changed(load: Load) -> None:
    spec = load(
        MINIMAL + 'api: {errors: {"68300008": {create: fail}, 67200100: {create: retry, base_s: 0.5}, '
        "no_answer: {search: fail}, http_503: {attempts: 2}}}"
    )
    assert spec.api.overrides() == {
        "68300008": Override(create="fail"),
        "67200100": Override(create="retry", base_s=0.5),
        "no_answer": Override(search="fail"),
        "http_503": Override(attempts=2),
    }


@pytest.mark.parametrize(
    ("code", "about_picture"),
    [
        ("68300010", False),
        ("68300011", True),
        ("68300012", False),
        ("67200001", False),
        ("http_413", True),
        ("http_400", False),
        ("picture", True),
        ("incomplete_hits", True),
        ("same_picture", False),
        ("", False),
        ("http_", False),
        ("no such code", False),
    ],
)
def test_a_job_knows_which_recorded_codes_are_about_the_picture(load: Load, code: str, about_picture: bool) -> None:
    yes, no = "{search: fail, about_picture: true}", "{about_picture: false}"
    rows = f"68300010: {no}, 68300011: {yes}, http_413: {yes}"
    assert load(f"{MINIMAL}api: {{errors: {{{rows}}}}}").api.is_about_picture(code) is about_picture


def test_without_changes_the_table_is_the_default(load: Load) -> None:
    assert load(MINIMAL).api.overrides() == {}


@pytest.mark.parametrize(
    ("errors", "place", "said"),
    [
        pytest.param("{no_anwser: {create: fail}}", "5:16", "did you mean 'no_answer'?", id="condition"),
        pytest.param("{1234567890123: {create: fail}}", "5:16", "a code of 1 to 12 digits", id="13 digits"),
        pytest.param("{007: {create: fail}}", "5:16", "a code of 1 to 12 digits", id="no number is sent like this"),
        pytest.param(
            "{frob: {create: fail}}", "5:16", "a code of 1 to 12 digits, http_<status>, or one of", id="nonsense"
        ),
        pytest.param("{67200100: {create: retri}}", "5:27", "did you mean 'retry'?", id="class"),
        pytest.param("{67200100: {search: in_doubt}}", "5:27", "'in_doubt' is not allowed", id="no search in doubt"),
        pytest.param("{67200100: {creat: retry}}", "5:27", "did you mean 'create'?", id="key"),
        pytest.param("{67200100: {attempts: 11}}", "5:27", "less than or equal to 10", id="attempts"),
        pytest.param("{67200100: {attempts: 0}}", "5:27", "greater than or equal to 1", id="no attempt"),
        pytest.param("{68300010: {about_picture: 1}}", "5:27", "must be true or false", id="about_picture"),
        pytest.param("{67200100: {base_s: -1}}", "5:27", "greater than or equal to 0", id="base_s"),
    ],
)
def test_a_fault_in_the_error_table_is_named_at_its_place(faults: Faults, errors: str, place: str, said: str) -> None:
    [line] = faults(f"{MINIMAL}api: {{errors: {errors}}}")
    assert line.startswith(f"job.yaml:{place}: api.errors.")
    assert said in line


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        pytest.param("{67200100: {create: retry}}", "up to 4 times, each of them may be paid", id="an unclear create"),
        pytest.param("{68300099: {create: retry, attempts: 2}}", "sent up to 2 times", id="a code of ours"),
        pytest.param("{68300008: {create: fail}}", "recorded as failed", id="a create given up"),
        pytest.param("{6830008: {search: fail}}", "did you mean '68300008'?", id="a digit is missing"),
        pytest.param("{503: {search: fail}}", "is written http_503", id="a status is no code"),
        pytest.param("{99: {search: fail}}", None, id="a code that nobody knows"),
        pytest.param("{67200007: {attempts: 2}}", "attempts and base_s say nothing here", id="no retry"),
        pytest.param("{67200007: {about_picture: true}}", "about_picture says nothing here", id="no item fails of it"),
        pytest.param("{68300011: {search: fail, about_picture: true}}", None, id="a picture"),
        pytest.param("{68300010: {about_picture: false}}", None, id="no picture"),
        pytest.param("{67200100: {create: in_doubt}}", None, id="the default"),
        pytest.param("{67200100: {search: fail}}", None, id="searches"),
        pytest.param("{67200012: {create: retry, attempts: 2}}", None, id="refused at the gateway"),
    ],
)
def test_what_can_cost_money_is_warned_about(load: Load, errors: str, said: str | None) -> None:
    remarks = warnings(load(f"{MINIMAL}api: {{errors: {errors}}}"))
    assert len(remarks) == (said is not None)
    assert all(said in text and text.startswith("api.errors.") for text in remarks if said)


@pytest.mark.parametrize("name", [*(name for name, row in ROWS.items() if row.may_exist), "68300099", "http_503"])
def test_a_create_that_may_have_been_executed_is_never_called_one_that_was_not(faults: Faults, name: str) -> None:
    for word in ("slow", "hold", "refresh", "pause", "stop"):
        [line] = faults(f'{MINIMAL}api: {{errors: {{"{name}": {{create: {word}}}}}}}')
        assert f": api.errors.{name}.create: {word} is not allowed: " in line
        assert line.endswith("so the create may have been executed; allowed: in_doubt, fail, retry")


def test_all_rows_that_would_undo_a_doubt_are_named_at_once(faults: Faults) -> None:
    [line] = faults(f"{MINIMAL}api: {{errors: {{67200100: {{create: slow}}, no_answer: {{create: stop}}}}}}")
    assert "api.errors.67200100.create: slow is not allowed" in line
    assert "api.errors.no_answer.create: stop is not allowed" in line


@pytest.mark.parametrize("word", ["slow", "hold", "refresh", "pause", "stop"])
def test_a_create_that_is_refused_at_the_gateway_may_be_called_anything(load: Load, word: str) -> None:
    assert load(f"{MINIMAL}api: {{errors: {{67200012: {{create: {word}}}}}}}").api.overrides()


def test_every_row_can_be_named(load: Load) -> None:
    rows = ", ".join(f'"{name}": {{search: stop}}' for name in ROWS)
    assert set(load(f"{MINIMAL}api: {{errors: {{{rows}}}}}").api.overrides()) == set(ROWS)


@pytest.mark.parametrize(
    ("written", "hours"),
    [('"00:00+08:00"', 8), ('"23:59-05:00"', -5), ('"00:00"', 0), ('"06:30Z"', 0)],
)
def test_the_reset_of_the_quota_has_an_offset(load: Load, written: str, hours: int) -> None:
    at = load(f"{MINIMAL}api: {{quota_resets_at: {written}}}").api.quota_reset
    hour, minute = map(int, written[1:6].split(":"))
    assert at == time(hour, minute, tzinfo=timezone(timedelta(hours=hours)))


@pytest.mark.parametrize(
    "written",
    [
        '"24:00"',
        '"12:60"',
        '"00:00+24:00"',
        '"00:00+08:75"',
        '"midnight"',
        '"00:00:00"',
        '"0:00"',
        '"00:00+25:00"',
        "12:30",
    ],
)
def test_a_time_of_day_that_is_none_is_refused(faults: Faults, written: str) -> None:
    [line] = faults(f"{MINIMAL}api: {{quota_resets_at: {written}}}")
    assert "api.quota_resets_at" in line
    assert "HH:MM" in line or "put it in quotes" in line


@pytest.mark.parametrize("code", ["7", "1001", "672001000", "123456789012", "-1"])
def test_every_code_that_the_vendor_may_send_can_be_named(load: Load, code: str) -> None:
    """A run that unknown codes have stopped tells the person to name them here."""
    table = table_with(load(f"{MINIMAL}api: {{errors: {{{code}: {{search: stop}}}}}}").api.overrides())
    error = error_for(Kind.SEARCH, condition_of_code(int(code)), code=code, table=table)
    assert isinstance(error, RunStopped)


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        ("retry", ["5:7: api.on_in_doubt: allowed: hold, or {retry: 1, max_duplicates: N}"]),
        ("3", ["5:7: api.on_in_doubt: allowed: hold, or {retry: 1, max_duplicates: N}"]),
        ("null", ["5:7: api.on_in_doubt: allowed: hold, or {retry: 1, max_duplicates: N}"]),
        ("[hold]", ["5:7: api.on_in_doubt: allowed: hold, or {retry: 1, max_duplicates: N}"]),
        ("{retry: 1}", ["5:7: api.on_in_doubt.max_duplicates: this key is required"]),
        (
            "{retry: 2, max_duplicates: 3}",
            ["5:21: api.on_in_doubt.retry: 2: must be less than or equal to 1"],
        ),
        (
            "{retry: 1, max_duplicates: -1}",
            ["5:31: api.on_in_doubt.max_duplicates: -1: must be greater than or equal to 0"],
        ),
        (
            "{retry: 1, max_duplicates: 3, max: 4}",
            ["5:50: api.on_in_doubt.max: unknown key; allowed: max_duplicates, retry"],
        ),
    ],
)
def test_each_fault_about_doubts_is_one_true_line(faults: Faults, written: str, lines: list[str]) -> None:
    found = [line.removeprefix("job.yaml:") for line in faults(f"{MINIMAL}api: {{on_in_doubt: {written}}}")]
    assert found == lines


def test_the_patience_for_answers_is_what_it_was_unless_a_job_says_otherwise(load: Load) -> None:
    agreed = {Kind.UPLOAD: 60.0, Kind.SEARCH: 15.0, Kind.CREATE: 60.0, Kind.QUERY: 15.0, Kind.DETAILS: 30.0}
    assert load(MINIMAL).api.timeouts() == agreed
    spec = load(MINIMAL + "api: {timeout_s: {search: 45, create: 90.5}}\n")
    assert spec.api.timeouts() == agreed | {Kind.SEARCH: 45.0, Kind.CREATE: 90.5}


@pytest.mark.parametrize("wrong", ["0", "0.9", "601", "-1", "'15'"])
def test_a_patience_out_of_range_is_refused(faults: Faults, wrong: str) -> None:
    (fault,) = faults(f"{MINIMAL}api: {{timeout_s: {{search: {wrong}}}}}\n")
    assert "api.timeout_s.search" in fault


def test_a_patience_shorter_than_the_longest_answer_is_remarked_on(load: Load) -> None:
    remarks = warnings(load(f"{MINIMAL}api: {{timeout_s: {{create: 5, search: 9}}}}\n"))
    assert any("api.timeout_s.create: 5 s" in remark and "in doubt" in remark for remark in remarks)
    assert any("api.timeout_s.search: 9 s" in remark and "paid twice" in remark for remark in remarks)
