"""The causes for which items stayed open in a run, counted for whoever looks on."""

from dataclasses import dataclass, replace

from pipeline.models import Problem, State, Work


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause for which items of this run stayed open: a state and a code."""

    state: State
    code: str
    items: int  # that stayed open for it
    item: str  # the first of them
    message: str  # of that one


class Causes:
    """The causes of one run, in the order in which they came up."""

    def __init__(self) -> None:
        self._known: dict[tuple[State, str], Cause] = {}

    def add(self, state: State, work: Work, problem: Problem) -> None:
        """Count an item that stays open."""
        code = str(problem.code)
        known = self._known.get((state, code), Cause(state, code, 0, work.item.id, problem.message))
        self._known[state, code] = replace(known, items=known.items + 1)

    def listed(self) -> tuple[Cause, ...]:
        """Return all causes so far."""
        return tuple(self._known.values())
