"""The records of a run directory that an export is about: of one client or all, by status, by score."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.errors import JournalError, SpecError
from pipeline.results.exports.rows import Ranked, best_hits
from pipeline.results.reading import RecordView
from pipeline.results.survey import Part, Survey, survey
from pipeline.system.fault import Fault, typed
from pipeline.system.wording import count

_CLIENTS_KNOWN = 1000  # names that are remembered, to say which ones there are


class Wanted(NamedTuple):
    """The choice of a person."""

    client: str | None = None  # None = of all clients
    client_label: str = "client"  # the label that names it
    statuses: frozenset[str] = frozenset()  # none = all
    least: float | None = None  # no hit below that score, and no product without a hit at it
    top: int | None = None  # at most so many hits of a product, the most alike; None = all


@dataclass(slots=True)
class Selection:
    """The records that are wanted. Not frozen: looking through the files counts them.

    counts  all records of the client, or of all, by status; also those that status and score leave out
    labels  the names of their labels
    named   of the ids that were to be looked for, those that are among them
    """

    wanted: Wanted
    look_for: frozenset[str] = frozenset()
    named: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    labels: dict[str, None] = field(default_factory=dict)
    settled: Survey = field(default_factory=Survey)
    open_: Survey = field(default_factory=Survey)
    _clients: dict[str, None] = field(default_factory=dict)

    def takes(self, record: RecordView) -> bool:
        """Return whether a record is the client's, and count it."""
        if self.wanted.client is not None:
            client = record.image.labels.get(self.wanted.client_label, "")
            if client != self.wanted.client:
                if len(self._clients) < _CLIENTS_KNOWN and client:
                    self._clients[client] = None
                return False
        self.counts[record.status] += 1
        if record.item in self.look_for:
            self.named.add(record.item)
        self.labels.update(dict.fromkeys(record.image.labels))
        return True

    def records(self, *, top: int | None) -> Iterator[tuple[RecordView, list[Ranked]]]:
        """Read the records, each with at most `top` of its best hits; the most alike first, then those that are open.

        One record is in memory at a time.
        """
        for found in (self.settled.by_score(), self.open_.in_order()):
            for record in found:
                if self.wanted.statuses and record.status not in self.wanted.statuses:
                    continue
                hits = best_hits(record, top, least=self.wanted.least)
                if hits or self.wanted.least is None:
                    yield record, hits

    def require_client(self) -> None:
        """Raise SpecError if nothing in the run belongs to the client."""
        if self.wanted.client is None or self.counts:
            return
        label = self.wanted.client_label
        what = f"no product has the label {label}: {self.wanted.client}"
        if not self._clients:
            raise SpecError(Fault(f"{what}, or any {label} at all", where=f"--client {self.wanted.client}"))
        near = difflib.get_close_matches(self.wanted.client, self._clients, n=1, cutoff=0.0)
        fix = typed("--client", near[0]).removeprefix("pipeline ")
        raise SpecError(Fault(what, where=f"--client {self.wanted.client}", fix=fix))


def select(
    wanted: Wanted, settled: Sequence[Part], open_: Sequence[Part], *, look_for: Iterable[str] = ()
) -> Selection:
    """Look through the records of a run once, those of all its settled and open files in their order.

    Raises JournalError for a line that is no record, SpecError where the client has none.
    """
    found = Selection(wanted, frozenset(look_for))
    found.settled = survey(*settled, only=found.takes)
    found.open_ = survey(*open_, only=found.takes)
    if unreadable := found.settled.unreadable + found.open_.unreadable:
        results = settled[0].path
        what = f"{count(unreadable, 'line is', 'lines are')} no record; a look at all lines says more"
        raise JournalError(Fault(what, where=str(results), fix=typed("status", results.parent, "--verify")))
    found.require_client()
    return found
