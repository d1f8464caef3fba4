"""The settings of a run's interpreter: applied while it goes on, and as they were afterwards."""

import gc
import sys
from collections.abc import Iterator

import pytest

from pipeline.system.interpreter import tuned


@pytest.fixture
def frozen() -> Iterator[list[None]]:
    """Freeze all objects, as a program around a run may do, and return one of them."""
    one: list[None] = []
    gc.freeze()
    yield one
    gc.unfreeze()


def settings() -> tuple[float, tuple[int, int, int]]:
    return sys.getswitchinterval(), gc.get_threshold()


def test_a_run_that_ends_leaves_the_interpreter_as_it_was() -> None:
    before = settings()
    with tuned():
        assert settings() != before
        assert gc.get_freeze_count() > 0
    assert (settings(), gc.get_freeze_count()) == (before, 0)


def test_what_the_program_around_a_run_froze_stays_frozen(frozen: list[None]) -> None:
    with tuned():
        pass
    assert not any(found is frozen for found in gc.get_objects())  # which lists what the collector visits
