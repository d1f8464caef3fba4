"""Locarno expressions: what they cover, and texts that are none."""

import pytest

from pipeline.endpoints.locarno import LocarnoError, parse_locarno

CODES = ("01-01", "01-02", "03-01", "06-01", "06-03", "14-03")


@pytest.mark.parametrize(
    ("text", "matching"),
    [
        ("06-01", ["06-01"]),
        ("14", ["14-03"]),
        ("06", ["06-01", "06-03"]),
        ("01-01 OR 14", ["01-01", "14-03"]),
        ("06 AND 06-03", ["06-03"]),
        ("06 AND 14", []),
        ("NOT 06", ["01-01", "01-02", "03-01", "14-03"]),
        ("06 NOT 06-03", ["06-01"]),
        ("06 AND NOT 06-03", ["06-01"]),
        ("(01-01 OR 01-02) NOT 03-01", ["01-01", "01-02"]),
        ("(01 OR 06) NOT (01-02 OR 06-03)", ["01-01", "06-01"]),
        ("NOT (01 OR 06)", ["03-01", "14-03"]),
        ("NOT NOT 14", ["14-03"]),
        ("  ( 14-03 )  ", ["14-03"]),
        ("06 AND NOT 06-03 OR 14", ["06-01", "14-03"]),
    ],
)
def test_an_expression_matches_what_it_says(text: str, matching: list[str]) -> None:
    assert [code for code in CODES if parse_locarno(text).matches(code)] == matching


def test_and_binds_tighter_than_or() -> None:
    assert parse_locarno("14 OR 06 AND 06-03").matches("14-03")
    assert not parse_locarno("(14 OR 06) AND 06-03").matches("14-03")


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "AND", "06 AND", "OR 06", "NOT", "06 06", "06 AND OR 14", "06 AND NOT", "(06", "06)", "()"),
        *("AND 07-01", "07-01 OR", "07-0106-01", ")07-01("),
        *(
            "06 (14)",
            "6-1",
            "060",
            "06-013",
            "06-1",
            "chairs",
            "14OR06",
            "06;14",
            "06 or 14",
            "06\N{EN DASH}01",
            "\uff10\uff16",
        ),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(LocarnoError):
        parse_locarno(text)


def test_the_error_says_where() -> None:
    with pytest.raises(LocarnoError, match="'14' is not expected at character 4"):
        parse_locarno("06 14")


def test_no_nesting_is_too_deep() -> None:
    assert parse_locarno("(" * 20_000 + "06" + ")" * 20_000).matches("06-01")
    assert parse_locarno("NOT " * 20_000 + "06").matches("06-01")
