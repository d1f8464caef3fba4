"""The cost of items: the calls that each still needs, and how many of them the budgets allow.

The run asks this before it begins an item, `plan` and the question before paying ask it before there is a run. Here is
also decided what becomes of an item whose picture was replaced: other bytes lie under its name than were sent for it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from pipeline.errors import MONEY, Code, ItemRefused
from pipeline.models import EXPIRY_MARGIN_S, UPLOAD_LIFE_S, Hits, Kind, Work
from pipeline.system.clock import from_the_future


def one_page(hits: Hits | None) -> int:
    """Count the pages left of a search that has one."""
    return int(hits is None)


class Paid(NamedTuple):
    """The things that are paid for an item and can still be used.

    local     whether its picture is a file here, which must be uploaded
    uploaded  whether an upload of it lives
    searched  whether its hits are here
    doubtful  whether a create of it may exist
    changed   whether its file has other bytes by now than those that were sent
    uploads   pictures of it that are not uploaded, when there is no upload of them all
    pages     pages of its search that are still to be asked for beside a first one, at most
    free      whether what another run paid for settles it
    tasked    whether a task of another run stands for one of its own
    """

    local: bool
    uploaded: bool
    searched: bool
    doubtful: bool = False
    changed: bool = False
    pages: int = 0
    uploads: int = 1
    free: bool = False
    tasked: bool = False

    @property
    def asks_file(self) -> bool:
        """True where it matters whether the file changed.

        Paid hits, or a create that may exist, go on to a task of the picture that was sent while its upload lives.
        When that has ended, only a file with the same bytes can be uploaded for it. A live upload with nothing paid
        behind it is used for as long as the file is what was uploaded.
        """
        return self.local and self.uploaded is not (self.searched or self.doubtful)

    @property
    def is_refused(self) -> bool:
        """True where hits, or a create, of one picture would be paid on with another one: that is never sent."""
        return self.changed and self.asks_file and not self.uploaded

    @property
    def has_link(self) -> bool:
        """True where the upload is used once more."""
        return self.uploaded and not (self.changed and self.asks_file)


def paid_for(work: Work, *, now: float, pages: Callable[[Hits | None], int] = one_page) -> Paid:
    """Return what is paid for an item that is worked on; `pages` says how many are left to ask for after some hits."""
    uploaded = work.upload is not None and upload_lasts(work.upload.expires_at, now=now)
    if work.anew:
        return Paid(work.item.local, uploaded=False, searched=False, pages=pages(None) - 1, uploads=work.uploads)
    searched = work.hits is not None
    more = pages(work.hits) - (not searched)
    more_paid = (work.changed, more, work.uploads, work.free, work.reused is not None)
    return Paid(work.item.local, uploaded, searched, work.doubt is not None, *more_paid)


def calls_for(paid: Paid, *, tasks: bool, reports: bool = False) -> tuple[Kind, ...]:
    """List the calls that an item needs when each goes well and something is found.

    `tasks` says whether the job creates tasks, `reports` whether it waits for their reports: a question each, at least.
    """
    if paid.is_refused or paid.free:
        return ()
    question = (Kind.QUERY,) if reports else ()
    if paid.tasked:
        return question
    search = (Kind.SEARCH,) * (paid.pages + (not paid.searched))
    create = (Kind.CREATE, *question) if tasks else ()
    upload = (Kind.UPLOAD,) * paid.uploads if paid.local and not paid.has_link and (search or create) else ()
    return (*upload, *search, *create)


def upload_lasts(expires_at: float, *, now: float) -> bool:
    """Return whether an uploaded picture can still be used."""
    return expires_at - EXPIRY_MARGIN_S >= now and not from_the_future(expires_at - UPLOAD_LIFE_S, now=now)


def refuse_changed(work: Work) -> ItemRefused:
    """Make the error of an item whose picture was replaced while its hits, or a create of it, are paid."""
    return ItemRefused(
        f"{work.item.source} changed since it was searched: what is paid is of the picture it was (SHA-256 "
        f"{work.sha256}), and that one is not here to be uploaded for a task; nothing was sent",
        code=Code.CHANGED,
        sent=False,
    )


class Purse(Protocol):
    """The money that the calls of all kinds share."""

    @property
    def prices(self) -> Mapping[Kind, Decimal]:
        """The price of each kind of call; empty where there is no cap."""

    def money_left(self) -> Decimal:
        """Return how much more may be spent; only where there are prices."""


class Allowance:
    """The calls that the budgets still allow: an item takes all that it needs, or none.

    `left` says how many calls of a kind its budget still has; None is no limit. `purse` holds the money for all of
    them; None is no limit. `taken` are those of them that are given to somebody.
    """

    def __init__(self, left: Callable[[Kind], int | None], purse: Purse | None = None) -> None:
        self.taken: Counter[Kind] = Counter()
        self._left = left
        self._purse = purse

    def lacks(self, calls: Sequence[Kind]) -> str | None:
        """Return the first kind of which too few are left for an item that needs these calls; None when it fits.

        MONEY when they cost more than is left of it; what costs nothing is not held up by it.
        """
        for kind in calls:
            left = self._left(kind)
            if left is not None and left - self.taken[kind] < calls.count(kind):
                return kind
        if self._purse is None or not (prices := self._purse.prices):
            return None
        needed = sum(prices.get(kind, 0) for kind in calls)
        taken = sum(prices.get(kind, 0) * count for kind, count in self.taken.items() if count)
        return MONEY if needed and needed + taken > self._purse.money_left() else None

    def take(self, calls: Sequence[Kind]) -> None:
        """Take these calls."""
        for kind in calls:  # `Counter.update` takes five times as long, and there may be a million items
            self.taken[kind] += 1

    def give_back(self, calls: Sequence[Kind]) -> None:
        """Give these calls back."""
        for kind in calls:
            self.taken[kind] -= 1
