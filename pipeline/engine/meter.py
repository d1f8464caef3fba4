"""The meter of one item's calls: each is counted, and made durable before its first byte (ports.Meter)."""

from pipeline.engine.parts import Ports
from pipeline.engine.promises import Promises
from pipeline.errors import Code, ItemRefused
from pipeline.models import EXPIRY_MARGIN_S, HITS_LIFE_S, Kind, Work
from pipeline.system.clock import Age, Clocks


class ItemMeter:
    """The meter of one item.

    stage      of the item: read | upload | search | create
    has_sent   True once any call was sent
    sent_at    when the last call was sent (epoch seconds); None before that
    request_id of the last attempt; None before there was one
    """

    def __init__(self, work: Work, ports: Ports, promises: Promises | None = None) -> None:
        self.stage = "read"
        self.has_sent = False
        self.sent_at: float | None = None
        self._work = work
        self._steps = ports.ledger.steps
        self._budget = ports.ledger.budget
        self._promises = promises or Promises(
            self._budget, tasks=ports.spec.task.enabled, pages=ports.spec.search.pages_left
        )
        self._clocks = Clocks(ports.now, ports.steady)
        self._links: list[Age] = []
        self._intended = False
        self._reserved = False
        self._has_left = False
        self._may_exist = False
        self.request_id: str | None = None

    def depends_on_links_from(self, at: float) -> None:
        """Refuse further calls of this item once links from an answer at `at` are within 15 minutes of their end."""
        self._links.append(Age(at, self._clocks))

    def forget_links(self) -> None:
        """Let further calls depend on no links: they are asked for again."""
        self._links.clear()

    async def before(self, kind: Kind, request_id: str) -> None:
        """Reserve the call; for a create also make the intent durable.

        Raises ItemRefused on expired links, RunPaused when the budget has no more for this item.
        """
        self.request_id = request_id
        self._refuse_expired(kind)
        if self._promises.claim(self._work.ord, kind) is not None:
            lacking = await self._promises.claim_shared(self._work.ord, kind)
            if lacking is not None:
                raise self._budget.used_up(lacking)
        await self._budget.reserve(kind)
        self._promises.counted(self._work.ord, kind)
        self._reserved = True
        self._has_left = False
        if kind is Kind.CREATE:
            self._intended = True  # already now: if we are cancelled while we wait, the intent still reaches the disk
            await self._steps.intend(self._work, self._work.hits, request_id=request_id, at=self._clocks.wall())

    def sent(self, kind: Kind) -> None:
        """Count the call: from here on it may be paid. Raises ItemRefused as `before` does, or JournalError."""
        self._refuse_expired(kind)  # the machine may have slept between the intent and the permit
        self._budget.sent(kind)
        self.has_sent = self._has_left = True
        self.sent_at = self._clocks.wall()
        self._reserved = False
        self._work.calls.add(kind)

    def not_executed(self, kind: Kind) -> None:
        """Take the intent back, unless an earlier attempt may exist, and the reservation too if nothing was sent."""
        if self._reserved:
            self._budget.release(kind)
            self._promises.not_counted(self._work.ord, kind)
            self._reserved = False
        self._take_back()

    def journal_failed(self) -> None:
        """Take the intent back of a create of which no byte has left: it must not be in doubt for ever."""
        if not self._has_left:
            self._take_back()

    def refused(self) -> None:
        """Do nothing: every call that was sent counts."""

    def may_exist(self) -> None:
        """Keep the intent from now on: a kill must find the item in doubt, though its create is sent again."""
        self._may_exist = True

    def _take_back(self) -> None:
        if self._intended and not self._may_exist:
            assert self.request_id is not None
            self._steps.take_back(self._work, self.request_id)
            self._intended = False

    def _refuse_expired(self, kind: Kind) -> None:
        for age in self._links:
            if kind is not Kind.UPLOAD and age.seconds > HITS_LIFE_S - EXPIRY_MARGIN_S:
                raise ItemRefused(
                    "the vendor's links expired before they were used",
                    code=Code.EXPIRED,
                    sent=False,
                    request_id=self.request_id,
                )
