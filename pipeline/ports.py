"""The protocols between the rooms: the vendor and the journal as the engine needs them, the meter of a call."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from pipeline.errors import RunPaused
from pipeline.models import (
    Admitted,
    Calls,
    Hits,
    Item,
    Kind,
    PictureChange,
    Problem,
    State,
    Task,
    Upload,
    Work,
)
from pipeline.reports import Awaited, PaidRecord, TaskNote
from pipeline.system.checksum import RecordLine

Asked = TypeVar("Asked", contravariant=True)
Got = TypeVar("Got", covariant=True)


class Meter(Protocol):
    """The meter of one item's calls, through which the journal keeps its intents and budgets."""

    async def before(self, kind: Kind, request_id: str) -> None:
        """Make the call durable before its first byte; raise to forbid it."""

    def sent(self, kind: Kind) -> None:
        """Count a call whose first byte is about to leave."""

    def not_executed(self, kind: Kind) -> None:
        """Take back what `before` noted: the vendor provably did nothing."""

    def refused(self) -> None:
        """Learn that the vendor refused what was sent last: it executed nothing and bills nothing."""

    def may_exist(self) -> None:
        """Keep the intent from now on, whatever becomes of later attempts: this one may have been executed."""


class Endpoint(Protocol[Asked, Got]):
    """An endpoint as far as the engine knows it; `endpoints.interface.Endpoint` says what is asked and answered."""

    @property
    def kind(self) -> Kind: ...
    def request(self, asked: Asked, /) -> Any: ...
    def read(self, answer: Any, /) -> Got: ...


class Vendor(Protocol):
    """The calls that cost money."""

    async def call(self, endpoint: Endpoint[Asked, Got], asked: Asked, meter: Meter) -> Got:
        """Ask an endpoint. Raises CallError by consequence, GivenUp, or Stopping when nothing was sent."""

    def stop(self, *kinds: Kind) -> None:
        """Send nothing more, of these kinds or at all."""

    @property
    def retries_left(self) -> bool:
        """Return whether calls that were given up for want of retries may be sent again."""


class WaitingItems(Protocol):
    """The items that wait to be worked on; each list is a batch, empty when there are no more."""

    async def take(self, state: State, *, after: int, generation: int, now: float) -> list[Work]:
        """Read items that wait in `state` beyond number `after`, in order; hits too old to be used are dropped."""

    async def take_these(self, ords: Sequence[int], *, now: float) -> list[Work]:
        """Read those of these items that wait, in this order; hits too old to be used are dropped."""

    async def take_doubtful(self, *, after: int, generation: int, now: float) -> list[Work]:
        """Read items in doubt beyond number `after` that may be created once more."""

    async def take_twins(self, *, after: int, generation: int) -> list[tuple[Work, int]]:
        """Read twins (items that show the same picture as an earlier one), each with the earlier one's number."""

    async def part(self, ord_: int, digest: str) -> bool:
        """Let a twin be worked on by itself: its file has the bytes of `digest` now, no longer the earlier item's.

        Return False, and let it wait on, where hits or a create of just these bytes are paid for the earlier item.
        """

    async def expiring(self, state: State, *, generation: int, now: float) -> list[int]:
        """List the numbers of waiting items with something paid that expires, the earliest first."""

    async def standing(self, ord_: int) -> tuple[str, State, bytes | None, Problem | None]:
        """Read the id, state, record line and problem of an item."""

    async def requeue(self, ords: Sequence[int]) -> int:
        """Let these failed items wait again; return how many still have their hits."""


