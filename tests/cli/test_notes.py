"""What is logged while no run log is written: a note of each kind, in words, and the number of the others."""

import logging

import pytest

from pipeline.cli.notes import noting

LOG = logging.getLogger("pipeline.somewhere")


def test_a_note_is_shown_once_in_its_words_and_others_like_it_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with noting():
        for number in (1, 1, 2, 3):
            LOG.error("thing.lost line %s is lost", number)
        LOG.warning("disk.full no room")
        LOG.info("item.done nobody needs to know")
        logging.getLogger("elsewhere").warning("not.ours of a library")
    assert capsys.readouterr().err.splitlines() == ["note: line 1 is lost", "note: no room", "note: 2 more like these"]


def test_nothing_is_shown_after_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with noting():
        pass
    assert not any(type(handler).__module__ == "pipeline.cli.notes" for handler in logging.getLogger().handlers)
    assert capsys.readouterr().err == ""
