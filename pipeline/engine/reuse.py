"""The reuse of what other runs paid for the same picture: decided here for the run and for `plan`.

Only the same picture (its bytes, or its URL), asked of the same endpoint with the same parameters, is reused, never one
that looks like it. A task stands for one of our own when it was made of the very hits that we would make one of.
"""

from typing import NamedTuple, Protocol

from pipeline.engine.cost import upload_lasts
from pipeline.job.schema import JobSpec
from pipeline.models import Hits, Task, Upload
from pipeline.results.hits import choose


class Found(NamedTuple):
    """The things that another run paid for a picture, and that live.

    hits    of its search; None where none of our question are there
    task    that can still be read, and was made of hits chosen as we choose them; None where there is none
    upload  of a local picture's bytes, perhaps at its end already; None of a URL
    """

    hits: Hits | None
    task: Task | None
    upload: Upload | None


class Reuse(Protocol):
    """The other runs."""

    def find(self, identity: str, *, now: float) -> Found | None:
        """Find what is paid for a picture; None where nothing is, or it ends too soon."""


class Reused(NamedTuple):
    """The part of what was found that an item takes.

    hits  None where it has hits of its own, or there are none
    task  the task that stands for one of its own
    free  whether it is settled without a call
    """

    hits: Hits | None
    task: Task | None
    free: bool


def takes_upload(found: Found, part: Reused, *, now: float) -> bool:
    """Decide whether an item without a link takes an upload: with hits also one that has ended.

    The journal must know of which bytes the hits are.
    """
    if found.upload is None:
        return False
    return part.hits is not None or (not part.free and upload_lasts(found.upload.expires_at, now=now))


def reused(found: Found, spec: JobSpec, *, local: bool, paid: str | None) -> Reused:
    """Decide what an item takes; `paid` is the request id of the search that it has hits of, None where it has none."""
    hits = found.hits
    if hits is None or paid not in (None, hits.request_id) or (local and found.upload is None):
        return Reused(None, None, free=False)
    taken = hits if paid is None else None
    choice = choose(hits, min_score=spec.search.min_score, max_hits=spec.task.max_hits)
    if choice is None or not spec.task.enabled or choice.count == 0:
        return Reused(taken, None, free=True)
    task = found.task if spec.task.report == "off" else None  # whoever waits for reports reads those of its own tasks
    return Reused(taken, task, free=task is not None)
