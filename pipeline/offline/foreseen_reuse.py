"""The reuse of what other runs paid, foreseen for one item: the same decision that the run makes (engine/reuse)."""

from collections.abc import Callable
from typing import NamedTuple

from pipeline.engine.cost import Paid, upload_lasts
from pipeline.engine.reuse import Reuse, reused, takes_upload
from pipeline.job.schema import JobSpec
from pipeline.journal.sql.database import Database
from pipeline.models import CONTENT
from pipeline.sources.urls import identity_of_url
from pipeline.views import has_views


class ForeseenReuse(NamedTuple):
    """The other runs, as a plan asks them. `digest` returns the SHA-256 of a local picture as it is now, or None."""

    db: Database
    spec: JobSpec
    donors: Reuse
    digest: Callable[[str], str | None]
    now: float

    def applied(self, ord_: int, paid: Paid) -> Paid:
        """Return what is paid for an item with what it will take of other runs."""
        source, local, sha256, request_id = self.db.do(
            "SELECT source, local, sha256, json_extract(search, '$.request_id') FROM items WHERE ord = ?", (ord_,)
        ).fetchone()
        if has_views(source):
            return paid
        digest = self.digest(source) if local else None
        if local and (digest is None or sha256 not in (None, digest)):
            return paid
        found = self.donors.find(f"{CONTENT}{digest}" if local else identity_of_url(source), now=self.now)
        if found is None:
            return paid
        part = reused(found, self.spec, local=bool(local), paid=request_id if paid.searched else None)
        if local and not paid.has_link and takes_upload(found, part, now=self.now):
            assert found.upload is not None
            paid = paid._replace(uploaded=upload_lasts(found.upload.expires_at, now=self.now), changed=False)
        if part.hits is not None:
            paid = paid._replace(searched=True, pages=0)
        return paid._replace(free=part.free)
