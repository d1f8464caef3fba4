"""What a process has asked of the vendor, and what that was billed."""

import re
from dataclasses import dataclass, field

from pipeline.models import Kind

_AMOUNT = re.compile(r"[0-9]{0,12}\.?[0-9]{0,6}")


@dataclass(slots=True)
class Stats:
    """What this process has asked for; `units` is what the vendor says it billed."""

    sent: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    too_fast: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))
    retried: int = 0
    units: float = 0.0


def units(amount: str) -> float:
    """The units in a header; nonsense counts as none: a paid answer must not be lost to it."""
    return float(amount) if _AMOUNT.fullmatch(amount) and amount.strip(".") else 0.0
