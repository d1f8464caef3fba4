"""Processes told apart by their start: a number that is given out again is another process."""

import os
import sys

import pytest

from pipeline.system.processes import is_gone, start_of

NOBODY = 2**22 + 1  # beyond the largest number that Linux gives out


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells when a process started")
def test_a_start_is_known_and_stays_the_same() -> None:
    assert start_of(os.getpid()) == start_of(os.getpid()) != ""
    assert start_of(os.getpid()) != start_of(1)
    assert start_of(NOBODY) == ""


def test_a_process_is_gone_when_nobody_has_its_number_or_another_one_does() -> None:
    assert not is_gone(os.getpid(), start_of(os.getpid()))
    assert not is_gone(os.getpid(), "")  # noted by a version that knew no start
    assert is_gone(os.getpid(), "another-boot:1")
    assert is_gone(NOBODY, "")
