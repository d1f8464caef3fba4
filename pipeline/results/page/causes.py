"""Causes: the open items of a page, grouped by what is wrong with them and what is to be done."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.models import OPEN
from pipeline.results.page.text import tidy
from pipeline.results.reading import RecordView

_COMMAND = re.compile(r"`(pipeline [^`]+)`")
_UNNAMED = ("pipeline run", "pipeline work")  # of a job file that is not named there
_PLACE = re.compile(r"\b(line|row) [0-9]+\b|images\[[0-9]+\]")
_ORDER: Mapping[str, int] = {state.word: place for place, state in enumerate(OPEN)}


@dataclass(slots=True)
class _Cause:
    status: str
    code: str
    message: str  # of the first item; the same for the others but for names and values
    todo: str
    retryable: bool
    items: int = 0


class Causes:
    """The causes in the order in which they came; `confined` ones of a client's page say no sentence of ours."""

    def __init__(self, *, confined: bool = False) -> None:
        self._confined = confined
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._causes: list[_Cause] = []

    def number(self, record: RecordView) -> int:
        """Count an open item to its cause; return the number of that."""
        error = record.error
        assert error is not None
        todo = "" if self._confined else _of_many(record)
        key = (record.status, error.code, " ".join(_COMMAND.findall(todo)))
        number = self._numbers.setdefault(key, len(self._causes))
        if number == len(self._causes):
            message = "" if self._confined else tidy(error.message, 400)
            cause = _Cause(record.status, tidy(error.code, 40), message, tidy(todo, 600), error.retryable)
            self._causes.append(cause)
        self._causes[number].items += 1
        return number

    def all(self) -> list[list[Any]]:
        """List the causes by their numbers: status, code, message, what to do, a command to type, how many items."""
        return [
            [one.status, one.code, one.message, one.todo, _command(one.todo), one.items, _ORDER.get(one.status, 99)]
            for one in self._causes
        ]


def _of_many(record: RecordView) -> str:
    """Write what is to be done about an item as it is true of others, too: without its name and its place."""
    todo = record.todo or "`pipeline status` says what to do"
    for name, stands_for in ((record.item, "ID"), (record.image.source, "the file")):
        todo = re.sub(rf"(?<![\w.-])'?{re.escape(name)}'?(?![\w.-])", stands_for, todo) if name else todo
    return _PLACE.sub("its line", todo)


def _command(todo: str) -> str:
    """Return the first command that helps as it stands; "" where each item needs one of its own."""
    return next((one for one in _COMMAND.findall(todo) if " ID" not in one and one not in _UNNAMED), "")
