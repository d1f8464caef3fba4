"""Pictures that changed since they were searched: found by their bytes, and told with what to do about each.

`plan`, `status`, the summary and the page ask here; what a run does about them is decided in `engine/cost.py`.
"""

import itertools
from collections.abc import Callable, Iterator

import msgspec

from pipeline.engine.cost import Paid, upload_lasts
from pipeline.job.checks import MAX_ID
from pipeline.job.schema import JobSpec
from pipeline.journal.sql import items
from pipeline.journal.sql.database import Database
from pipeline.journal.sql.sent import Sent, sent_pictures, shown_by
from pipeline.models import SETTLED, State
from pipeline.results.advice import about_changed
from pipeline.sources.ids import make_id
from pipeline.sources.looks import looking
from pipeline.sources.pictures import most_of


class Changed(msgspec.Struct, frozen=True):
    """An item whose picture changed since it was searched."""

    item: str
    source: str
    now_item: str  # another item that shows the picture as it is now; empty when nobody has it searched
    said: str  # a sentence or two: what became of it, and what to do


def find_changed(db: Database, digest: Callable[[str], str | None]) -> Iterator[tuple[Sent, str]]:
    """Yield the items whose files have other bytes than were sent for them, each with the digest of now.

    A file that cannot be read is none of them: it is not there, or says so when it is sent.
    """
    for sent in sent_pictures(db):
        now = digest(sent.source)
        if now is not None and now != sent.sha256:
            yield sent, now


def changed_pictures(db: Database, spec: JobSpec, *, now: float) -> list[Changed]:
    """List the items of a job whose pictures changed since they were searched."""
    most = most_of(fit=spec.upload.fit)
    with looking() as looks:
        found = find_changed(db, lambda source: looks.digest(spec.root_path, source, most))
        return [told for sent, digest in found if (told := tell(db, sent, digest, now=now)) is not None]


def tell(db: Database, sent: Sent, digest: str, *, now: float) -> Changed | None:
    """Say what becomes of an item whose picture changed; None where nothing but an upload was paid for it.

    Neither is one told again that is open for this very reason.
    """
    doubtful = sent.state is State.IN_DOUBT
    if sent.changed or not (sent.paid or doubtful or sent.state in SETTLED):
        return None
    paid = Paid(True, upload_lasts(sent.upload_expires, now=now), sent.paid, doubtful, changed=True)
    refused = paid.is_refused and sent.state not in SETTLED
    other = shown_by(db, digest, but=sent.ord) or ""
    said = about_changed(sent.id, sent.source, refused=refused, other=other, free=_free_id(db, sent.id, digest))
    return Changed(sent.id, sent.source, other, said)


def _free_id(db: Database, id_: str, digest: str) -> str:
    """Make an id like this one that no item has."""
    numbered = (f"{id_}-{number}" for number in itertools.count(2))
    free = next(name for name in numbered if len(name) > MAX_ID or items.find(db, name) is None)
    return free if len(free) <= MAX_ID else make_id(digest)
