"""Counts of the calls that this process sent, and of what the vendor billed for them."""

import re
from dataclasses import dataclass, field

from pipeline.models import Kind

_AMOUNT = re.compile(r"[0-9]{0,12}\.?[0-9]{0,6}")


@dataclass(slots=True)
class Stats:
    """Calls of this process.

    sent      attempts per kind of which a byte may have left
    too_fast  attempts per kind that the vendor refused for speed
    retried   attempts that followed a failed one of the same call
    units     the units that the vendor says it billed
    """

    sent: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    too_fast: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    retried: int = 0
    units: float = 0.0


def units(amount: str) -> float:
    """Read the units in a header; nonsense counts as none, because a paid answer must not be lost to it."""
    return float(amount) if _AMOUNT.fullmatch(amount) and amount.strip(".") else 0.0
