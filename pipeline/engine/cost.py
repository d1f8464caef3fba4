"""The cost of items: the calls that each still needs, and how many of them the budgets allow.

The run asks this before it begins an item, `plan` and the question before paying ask it before there is a run.
"""

from collections import Counter
from collections.abc import Callable, Sequence

from pipeline.models import EXPIRY_MARGIN_S, UPLOAD_LIFE_S, Kind
from pipeline.system.clock import from_the_future


def calls_for(*, local: bool, uploaded: bool, searched: bool, tasks: bool) -> tuple[Kind, ...]:
    """List the calls that an item needs when each goes well and something is found.

    `uploaded` and `searched` say what of it is paid and can still be used, `tasks` whether the job creates tasks.
    """
    search = () if searched else (Kind.SEARCH,)
    create = (Kind.CREATE,) if tasks else ()
    upload = (Kind.UPLOAD,) if local and not uploaded and (search or create) else ()
    return (*upload, *search, *create)


def upload_lasts(expires_at: float, *, now: float) -> bool:
    """Return whether an uploaded picture can still be used."""
    return expires_at - EXPIRY_MARGIN_S >= now and not from_the_future(expires_at - UPLOAD_LIFE_S, now=now)


class Allowance:
    """The calls that the budgets still allow: an item takes all that it needs, or none.

    `left` says how many calls of a kind its budget still has; None is no limit. `taken` are those of them that are
    given to somebody.
    """

    def __init__(self, left: Callable[[Kind], int | None]) -> None:
        self.taken: Counter[Kind] = Counter()
        self._left = left

    def lacks(self, calls: Sequence[Kind]) -> Kind | None:
        """Return the first kind of which too few are left for an item that needs these calls; None when it fits."""
        for kind in calls:
            left = self._left(kind)
            if left is not None and left - self.taken[kind] < 1:
                return kind
        return None

    def take(self, calls: Sequence[Kind]) -> None:
        """Take these calls."""
        self.taken.update(calls)

    def give_back(self, calls: Sequence[Kind]) -> None:
        """Give these calls back."""
        self.taken.subtract(calls)
