"""Scores as whole numbers, so that no page and no export ever shows one as higher than it is."""

import math

_OF_1 = 10_000
_SLACK = 1e-6  # 0.57 x 10,000 is 5,699.999999999999 in binary


def ten_thousandths(score: float | None) -> int:
    """Return a score from 0 to 1 in ten thousandths, rounded down; -1 without one."""
    if score is None or not math.isfinite(score):
        return -1
    return max(0, math.floor(score * _OF_1 + _SLACK))
