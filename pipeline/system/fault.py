"""A fault that a person is to mend, in parts: what is wrong, where, and a line to type."""

import re
import shlex
from collections.abc import Iterable

from pipeline.system.wording import count

_PROGRAM = "pipeline"
_OF_THE_CASE = re.compile(r"'[^']*'|\"[^\"]*\"|[0-9][0-9.,]*")  # values, names and numbers


def typed(*words: object) -> str:
    """Write a command of this program as a person types it: `pipeline repair 'runs/my job'`."""
    return shlex.join([_PROGRAM, *map(str, words)])


def settings(overrides: Iterable[str]) -> list[str]:
    """Write what changes a job as the options of a command about it."""
    return [word for override in overrides for word in ("--set", override)]


class Fault(str):
    """One line about a fault, which keeps its parts for a screen that shows each on a line of its own.

    what    what is wrong, with the value
    where   the first place: a file with line and column, a row, a key
    fix     a line that can be typed: a command, or what to write at that place; "" where only a person can know
    times   how many faults are like this one

    As one line it names a command to type, too; what to write at the place is told on a screen alone.
    """

    __slots__ = ("fix", "times", "what", "where")

    what: str
    where: str
    fix: str
    times: int

    def __new__(cls, what: str, *, where: str = "", fix: str = "", times: int = 1) -> "Fault":
        """Join the parts to the line that logs, records and programs get."""
        many = f" ({times:,} like this)" if times > 1 else ""
        run = f"; run `{fix}`" if fix.startswith(f"{_PROGRAM} ") else ""
        line = super().__new__(cls, f"{where}: {what}{many}{run}" if where else f"{what}{many}{run}")
        line.what, line.where, line.fix, line.times = what, where, fix, times
        return line

    def shown(self) -> list[str]:
        """Write the parts for a screen, a line each."""
        more = f" (the first of {count(self.times, 'fault')} like this)" if self.times > 1 else ""
        lines = [f"error: {self.what}", f"  at: {self.where}{more}" if self.where else ""]
        return [*filter(None, lines), *([f"  fix: {self.fix}"] if self.fix else [])]

    def adding(self, more: str) -> "Fault":
        """Return the same fault with more said of what is wrong."""
        return Fault(f"{self.what}; {more}", where=self.where, fix=self.fix, times=self.times)

    def at(self, around: str) -> "Fault":
        """Return the same fault with its place told from further off: `job.yaml: p.csv:3`."""
        return Fault(self.what, where=f"{around}: {self.where}", fix=self.fix, times=self.times)


class Gathered:
    """Faults by what is wrong: of equal ones, whose values and places alone differ, the first and their number."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[Fault, int]] = {}

    def add(self, fault: Fault) -> None:
        """Take a fault in."""
        kind = _OF_THE_CASE.sub("", fault.what)
        first, times = self._kinds.get(kind, (fault, 0))
        self._kinds[kind] = first, times + fault.times

    def lines(self, most: int) -> list[str]:
        """Return at most so many kinds, and a line that says how many faults more there are."""
        kinds = [
            Fault(first.what, where=first.where, fix=first.fix, times=times) for first, times in self._kinds.values()
        ]
        more = sum(fault.times for fault in kinds[most:])
        return [*kinds[:most], *([f"... and {more:,} more"] if more else [])]
