"""The reuse of what other runs paid for the same picture: decided here for the run and for `plan`.

Only the same picture (its bytes, or its URL; all views of it, in their order), asked of the same endpoint with the same
parameters, is reused, never one that looks like it. A task stands for one of our own when it was made of the very hits
that we would make one of, in the same language and for the same countries.
"""

from typing import NamedTuple, Protocol

from pipeline.engine.cost import upload_lasts
from pipeline.job.schema import JobSpec
from pipeline.models import CONTENT, Hits, Upload
from pipeline.reports import ReusedTask
from pipeline.results.hits import choose
from pipeline.sources.urls import identity_of_urls


class Found(NamedTuple):
    """The things that another run paid for a picture, and that live.

    run     its run directory, beside this one
    hits    of its search, perhaps not of all pages yet; None for submits, and where no search was asked as ours is
    task    that can still be read, or whose report is there, and was made of hits chosen as we choose them; else None
    upload  of a local picture's bytes, or of all its views, perhaps at its end already; None of a URL
    """

    run: str
    hits: Hits | None
    task: ReusedTask | None
    upload: Upload | None


class Reuse(Protocol):
    """The other runs."""

    def find(self, identity: str, *, paid: str | None, now: float) -> Found | None:
        """Find what is paid for a picture; None where nothing is, or it ends too soon.

        `paid` is the request id of the search that an item has hits of already: what was made of another search is not
        returned.
        """


class Own(NamedTuple):
    """The things that an item has already.

    local       whether its picture is a file
    paid        the request id of the search that it has hits of; None where it has none
    pages_left  pages that are still to be asked for of that search
    """

    local: bool
    paid: str | None
    pages_left: int


class Reused(NamedTuple):
    """The part of what was found that an item takes.

    hits  None where it has hits of its own, or there are none
    task  the task that stands for one of its own
    free  whether it is settled without a call
    """

    hits: Hits | None
    task: ReusedTask | None
    free: bool


_NOTHING = Reused(None, None, free=False)


def identity(source: str, digest: str | None) -> str:
    """Return the identity by which other runs know a picture; `digest` is that of a file, None of what is at URLs."""
    return identity_of_urls(source) if digest is None else CONTENT + digest


def takes_upload(found: Found, part: Reused, *, now: float) -> bool:
    """Decide whether an item without a link takes the upload that was found.

    With reused hits, or a task, it does so also when the link has expired: by the upload's digest the journal knows
    which bytes were searched.
    """
    if found.upload is None:
        return False
    paid = part.hits is not None or part.task is not None
    return paid or (not part.free and upload_lasts(found.upload.expires_at, now=now))


def reused(found: Found, spec: JobSpec, own: Own) -> Reused:
    """Decide what an item takes."""
    if own.local and found.upload is None:
        return _NOTHING
    if spec.submits:
        task = None if own.paid is not None else found.task
        return Reused(None, task, free=_is_free(task, spec))
    hits = found.hits
    if hits is None or own.paid not in (None, hits.request_id):
        return _NOTHING
    more = spec.search.pages_left(hits)
    taken = hits if own.paid is None or more < own.pages_left else None
    if more:
        return Reused(taken, None, free=False)
    choice = choose(hits, min_score=spec.search.min_score, max_hits=spec.task.max_hits)
    if choice is None or not spec.task.enabled or choice.count == 0:
        return Reused(taken, None, free=True)
    return Reused(taken, found.task, free=_is_free(found.task, spec))


def _is_free(task: ReusedTask | None, spec: JobSpec) -> bool:
    """Return whether a task settles its item without a call."""
    return task is not None and (task.report is not None or not spec.awaits_reports)
