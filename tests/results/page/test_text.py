import pytest

from pipeline.results.page.text import moment, period, tidy


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Sac à main 手提包 مقعد", "Sac à main 手提包 مقعد"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("\u2066a\u2069\u200eb\u200fc", "abc"),
        ("a\x1b[31mb\x00c\x07", "a[31mbc"),
        ("a\r\n\tb\u2028c\x85d", "a b c d"),
        ("ze\u200bro \U000e0041tag", "zero tag"),
        ("\ud800half", "half"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        (None, ""),
        (17, "17"),
    ],
)
def test_text_is_one_line_without_control_characters(given: object, shown: str) -> None:
    assert tidy(given, 100) == shown


def test_a_long_text_is_cut_with_a_sign() -> None:
    assert tidy("x" * 1_000_000, 20) == "x" * 19 + "…"
    assert tidy("x" * 20, 20) == "x" * 20


def test_times_are_written_for_people() -> None:
    start = "2026-11-21T10:00:00.000Z"
    assert moment("2026-11-01T09:05:00+08:00") == "1 Nov 2026, 01:05 UTC"
    assert moment("soon\x1b") == "soon"
    assert period(start, "2026-11-21T10:04:00Z") == "21 Nov 2026, 10:00 to 10:04 UTC"
    assert period(start, "2026-11-22T10:04:00Z") == "21 Nov 2026, 10:00 UTC to 22 Nov 2026, 10:04 UTC"
