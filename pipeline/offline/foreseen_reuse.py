"""The reuse of what other runs paid, foreseen for one item: the same decision that the run makes (engine/reuse)."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from pipeline.engine.cost import Paid, upload_lasts
from pipeline.engine.reuse import Own, Reuse, identity, reused, takes_upload
from pipeline.job.schema import JobSpec
from pipeline.journal.sql import items
from pipeline.journal.sql.database import Database


class Taken(NamedTuple):
    """The things of another run directory, `run`, that an item takes."""

    run: str
    parts: tuple[str, ...]  # of TakenFrom's fields


class TakenFrom(msgspec.Struct, frozen=True):
    """The things of another run directory that a run takes, by their number."""

    run: str  # its name, beside the own one
    uploads: int = 0
    searches: int = 0
    tasks: int = 0
    reports: int = 0  # of these tasks, those whose reports are read there; the others are asked for theirs here


def counted(taken: Iterable[Taken]) -> list[TakenFrom]:
    """Count what is taken, by run directory."""
    found: dict[str, Counter[str]] = {}
    for one in taken:
        found.setdefault(one.run, Counter()).update(one.parts)
    return [TakenFrom(run, **parts) for run, parts in sorted(found.items())]


class ForeseenReuse(NamedTuple):
    """The other runs, as a plan asks them. `digest` returns the SHA-256 of a local picture as it is now, or None."""

    db: Database
    spec: JobSpec
    donors: Reuse
    digest: Callable[[str], str | None]
    now: float

    def applied(self, ord_: int, paid: Paid) -> tuple[Paid, Taken | None]:
        """Return what is paid for an item with what it will take of other runs, and that; None where it is nothing."""
        source, local, sha256, request_id = items.asked(self.db, ord_)
        digest = self.digest(source) if local else None
        if local and (digest is None or sha256 not in (None, digest)):
            return paid, None
        own = Own(local, request_id if paid.searched else None, paid.pages + (not paid.searched))
        found = self.donors.find(identity(source, digest), paid=own.paid, now=self.now)
        if found is None:
            return paid, None
        part, parts = reused(found, self.spec, own), []
        if local and not paid.has_link and takes_upload(found, part, now=self.now):
            assert found.upload is not None
            lasts = upload_lasts(found.upload.expires_at, now=self.now)
            paid = paid._replace(uploaded=lasts, changed=False)
            parts += ["uploads"] * lasts
        if part.hits is not None:
            paid = paid._replace(searched=True, pages=self.spec.search.pages_left(part.hits))
            parts.append("searches")
        if part.task is not None:
            parts += ["tasks"] + ["reports"] * (part.task.report is not None)
        paid = paid._replace(free=part.free, tasked=part.task is not None)
        return paid, Taken(found.run, tuple(parts)) if parts else None
