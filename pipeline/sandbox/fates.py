"""The fate of each task's report: when it is done, how it looks, and what can go wrong with it.

The text form, as on the command line: `failed=0.02,never=0.01,scores=fraction`. A number is the share of tasks that

    never      are still running whenever they are asked about
    failed     fail: task_status 3
    forgotten  are unknown from the first question on: 68300004
    no_status  name no task_status, neither running nor done
    silent     name no task_status and never have comparisons
    empty      are done with an empty list of comparisons
    null       are done with null instead of a list
    lost_hits  are done with comparisons, and with no hits beside their number (the newer pair alone has hits)

and a word chooses one shape where the contract leaves several open: `running=` plain (task_status 1 and an empty list),
bare (task_status alone), null (a null list) or data (`"data":{}`); `scores=` per_cent (80) or fraction (0.8). Without
it each task has one of them, always the same one. `drawing=large` makes the line drawings of the newer pair so large
that an answer has more than 4 MB.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from pipeline.sandbox.faults import read_share

FATES = ("never", "failed", "forgotten", "no_status", "silent", "empty", "null", "lost_hits")
RUNNING = ("plain", "bare", "null", "data")
SCORES = ("per_cent", "fraction")
DRAWINGS = ("small", "large")
_WORDS = {"running": RUNNING, "scores": SCORES, "drawing": DRAWINGS}


class Fate(NamedTuple):
    """The fate of one task.

    kind: one of `FATES`; "" for a task that is done as it should be
    running: one of `RUNNING`
    scores: one of `SCORES`
    drawing: one of `DRAWINGS`
    share: a number from 0 to 1 that decides when its report is done, between the earliest and the latest
    """

    kind: str
    running: str
    scores: str
    drawing: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPlan:
    """The fates of all tasks; `rates` are pairs of a fate and its share of the tasks."""

    rates: tuple[tuple[str, float], ...] = ()
    running: str | None = None
    scores: str | None = None
    drawing: str = "small"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form. Raises ValueError with one line about the first mistake."""
        words: dict[str, str] = {}
        rates: list[tuple[str, float]] = []
        for entry in filter(None, map(str.strip, text.split(","))):
            name, _, value = entry.partition("=")
            if name in _WORDS:
                words[name] = _word(name, value)
            elif name in FATES:
                rates.append((name, read_share(value, f"{entry}: a share of the tasks, from 0 to 1")))
            else:
                raise ValueError(f"unknown fate {name!r} of a report; known: {', '.join((*FATES, *_WORDS))}")
        if sum(rate for _, rate in rates) > 1:
            raise ValueError("reports: the shares add up to more than 1")
        return cls(
            rates=tuple(rates),
            running=words.get("running"),
            scores=words.get("scores"),
            drawing=words.get("drawing", DRAWINGS[0]),
        )

    def of(self, task_id: str) -> Fate:
        """Return the fate of a task, the same one whenever it is asked about."""
        draws = hashlib.sha256(task_id.encode()).digest()
        return Fate(
            self._kind(_share(draws[:8])),
            self.running or _pick(RUNNING, draws[8]),
            self.scores or _pick(SCORES, draws[9]),
            self.drawing,
            _share(draws[16:24]),
        )

    def _kind(self, draw: float) -> str:
        for kind, rate in self.rates:
            if draw < rate:
                return kind
            draw -= rate
        return ""


def _share(draw: bytes) -> float:
    return int.from_bytes(draw, "big") / 2**64


def _pick(choices: Sequence[str], draw: int) -> str:
    return choices[draw % len(choices)]


def _word(name: str, value: str) -> str:
    if value not in _WORDS[name]:
        raise ValueError(f"{name}={value}: one of {', '.join(_WORDS[name])}")
    return value