class Steps(Protocol):
    """The steps of an item from waiting to an outcome. An awaited one is durable when it returns."""

    def uploaded(self, work: Work, upload: Upload, sha256: str) -> None:
        """Note the URL of an uploaded picture."""

    async def view_upload(self, sha256: str) -> Upload | None:
        """Read the upload of a picture that is a view of some item; None when there is none."""

    async def view_uploaded(self, sha256: str, upload: Upload) -> None:
        """Note the upload of such a picture."""

    def forget_views(self, digests: Sequence[str]) -> None:
        """Drop the uploads of these pictures, whose links expired."""

    def found(self, work: Work, hits: Hits) -> None:
        """Write hits down that a create will be made of: their search is paid."""

    async def found_page(self, work: Work, hits: Hits) -> None:
        """Write the hits of all pages of a search so far down, before the next one is paid for."""

    async def intend(self, work: Work, hits: Hits | None, *, request_id: str, at: float) -> None:
        """Make the intent of a create durable, with the hits that it is made of; a submit is made of none."""

    def put_back(self, work: Work, hits: Hits | None) -> None:
        """Let an item wait where it stands, with its hits: the run is ending."""

    def take_back(self, work: Work, request_id: str) -> None:
        """Take the intent of a create back that was provably not executed; never raises."""

    def forget(self, work: Work) -> None:
        """Drop an item's upload and hits, which expired while it was worked on."""

    async def lay_by(self, work: Work, line: bytes | RecordLine) -> None:
        """Make the record of a created task durable that is to be settled later, perhaps with more in it."""

    async def settle(self, work: Work, state: State, line: bytes | RecordLine, task: Task | None) -> None:
        """Write an item's record."""

    async def await_report(self, work: Work, task: Task, note: TaskNote) -> None:
        """Make the task of an item durable whose report is awaited; its hits stay."""

    def count_calls(self, spent: Sequence[tuple[int, Calls]]) -> None:
        """Note the calls that were spent on items, which stay as they are."""

    async def leave_open(self, work: Work, state: State, problem: Problem, hits: Hits | None) -> None:
        """Note why an item is open; hits that are paid stay with it."""


class Reports(Protocol):
    """The items whose reports may still come."""

    async def awaited(self, *, after: int) -> list[Awaited]:
        """Read some of them beyond number `after`, in order; [] when there are no more."""

    async def whole(self, ord_: int) -> tuple[Work, TaskNote, bool]:
        """Read an item with its hits, what was asked of its task, and whether the hits are lost."""

    async def record(self, ord_: int) -> PaidRecord | None:
        """Read the record that an item has in the run whose reports are collected; None in a run itself."""


class Budget(Protocol):
    """The paid calls, counted over the run directory's life."""

    async def reserve(self, kind: Kind, count: int = 1) -> None:
        """Make calls count against their budget, durably. Raises RunPaused when it has too few; none counts then."""

    def left(self, kind: Kind) -> int | None:
        """Return how many more calls may count against its budget; None without a limit."""

    @property
    def prices(self) -> Mapping[Kind, Decimal]:
        """The price of each kind of call; empty where no cap of money asks for it."""

    def money_left(self) -> Decimal:
        """Return how much more may be spent; only where `prices` are asked for."""

    def used_up(self, lacking: str) -> RunPaused:
        """Make the error of a budget that is used up: that of a kind of call, or MONEY."""

    def affords(self, kind: Kind, *, promised: Decimal) -> int | None:
        """Return how many more calls their own cap and that of money allow beside a `promised` amount; None = any."""

    async def secure(self, lacking: str, promised: Mapping[Kind, int], *, force: bool) -> bool:
        """Draw what lacks of a budget that several machines share, for calls that are promised or are about to be.

        Without `force` nothing is drawn by which this machine would hold too much that it does not use: if it dies,
        that is lost. Return whether anything was drawn.
        """

    def release(self, kind: Kind, count: int = 1) -> None:
        """Give back reserved calls that were not sent."""

    def refund(self, kind: Kind, count: int = 1) -> None:
        """Give back what was sent and is not billed."""

    def sent(self, kind: Kind, count: int = 1) -> None:
        """Count calls that are about to leave. Raises JournalError once writing has failed."""


class Ledger(Protocol):
    """The durable state of a run, by who uses it: the order of items, the engine, the meter, the reports."""

    @property
    def waiting(self) -> WaitingItems: ...
    @property
    def steps(self) -> Steps: ...
    @property
    def budget(self) -> Budget: ...
    @property
    def reports(self) -> Reports: ...


class Admissions(Protocol):
    """The part of the durable state that takes items in."""

    async def admit(self, batch: Sequence[Item], *, generation: int, accept_changes: bool) -> Admitted:
        """Enter a batch of items."""

    async def admit_whole(
        self, batches: Iterable[Sequence[Item]], *, generation: int, fingerprint: str, accept_changes: bool
    ) -> Sequence[PictureChange]:
        """Enter all items at once, or none of them; return the known ids that are listed with another picture."""

    async def close_admission(self, generation: int, fingerprint: str) -> None:
        """Note that every item of the job is in."""
