"""The outcomes of one item: `match` on them and end with assert_never."""

from dataclasses import dataclass

import msgspec

from pipeline.models import Choice, Hits, Problem, Task


class Tasked(msgspec.Struct, frozen=True):
    """A created task, and the hits it was made of."""

    hits: Hits
    choice: Choice
    task: Task


@dataclass(frozen=True, slots=True)
class NoHits:
    """A search that found nothing at or above the asked score, within the filters."""

    hits: Hits


@dataclass(frozen=True, slots=True)
class SearchOnly:
    """A search alone: tasks are disabled in the job."""

    hits: Hits


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure; hits that are paid stay in the spool."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A create that was sent and may have been executed."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Expired:
    """Links that expired before the task could be created, also those of a second search."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class PutBack:
    """An item that goes on waiting because the run is ending, with the hits that are paid; None without any."""

    hits: Hits | None


Settled = Tasked | NoHits | SearchOnly
Outcome = Settled | Failed | Expired | Doubtful | PutBack
