"""Sentences about a job before and after it runs: what its search leaves out, and what is probably not meant."""

from pipeline.endpoints.patsnap.ai39_submit import SubmitSearch
from pipeline.endpoints.patsnap.similar_designs import beyond_limit
from pipeline.job.schema import JobSpec
from pipeline.system.wording import count
from pipeline.views import is_url


def rehearsed(spec: JobSpec) -> str:
    """Say what a rehearsal of this job does with its pictures. What a manifest lists is not known yet."""
    listed = [text for entry in spec.images for text in (entry.url, entry.path, *(entry.views or ())) if text]
    manifests = any(entry.manifest for entry in spec.images)
    parts = ["this is a rehearsal on drawn designs: nothing leaves this machine"]
    if manifests or any(map(is_url, listed)):
        parts.append("for each URL a drawn picture stands, chosen by a hash of it")
    if manifests or not all(map(is_url, listed)):
        parts.append("local pictures are searched as they are")
    return "; ".join([*parts, "the hits say nothing about the products"])


def not_looked_at(spec: JobSpec) -> list[str]:
    """List what the search leaves out of sight, one phrase each."""
    if isinstance(spec.search, SubmitSearch):
        params = spec.search.asked_with(country=spec.task.country)
        return [*spec.search.left_out_by(params), beyond_limit(params)]
    phrases = spec.search.not_looked_at()
    if spec.search.min_score > 0 and spec.task.enabled:
        phrases.append(f"hits scored below {spec.search.min_score:g} (kept in the record, left out of the task)")
    return phrases


def warnings(spec: JobSpec) -> list[str]:
    """List what the job says that is allowed but probably not meant, one sentence each."""
    return [*([rehearsed(spec)] if spec.rehearsal else []), *_search(spec), *_reuse(spec), *spec.api.warnings()]


def _reuse(spec: JobSpec) -> list[str]:
    """Say where `search.reuse` can find nothing."""
    if not spec.search.reuse_s:
        return []
    found, kept = [], spec.output.hits
    if spec.sandbox:
        found.append(
            "search.reuse: each run on the embedded sandbox is a new account, so there is nothing to reuse; "
            "`pipeline sandbox` serves one that stays"
        )
    if not spec.submits and kept != "all" and kept < max(spec.search.limit, spec.search.depth):
        found.append(
            f"search.reuse: output.hits keeps the first {count(kept, 'hit')} of each search, and later runs reuse only "
            "searches that are kept whole; write output.hits: all"
        )
    return found


def _search(spec: JobSpec) -> list[str]:
    return spec.search.warnings(task_country=spec.task.country if spec.task.enabled else None)
