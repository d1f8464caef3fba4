"""Pydantic's errors in words: the place, the field, the key that was meant."""

import time

import pytest

from tests.support.fixtures import Faults, Load
from tests.support.job_files import MINIMAL
from tests.support.processor import million_steps_s


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        pytest.param("serach: {}", "job.yaml:5:1: serach: unknown key; did you mean 'search'?", id="at the top"),
        pytest.param("Task: {}", "job.yaml:5:1: Task: unknown key; did you mean 'task'?", id="a capital"),
        pytest.param(
            "search: {filter: {}}",
            "job.yaml:5:10: search.filter: unknown key; did you mean 'filters'?",
            id="in a union",
        ),
        pytest.param(
            "search:\n  filters:\n    assignee: Acme",
            "job.yaml:7:5: search.filters.assignee: unknown key; did you mean 'assignees'?",
            id="three levels down",
        ),
        pytest.param(
            "api: {qps: {serach: 1}}", "job.yaml:5:13: api.qps.serach: unknown key; did you mean 'search'?", id="qps"
        ),
        pytest.param(
            "api: {qps: {qery: 1}}",
            "job.yaml:5:13: api.qps.qery: unknown key; did you mean 'query'?",
            id="questions for reports",
        ),
        pytest.param(
            "api: {budget: {xyz: 1}}",
            "job.yaml:5:16: api.budget.xyz: unknown key; "
            "allowed: create_calls, details, money, query_calls, search_calls, upload_calls",
            id="nothing close",
        ),
        pytest.param(
            "task: {report_lang: zh-en}",
            "job.yaml:5:8: task.report_lang: 'zh-en' is not allowed; allowed: 'cn' or 'en'",
            id="a value",
        ),
    ],
)
def test_an_unknown_key_is_told_with_the_key_that_was_meant(faults: Faults, extra: str, line: str) -> None:
    assert faults(f"{MINIMAL}{extra}\n") == [line]


def test_a_name_with_a_line_break_stays_on_one_line(faults: Faults) -> None:
    """A key of the file must neither control a terminal nor forge a line of a log."""
    [line] = faults(MINIMAL + '"a\\nb\\e[31m": 1\n')
    assert line.startswith(r"job.yaml:5:1: 'a\nb\x1b[31m': unknown key")


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("1001", "a number"),
        ("010", "a number"),
        ("0x1F", "a number"),
        ("1.50", "a number"),
        ("1e3", None),
        (".inf", "a number"),
        ("12:30:00", "a number"),
        ("yes", "yes/no"),
        ("NO", "yes/no"),
        ("2024-01-31", "a date"),
        ("2024-01-31 10:00:00", "a date"),
        ("[a]", None),
    ],
)
def test_an_id_that_yaml_reads_as_something_else_must_be_quoted(
    load: Load, faults: Faults, written: str, kind: str | None
) -> None:
    text = "version: 1\nname: a\nimages:\n  - id: {}\n    url: https://h.example/a.jpg\n"
    if kind:
        [line] = faults(text.format(written))
        said = f'YAML reads {written} as {kind}; put it in quotes: "{written}"'
        assert line == f"job.yaml:4:5: images[0].id: {said}"
    elif written == "[a]":
        assert "a list: must be text" in faults(text.format(written))[0]
    assert load(text.format(f'"{written}"')).images[0].id == written


@pytest.mark.proofs
def test_thousands_of_faults_are_all_told_without_stalling(faults: Faults) -> None:
    """Once the JSON Schema was built anew for each unknown key: 9,000 took 105 s. The bound is ample."""
    began = time.process_time()
    letters = str.maketrans("0123456789", "abcdefghij")  # keys that differ in numbers alone would be told once
    keys = [f"  - {{{str(number).translate(letters)}z: x}}\n" for number in range(9000)]
    assert len(faults(f"version: 1\nname: a\nimages:\n{''.join(keys)}")) == 9000
    assert time.process_time() - began < 600 * million_steps_s()
