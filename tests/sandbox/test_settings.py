"""Settings: no secret is shown, and what makes no sense is refused."""

import pytest

from tests.support.fixtures import Settings


def test_settings_show_no_secret(settings: Settings) -> None:
    assert "sandbox-secret" not in repr(settings())
    assert "sandbox-key" not in repr(settings())


@pytest.mark.parametrize(
    "wrong",
    [
        {"latency_s": -1},
        {"latency_s": (2, 1)},
        {"qps": 0},
        {"qps": 2e6},
        {"daily_limit": -1},
        {"token_lifetime_s": 0},
        {"report_after_s": (5, 1)},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict, settings: Settings) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        settings(**wrong)


def test_an_unknown_endpoint_cannot_be_denied(settings: Settings) -> None:
    with pytest.raises(ValueError, match="unknown endpoint 'P062'; known: AI39-1, "):
        settings(denied=frozenset({"P062"}))
