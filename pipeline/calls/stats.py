"""Counts of the calls that this process sent, and of what the vendor billed for them."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.calls.tally import Tally
from pipeline.models import Kind

AMOUNT = "x-openapi-amount"  # the header of what an answer was billed
_NUMBER = re.compile(r"[0-9]{0,12}\.?[0-9]{0,6}")


@dataclass(slots=True)
class Stats:
    """Calls of this process.

    sent      attempts per kind of which a byte may have left
    too_fast  attempts per kind that the vendor refused for speed
    retried   attempts that followed a failed one of the same call
    of_others answers that were to another question
    units     the units that the vendor says it billed
    answers   searches and creates that were granted
    said      of them, those that said how many units were billed
    tally     attempts by hour and path, apart from those for tokens
    on_sent   told the kind of each attempt as it is sent, and the time of its permit; None where nobody asks
    """

    sent: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    too_fast: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    retried: int = 0
    of_others: int = 0
    units: float = 0.0
    answers: int = 0
    said: int = 0
    tally: Tally = field(default_factory=Tally)
    on_sent: Callable[[Kind, float], None] | None = None

    def granted(self, kind: Kind, headers: Mapping[str, str]) -> None:
        """Count a granted call, and whether its answer says what was billed: absent is not said, and not zero."""
        if kind in (Kind.SEARCH, Kind.CREATE):
            self.answers += 1
            self.said += AMOUNT in headers


def units(amount: str) -> float:
    """Read the units in a header; nonsense counts as none, because a paid answer must not be lost to it."""
    return float(amount) if _NUMBER.fullmatch(amount) and amount.strip(".") else 0.0
