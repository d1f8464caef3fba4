"""The settings of a run's interpreter: applied while it goes on, and as they were afterwards."""

import gc
import sys
from collections.abc import Iterator

import pytest

from pipeline.system.interpreter import tuned


@pytest.fixture
def thawed() -> Iterator[None]:
    """Begin with nothing frozen, as a program does; what the session froze is frozen again in the end."""
    gc.unfreeze()
    yield
    gc.freeze()


def settings() -> tuple[float, tuple[int, int, int]]:
    return sys.getswitchinterval(), gc.get_threshold()


@pytest.mark.usefixtures("thawed")
def test_a_run_that_ends_leaves_the_interpreter_as_it_was() -> None:
    before = settings()
    with tuned():
        assert settings() != before
        assert gc.get_freeze_count() > 0
    assert (settings(), gc.get_freeze_count()) == (before, 0)


@pytest.mark.usefixtures("thawed")
def test_what_the_program_around_a_run_froze_stays_frozen() -> None:
    gc.freeze()
    before = gc.get_freeze_count()
    with tuned():
        pass
    assert gc.get_freeze_count() == before
