"""Rules for single values, tested directly where a job file does not show them."""

import pytest

from pipeline.job.checks import check_qps, is_loopback


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_qps_that_is_no_number_is_refused_wherever_it_comes_from(value: float) -> None:
    with pytest.raises(ValueError, match="whole calls a second"):
        check_qps(value)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1", True),
        ("http://127.9.9.9:80", True),
        ("http://localhost:80/x", True),
        ("http://[::1]:80", True),
        ("https://connect.patsnap.com", False),
        ("http://127.0.0.1.h.example", False),
        ("http://localhost.h.example", False),
        ("http://h.example/127.0.0.1", False),
        ("http://h.example#127.0.0.1", False),
        ("http://0.0.0.0", False),
        ("http://[::ffff:127.0.0.1]", False),
        ("http://10.0.0.1", False),
        ("sandbox", False),
    ],
)
def test_only_this_machines_own_addresses_are_loopback(url: str, here: bool) -> None:
    assert is_loopback(url) is here
