"""The division of an account's calls per second into slots, and of the slots among the workers that can use them."""

import math
from collections.abc import Sequence

MOST_SLOTS = 16
WAITS_S = 30.0  # the longest wait for a slot where there are more workers than slots, if turns of 5 s allow it
_REST_S = 1.2  # after the claim of the next worker


def slot_calls(qps: float) -> list[float]:
    """Return the calls per second of each slot: whole ones, as fractions of several could come together in one second.

    A slot never has more calls than the slot of that number has at a higher `qps`: where two jobs give different limits
    for one account, all slots together stay within the higher one.
    """
    if qps < 1:
        return [qps]
    whole = int(qps)
    slots = min(whole, MOST_SLOTS)
    return [float((whole + slots - 1 - slot) // slots) for slot in range(slots)]


def share_of(name: str, hungry: Sequence[str], slots: int) -> int:
    """Return how many slots are for one of the hungry workers, all of whom are named in order.

    All slots are shared out where there are enough of them; else everybody may have one, when its turn comes.
    """
    each, more = divmod(slots, len(hungry))
    return max(1, each + (hungry.index(name) < more))


def turn_s(hungry: int, slots: int, look_s: float) -> float:
    """Return the seconds after which a worker hands its slot on, where there are more workers than slots.

    Handing it on takes a look of the one and a look of the other, every `look_s`; a turn is never shorter than that.
    """
    before = math.ceil(hungry / slots) - 1  # turns of others that a worker waits for
    return max(2 * look_s, WAITS_S / before - 2 * look_s - _REST_S) if before else math.inf


def next_of(name: str, waiting: Sequence[str]) -> str | None:
    """Return who of those that wait comes after a worker, in the round of their names; None where nobody waits."""
    others = sorted(one for one in waiting if one != name)
    return next((one for one in others if one > name), others[0] if others else None)
