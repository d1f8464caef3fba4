"""Foreign URLs in a job on the sandbox, which fetches none: without a rehearsal each of them would fail."""

import shlex
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.job.schema import JobSpec
from pipeline.models import SANDBOX_HOST
from pipeline.sources.items import read_items
from pipeline.system.fault import Fault
from pipeline.system.wording import count
from pipeline.views import is_url, views_of

_SHOWN = 200  # characters of a URL


def refuse_foreign(spec: JobSpec, file: Path | None = None) -> str:
    """Say why the sandbox cannot run this job, and what to type; "" when it can. Every source is read through."""
    if not spec.sandbox or spec.rehearsal:
        return ""
    foreign = 0
    first = ""
    for item in read_items(spec, contents=False):
        urls = [] if item.problem is not None else [view for view in views_of(item.source) if is_url(view)]
        if unknown_urls := [url for url in urls if urlsplit(url).hostname != SANDBOX_HOST]:
            foreign += len(unknown_urls)
            first = first or f"{item.origin}: {unknown_urls[0][:_SHOWN]}"
    if not foreign:
        return ""
    unknown = count(foreign, "URL") + " that it does not know"
    job = shlex.quote(str(file)) if file is not None else "JOB"
    fix = f"pipeline run {job} --rehearse"
    return Fault(
        f"the sandbox fetches nothing, and this job has {unknown}; nothing was sent; drawn pictures can stand for them",
        where=first,
        fix=fix,
    )
